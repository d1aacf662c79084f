import { createRoute, z } from '@hono/zod-openapi';
import {
  type Condition,
  parseCondition,
  type RecordQuery,
  recordMeets,
  type StoredRecord,
} from '#record-store';
import { ApiProblem } from '../errors.ts';
import type { Api, ApiContext } from './context.ts';
import { ReconsideredCall, reconsideredCall } from './reconsidered-call.ts';
import {
  AnyObject,
  answers,
  asObject,
  MissingRecord,
  PageQuery,
  problemAnswers,
  timesOf,
  wholeNumber,
} from './schemas.ts';
import type { SseStreams } from './sse.ts';

const name = z.string().max(2048).optional();

/** Everything else in the query is a field of the record, compared as `parseCondition` reads it. */
const Filters = z.looseObject({
  since: z.string().max(40).optional(),
  until: z.string().max(40).optional(),
  denied: z.enum(['true', 'false']).optional(),
  from: name,
  to: name,
  namespace: name,
  id: name,
  q: name.openapi({ description: 'text anywhere in the record' }),
});

const list = createRoute({
  method: 'get',
  path: '/records',
  summary:
    'Access records of all enforcement points, newest first unless order=asc; any field filters: status=500, path=/api/*, duration_us=>5000, reason=!null',
  request: {
    query: PageQuery.extend({
      ...Filters.shape,
      order: z.enum(['asc', 'desc']).optional(),
    }).loose(),
  },
  responses: answers(
    z.object({
      items: z.array(AnyObject.openapi('AccessRecord')),
      next: z.string().nullable(),
      missing: z.array(MissingRecord),
    }),
  ),
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

const one = createRoute({
  method: 'get',
  path: '/records/{id}',
  summary: 'One access record by its number, `record.id`',
  request: { params: z.object({ id: z.string().max(20) }) },
  responses: answers(AnyObject.openapi('AccessRecord'), ['not_found']),
});

const explained = createRoute({
  method: 'get',
  path: '/records/{id}/explanation',
  summary: 'Why one recorded call was let through or denied, by the policy of then and of now',
  request: { params: z.object({ id: z.string().max(20) }) },
  responses: answers(ReconsideredCall, ['not_found', 'cannot_answer']),
});

const DEFAULT_LIMIT = 100;
// What a reconnecting reader missed is sent again up to here; for more it reads pages.
const MAX_REPLAY = 1_000;
const MAX_CONDITIONS = 20;
const DEFAULT_MISSING_MS = 24 * 3_600_000;

/** GET /records, /records/watch, /records/:id and /records/:id/explanation. */
export function addRecordRoutes(api: Api, context: ApiContext, streams: SseStreams): void {
  const { records, arriving, clock } = context;
  api.openapi(list, async (c) => {
    const { limit = DEFAULT_LIMIT, cursor, order, ...filters } = c.req.valid('query');
    const query = queryOf(filters, clock());
    const page = {
      limit,
      cursor: cursor === undefined ? undefined : wholeNumber(cursor, 'cursor'),
      ascending: order === 'asc',
    };
    const { records: found, next } = await records.list(query, page);
    const now = clock();
    const { sinceMs = now - DEFAULT_MISSING_MS, untilMs = now } = query;
    const missing = await records.missing({ fromMs: sinceMs, untilMs });
    const items = found.map(asObject);
    return c.json(
      { items, next: next === undefined ? null : String(next), missing: [...missing] },
      200,
    );
  });
  const kept = async (text: string): Promise<StoredRecord> => {
    const id = wholeNumber(text, 'id');
    const record = (await records.byIds([id])).get(id);
    if (record === undefined) throw new ApiProblem('not_found', `no record \`${id}\` is kept`);
    return record;
  };
  api.openapi(explained, async (c) =>
    c.json(reconsideredCall(await kept(c.req.valid('param').id), context), 200),
  );
  api.openapi(watch, (c) => {
    const query = queryOf(c.req.valid('query'), clock());
    const last = c.req.header('last-event-id');
    const cursor = last === undefined ? undefined : wholeNumber(last, 'Last-Event-ID');
    return streams.open((send) => {
      const emit = (record: StoredRecord) =>
        send({ event: 'record', data: record, id: record['record.id'] });
      // What arrives while the missed ones are read waits for them, and none goes out twice.
      let waiting: StoredRecord[] | undefined = cursor === undefined ? undefined : [];
      const stop = arriving.listen((added) => {
        for (const record of added.records()) {
          if (!recordMeets(record, query.where ?? [])) continue;
          if (waiting === undefined) emit(record);
          else waiting.push(record);
        }
      });
      if (cursor !== undefined) {
        void missedSince(records, query, cursor).then((missed) => {
          for (const record of missed) emit(record);
          const last = Number(missed.at(-1)?.['record.id'] ?? cursor);
          for (const record of waiting ?? []) if (Number(record['record.id']) > last) emit(record);
          waiting = undefined;
        });
      }
      return stop;
    }) as never;
  });
  // After `watch`, which is a word where this one takes any.
  api.openapi(one, async (c) => c.json(asObject(await kept(c.req.valid('param').id)), 200));
}

async function missedSince(
  records: ApiContext['records'],
  query: RecordQuery,
  cursor: number,
): Promise<readonly StoredRecord[]> {
  try {
    return (await records.list(query, { limit: MAX_REPLAY, cursor, ascending: true })).records;
  } catch {
    // What is new goes out all the same; the reader sees by the numbers that some are missing.
    return [];
  }
}

/** The filters of a query; ends the request where one of them is none. */
export function queryOf(filters: z.infer<typeof Filters>, nowMs: number): RecordQuery {
  const { since, until, denied, from, to, namespace, id, q, ...fields } = filters;
  const where: Condition[] = [];
  const equal = (field: string, value: string | undefined): void => {
    if (value !== undefined) where.push({ kind: 'field', field, operator: 'eq', value });
  };
  if (denied !== undefined) equal('verdict', denied === 'true' ? 'deny' : 'allow');
  equal('destination.namespace', namespace);
  equal('denial_id', id);
  if (from !== undefined) where.push({ kind: 'from', name: from });
  if (to !== undefined) where.push({ kind: 'to', name: to });
  if (q !== undefined && q !== '') where.push({ kind: 'text', text: q });
  for (const [field, value] of Object.entries(fields)) where.push(...conditionsOf(field, value));
  if (where.length > MAX_CONDITIONS) {
    throw new ApiProblem('bad_request', `a question has at most ${MAX_CONDITIONS} conditions`);
  }
  return { ...timesOf({ since, until }, nowMs), where };
}

function conditionsOf(field: string, value: unknown): readonly Condition[] {
  return [value].flat().map((text) => {
    const condition = parseCondition(field, String(text).slice(0, 2_048));
    if (!condition.ok) throw new ApiProblem('bad_request', condition.error);
    return condition.value;
  });
}
