import {
  type CallDiffInput,
  type ChangedCalls,
  judgeOf,
  type ServiceCallDiff,
  type Verdict,
} from '#compile';
import { parseSpiffeId } from '#identity';
import type { Observed } from '../../observed.ts';
import { type painter, printable } from '../../output.ts';

/** A recorded call that a change would judge otherwise. */
export type RecordedChange = {
  readonly caller: string;
  readonly service: string;
  readonly method: string | null;
  readonly path: string | null;
  readonly port: number;
  readonly count: number;
  readonly before: Verdict;
  readonly after: Verdict;
};

/** Which calls a change of policy decides otherwise: by the rules themselves, and of those recorded. */
export type CallReport = {
  readonly services: readonly ServiceCallDiff[];
  readonly recorded: readonly RecordedChange[];
};

/** Judges recorded calls by both policies; those that fare alike are left out. */
export function judgeRecorded(
  calls: Observed['calls'],
  { before, after, trustDomain }: CallDiffInput,
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
const MOST_LINES = 50;

/** The report for people. */
export function callLines(
  { services, recorded }: CallReport,
  since: string,
  paint: ReturnType<typeof painter>,
): readonly string[] {
  const changes = services.flatMap(({ changes: of }) => of);
  const unproven = services.filter(({ unproven: why }) => why.length > 0);
  const lines = changes.map((change) => changeLine(change, paint));
  const head =
    changes.length === 0
      ? unproven.length === 0
        ? 'no call changes its verdict'
        : 'no call is known to change its verdict'
      : 'calls that change their verdict:';
  const seen = recorded.map(
    ({ caller, service, method, path, port, count, before, after }) =>
      `  ${verdicts(before, after, paint)}  ${printable(`${count} × ${caller} → ${service} ${method ?? `port ${port}`} ${path ?? ''}`)}`,
  );
  return [
    head,
    ...bounded(lines),
    ...unproven.map(
      ({ service, unproven: why }) =>
        `${paint('yellow', 'not proven complete')} for ${service}: ${why.join(', ')}`,
    ),
    seen.length === 0
      ? `of the calls recorded in the last ${since}, none would change`
      : `of the calls recorded in the last ${since}, these would change:`,
    ...bounded(seen),
  ];
}

function changeLine(change: ChangedCalls, paint: ReturnType<typeof painter>): string {
  const { callers, service, methods, paths, hosts, ports, before, after } = change;
  const what =
    methods.length === 0 ? 'connections' : `${list(methods, 'method')} ${list(paths, 'path')}`;
  const host = hosts.length === 0 || hosts.includes('any other') ? '' : ` host ${hosts.join(', ')}`;
  const extra = change.with.every((one) => one === '')
    ? ''
    : ` with ${change.with.map((one) => one || 'neither header nor token').join(' | ')}`;
  const by = after.policy ?? before.policy;
  const why = by === undefined ? after.reason : `by ${by}`;
  return `  ${verdicts(before, after, paint)}  ${printable(`${callers.join(', ')} → ${service}:${ports.join(',')} ${what}${host}${extra}`)}  (${why})`;
}

function list(values: readonly string[], noun: string): string {
  return values.length === 1 && values[0] === 'any other' ? `any ${noun}` : values.join(', ');
}

function verdicts(before: Verdict, after: Verdict, paint: ReturnType<typeof painter>): string {
  const style = after.verdict === 'allow' ? 'green' : 'red';
  return paint(style, `${before.verdict} → ${after.verdict}`);
}

function bounded(lines: readonly string[]): readonly string[] {
  if (lines.length <= MOST_LINES) return lines;
  return [...lines.slice(0, MOST_LINES), `  and ${lines.length - MOST_LINES} more: see -o json`];
}
