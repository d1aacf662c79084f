import { createRoute, z } from '@hono/zod-openapi';
import type { SinkState, SinkTest } from '#sink';
import { ApiProblem } from '../errors.ts';
import type { Api, ApiContext } from './context.ts';
import { answers, Instant } from './schemas.ts';

const count = z.int();
const State = z.enum(['ok', 'retrying', 'failing', 'paused']);

const Doing = {
  state: State,
  lag_records: count,
  lag_seconds: z.number(),
  queue_bytes: count,
  delivered: count,
  dead_lettered: count,
  dropped: count,
  retries: count,
  last_error: z.string().nullable(),
  last_delivered_at: Instant.nullable(),
};

const SinkStatus = z
  .object({
    name: z.string(),
    kind: z.enum(['otlp_http', 'otlp_grpc', 'syslog', 'file', 'webhook']),
    format: z.string(),
    ...Doing,
    lanes: z.array(z.object({ evidence: z.string(), ...Doing })),
  })
  .openapi('Sink');

const TestResult = z
  .object({
    evidence: z.string(),
    id: z.string(),
    delivered: z.boolean(),
    answer: z.string(),
  })
  .openapi('SinkTest');

const list = createRoute({
  method: 'get',
  path: '/sinks',
  summary: 'Receivers of evidence: whether they take it, and what waits for them',
  responses: answers(z.object({ items: z.array(SinkStatus), next: z.null() })),
});

const test = createRoute({
  method: 'post',
  path: '/sinks/{name}/test',
  summary:
    'Sends a sink one item of each kind that it gets, past its queue, and says what it answered',
  request: { params: z.object({ name: z.string().max(253) }) },
  responses: answers(z.object({ items: z.array(TestResult) }), ['not_found', 'unavailable']),
});

const TEST_EVERY_MS = 10_000;

/** GET /sinks and POST /sinks/{name}/test. */
export function addSinkRoutes(api: Api, context: ApiContext): void {
  const { sinks, clock } = context;
  const testedAt = new Map<string, number>();
  api.openapi(list, (c) => {
    const items = sinks.state().map((state) => statusOf(state, clock()));
    return c.json({ items, next: null }, 200);
  });
  api.openapi(test, async (c) => {
    const { name } = c.req.valid('param');
    c.set('audit', { action: 'sink.test', target: { kind: 'Sink', name } });
    if (!sinks.state().some((sink) => sink.name === name)) {
      throw new ApiProblem('not_found', `there is no sink \`${name}\``);
    }
    // SECURITY: sessions that only read may test, and must not flood a receiver by it.
    if (clock() - (testedAt.get(name) ?? 0) < TEST_EVERY_MS) {
      throw new ApiProblem('unavailable', `\`${name}\` was tested within the last 10 s`);
    }
    testedAt.set(name, clock());
    const results = (await sinks.test(name)) ?? [];
    return c.json({ items: results.map(resultOf) }, 200);
  });
}

function statusOf({ name, kind, format, state, lanes }: SinkState, nowMs: number) {
  const own = lanes.map((lane) => ({ evidence: lane.evidence, ...doingOf(lane, nowMs) }));
  const sum = (
    key: 'lag_records' | 'queue_bytes' | 'delivered' | 'dead_lettered' | 'dropped' | 'retries',
  ) => own.reduce((total, lane) => total + lane[key], 0);
  const delivered = own.flatMap(({ last_delivered_at: at }) => at ?? []).toSorted();
  return {
    name,
    kind,
    format,
    state,
    lag_records: sum('lag_records'),
    lag_seconds: Math.max(0, ...own.map(({ lag_seconds: lag }) => lag)),
    queue_bytes: sum('queue_bytes'),
    delivered: sum('delivered'),
    dead_lettered: sum('dead_lettered'),
    dropped: sum('dropped'),
    retries: sum('retries'),
    last_error: own.find(({ last_error: error }) => error !== null)?.last_error ?? null,
    last_delivered_at: delivered.at(-1) ?? null,
    lanes: own,
  };
}

function doingOf(lane: SinkState['lanes'][number], nowMs: number) {
  const { condition, items, bytes, oldestAt, lost, lastDeliveredAt } = lane;
  return {
    state: condition,
    lag_records: items,
    lag_seconds: oldestAt === undefined ? 0 : Math.max(0, (nowMs - oldestAt) / 1000),
    queue_bytes: bytes,
    delivered: lane.delivered,
    dead_lettered: lane.deadLettered,
    dropped: Object.values(lost).reduce((total, n) => total + n, 0) + lane.rejected,
    retries: lane.retries,
    last_error: lane.lastError,
    last_delivered_at: lastDeliveredAt === null ? null : new Date(lastDeliveredAt).toISOString(),
  };
}

function resultOf({ evidence, id, outcome }: SinkTest): z.infer<typeof TestResult> {
  if (outcome.kind !== 'delivered') {
    return { evidence, id, delivered: false, answer: outcome.reason };
  }
  return {
    evidence,
    id,
    delivered: (outcome.rejected ?? 0) === 0,
    answer: outcome.note ?? 'taken',
  };
}
