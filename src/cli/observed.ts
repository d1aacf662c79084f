import type { ApiClient } from '#client';
import type { ObservedCall } from '#compile';
import type { AccessRecord, Page } from './api-types.ts';

/** Calls to one service that were alike. */
export type RecordedCalls = ObservedCall & {
  readonly host: string | null;
  readonly service: string;
  readonly namespace: string;
};

/** What was recorded, calls that are alike as one; `truncated` where there were more than can be read. */
export type Observed = { readonly calls: readonly RecordedCalls[]; readonly truncated: boolean };

const PAGE_SIZE = 1000;
const MAX_PAGES = 500;

/** Reads the records of `query`, as the called sidecars wrote them, and counts those that are alike. */
export async function fetchObserved(api: ApiClient, query: URLSearchParams): Promise<Observed> {
  const alike = new Map<string, Mutable<RecordedCalls>>();
  let cursor: string | null = null;
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const paging = `limit=${PAGE_SIZE}${cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`}`;
    const answer: Page<AccessRecord> = await api.call('GET', `/records?${query}&${paging}`);
    for (const record of answer.items) add(alike, record);
    cursor = answer.next;
    if (cursor === null) break;
  }
  return { calls: [...alike.values()], truncated: cursor !== null };
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

function add(alike: Map<string, Mutable<RecordedCalls>>, record: AccessRecord): void {
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

function callOf(record: AccessRecord): Mutable<RecordedCalls> {
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
