import { createRoute, z } from '@hono/zod-openapi';
import { callerName, type StoredRecord, type TrialTally } from '#record-store';
import type { Api, ApiContext } from './context.ts';
import { answers, Instant, instantOf, PageQuery, pageFrom, pageOf } from './schemas.ts';

const Trial = z
  .object({
    policy: z.string(),
    source: z.string(),
    sourceId: z.string().nullable(),
    destination: z.string(),
    verdict: z.enum(['allow', 'deny']),
    would: z.enum(['allow', 'deny']),
    count: z.int(),
    first: Instant,
    last: Instant,
    sample: z.object({
      method: z.string().nullable(),
      path: z.string().nullable(),
      traceId: z.string().nullable(),
    }),
  })
  .openapi('DryRunTally');

const list = createRoute({
  method: 'get',
  path: '/dry-run',
  summary:
    'What policies in dry-run would have decided, by policy and caller, beside what was enforced',
  request: { query: PageQuery.extend({ since: z.string().max(40).optional() }) },
  responses: answers(pageOf(Trial)),
});

const DEFAULT_SINCE_MS = 3_600_000;
const MAX_GROUPS = 10_000;

/** GET /dry-run. */
export function addDryRunRoute(api: Api, context: ApiContext): void {
  api.openapi(list, async (c) => {
    const { since, ...page } = c.req.valid('query');
    const now = context.clock();
    const sinceMs = instantOf(since, 'since', now) ?? now - DEFAULT_SINCE_MS;
    const { items, next } = pageFrom(await context.records.trials(sinceMs, MAX_GROUPS), page);
    const samples = await context.records.byIds(items.map(({ sampleId }) => sampleId));
    return c.json(
      { items: items.map((tally) => trialOf(tally, samples.get(tally.sampleId))), next },
      200,
    );
  });
}

function trialOf(tally: TrialTally, record: StoredRecord | undefined): z.infer<typeof Trial> {
  const { policy, sourceId, verdict, would, count } = tally;
  return {
    policy,
    source: callerName(sourceId, tally.sourceService),
    sourceId,
    destination: `${tally.namespace}/${tally.service}`,
    verdict,
    would,
    count,
    first: new Date(tally.firstMs).toISOString(),
    last: new Date(tally.lastMs).toISOString(),
    sample: {
      method: record?.method ?? null,
      path: record?.path ?? null,
      traceId: record?.trace_id ?? null,
    },
  };
}
