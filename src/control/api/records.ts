import { createRoute, z } from '@hono/zod-openapi';
import type { RecordQuery, StoredRecord } from '../records-store.ts';
import type { Api, ApiContext } from './context.ts';
import {
  AnyObject,
  answers,
  asObject,
  instantOf,
  PageQuery,
  pageOf,
  problemAnswers,
  wholeNumber,
} from './schemas.ts';
import type { SseStreams } from './sse.ts';

const name = z.string().max(2048).optional();

const Filters = z.object({
  since: z.string().max(40).optional(),
  until: z.string().max(40).optional(),
  denied: z.enum(['true', 'false']).optional(),
  from: name,
  to: name,
  namespace: name,
  id: name,
});

const list = createRoute({
  method: 'get',
  path: '/records',
  summary: 'Access records of all enforcement points, newest first unless order=asc',
  request: {
    query: PageQuery.extend({ ...Filters.shape, order: z.enum(['asc', 'desc']).optional() }),
  },
  responses: answers(pageOf(AnyObject.openapi('AccessRecord'))),
});

const watch = createRoute({
  method: 'get',
  path: '/records/watch',
  summary: 'Access records as they arrive, as server-sent events',
  request: { query: Filters },
  responses: {
    200: {
      description: 'events `record`',
      content: { 'text/event-stream': { schema: z.string() } },
    },
    ...problemAnswers(['unavailable']),
  },
});

const DEFAULT_LIMIT = 100;
// What a reconnecting reader missed is sent again up to here; for more it reads pages.
const MAX_REPLAY = 1_000;

/** GET /records and /records/watch. */
export function addRecordRoutes(api: Api, context: ApiContext, streams: SseStreams): void {
  const { records, arriving } = context;
  api.openapi(list, (c) => {
    const { limit = DEFAULT_LIMIT, cursor, order, ...filters } = c.req.valid('query');
    const page = {
      limit: limit + 1,
      cursor: cursor === undefined ? undefined : wholeNumber(cursor, 'cursor'),
      ascending: order === 'asc',
    };
    const found = records.list(queryOf(filters, context.clock()), page);
    const items = found.slice(0, limit);
    const next = found.length > limit ? (items.at(-1)?.['record.id'] ?? null) : null;
    return c.json({ items: items.map(asObject), next }, 200);
  });
  api.openapi(watch, (c) => {
    const query = queryOf(c.req.valid('query'), context.clock());
    const last = c.req.header('last-event-id');
    const cursor = last === undefined ? undefined : wholeNumber(last, 'Last-Event-ID');
    return streams.open((send) => {
      const emit = (record: StoredRecord) =>
        send({ event: 'record', data: record, id: record['record.id'] });
      if (cursor !== undefined) {
        for (const record of records.list(query, { limit: MAX_REPLAY, cursor, ascending: true })) {
          emit(record);
        }
      }
      return arriving.listen((record) => {
        if (matches(record, query)) emit(record);
      });
    }) as never;
  });
}

function queryOf(filters: z.infer<typeof Filters>, nowMs: number): RecordQuery {
  return {
    sinceMs: instantOf(filters.since, 'since', nowMs),
    untilMs: instantOf(filters.until, 'until', nowMs),
    denied: filters.denied === undefined ? undefined : filters.denied === 'true',
    from: filters.from,
    to: filters.to,
    namespace: filters.namespace,
    denialId: filters.id,
  };
}

/** Whether a record that just arrived is one that `query` would list. */
function matches(record: StoredRecord, query: RecordQuery): boolean {
  const { namespace, denied, from, to, denialId } = query;
  if (denied !== undefined && (record.verdict === 'deny') !== denied) return false;
  if (namespace !== undefined && record['destination.namespace'] !== namespace) return false;
  if (denialId !== undefined && record.denial_id !== denialId) return false;
  return isFrom(record, from) && isTo(record, to);
}

function isFrom(record: StoredRecord, from: string | undefined): boolean {
  if (from === undefined) return true;
  if (from.startsWith('spiffe://')) return record['source.id'] === from;
  const [namespace, service] = from.includes('/') ? from.split('/') : [undefined, from];
  if (record['source.service'] !== service) return false;
  return namespace === undefined || (record['source.id'] ?? '').includes(`/ns/${namespace}/`);
}

function isTo(record: StoredRecord, to: string | undefined): boolean {
  if (to === undefined) return true;
  const [namespace, service] = to.includes('/') ? to.split('/') : [undefined, to];
  if (record['destination.service'] !== service) return false;
  return namespace === undefined || record['destination.namespace'] === namespace;
}
