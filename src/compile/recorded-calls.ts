import { parseSpiffeId } from '#identity';
import { type CallDiffInput, judgeOf, type Verdict } from './call-diff.ts';
import type { ObservedCall } from './suggest.ts';

/** Calls to one service that were alike. */
export type RecordedCalls = ObservedCall & {
  readonly host: string | null;
  readonly service: string;
  readonly namespace: string;
};

/** A recorded call that a change would judge otherwise. */
export type RecordedChange = {
  /** SPIFFE ID, or `a caller without identity`. */
  readonly caller: string;
  /** `namespace/service` */
  readonly service: string;
  readonly method: string | null;
  readonly path: string | null;
  readonly port: number;
  readonly count: number;
  readonly before: Verdict;
  readonly after: Verdict;
};

/** Judges recorded calls by both policies; those that fare alike are left out. */
export function judgeRecorded(
  calls: readonly RecordedCalls[],
  { before, after, trustDomain }: Omit<CallDiffInput, 'nowMs'>,
): readonly RecordedChange[] {
  const changes: RecordedChange[] = [];
  for (const [service, all] of Map.groupBy(
    calls,
    ({ namespace, service }) => `${namespace}/${service}`,
  )) {
    const [first] = all;
    if (first === undefined) continue;
    const was = judgeOf(before, first, trustDomain);
    const is = judgeOf(after, first, trustDomain);
    if (!was.ok || !is.ok) continue;
    for (const call of all) {
      const id = call.sourceId === null ? undefined : parseSpiffeId(call.sourceId);
      const question = {
        source: { id: id?.ok === true ? id.value : undefined, ...LOOPBACK, remoteIp: LOOPBACK.ip },
        connection: { tls: call.sourceId !== null, sni: undefined },
        request:
          call.path === null
            ? undefined
            : {
                method: call.method ?? '',
                host: call.host ?? first.service,
                path: call.path,
                // Records hold neither headers nor tokens, so these are judged as if there were none.
                headers: NO_HEADERS,
              },
        destination: { port: call.port, ...LOOPBACK },
        nowMs: Date.parse(call.last),
      };
      const verdicts = { before: was.value(question), after: is.value(question) };
      if (verdicts.before.verdict === verdicts.after.verdict) continue;
      const { method, path, port, count } = call;
      const caller = call.sourceId ?? 'a caller without identity';
      changes.push({ caller, service, method, path, port, count, ...verdicts });
    }
  }
  return changes.sort((a, b) => b.count - a.count);
}

const LOOPBACK = { ip: '127.0.0.1' };
const NO_HEADERS = { collect: () => undefined };
type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Counts calls that are alike, as the called sidecars recorded them; a record's keys are flat and dotted. */
export class CallGroups {
  readonly #alike = new Map<string, Mutable<RecordedCalls>>();

  add(record: RecordFields): void {
    add(this.#alike, record);
  }

  all(): readonly RecordedCalls[] {
    return [...this.#alike.values()];
  }
}

type RecordFields = Readonly<Record<string, unknown>>;

function add(alike: Map<string, Mutable<RecordedCalls>>, record: RecordFields): void {
  // The caller's sidecar records the call too, but has not judged it.
  if (record['reporter'] !== 'destination') return;
  // A request that could not be read has no method, and is no evidence for anything.
  if (record['kind'] === 'http' && record['method'] === null) return;
  const call = callOf(record);
  const { sourceId, method, path, port, verdict, host, namespace, service } = call;
  const key = JSON.stringify([sourceId, method, path, port, verdict, host, namespace, service]);
  const known = alike.get(key);
  if (known === undefined) {
    alike.set(key, call);
    return;
  }
  known.count += 1;
  if (call.first < known.first) known.first = call.first;
  if (call.last > known.last) known.last = call.last;
  known.traceId ??= call.traceId;
}

function callOf(record: RecordFields): Mutable<RecordedCalls> {
  const text = (name: string): string | null =>
    typeof record[name] === 'string' ? String(record[name]) : null;
  const time = text('time') ?? '';
  return {
    sourceId: text('source.id'),
    method: text('method'),
    path: record['kind'] === 'tcp' ? null : text('path'),
    port: Number(record['destination.port'] ?? 0),
    verdict: record['verdict'] === 'allow' ? 'allow' : 'deny',
    count: 1,
    first: time,
    last: time,
    traceId: text('trace_id'),
    host: text('host'),
    service: text('destination.service') ?? '',
    namespace: text('destination.namespace') ?? '',
  };
}
