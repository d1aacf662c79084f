import { createRoute, z } from '@hono/zod-openapi';
import type { Explanation } from '#policy';
import { callerName, type DenialTally, type StoredRecord } from '#record-store';
import { ApiProblem } from '../errors.ts';
import { reconsider } from '../question.ts';
import { denialSentence } from '../words.ts';
import type { Api, ApiContext } from './context.ts';
import { ReconsideredCall, reconsideredCall } from './reconsidered-call.ts';
import {
  AnyObject,
  answers,
  asObject,
  Instant,
  instantOf,
  PageQuery,
  pageFrom,
  pageOf,
} from './schemas.ts';

const Group = z
  .object({
    id: z.string(),
    source: z.string(),
    sourceId: z.string().nullable(),
    destination: z.string(),
    namespace: z.string(),
    policy: z.string().nullable(),
    rule: z.string().nullable(),
    reason: z.string(),
    count: z.int(),
    first: Instant,
    last: Instant,
    sample: z.object({
      denialId: z.string(),
      method: z.string().nullable(),
      path: z.string().nullable(),
    }),
    sentence: z.string(),
    smallestChange: AnyObject.nullable(),
  })
  .openapi('DenialGroup');

const Detail = ReconsideredCall.extend({ record: AnyObject }).openapi('DenialDetail');

const list = createRoute({
  method: 'get',
  path: '/denials',
  summary:
    'Denials that are alike, the latest first, each with the smallest change that would allow it',
  request: { query: PageQuery.extend({ since: z.string().max(40).optional() }) },
  responses: answers(pageOf(Group)),
});

const one = createRoute({
  method: 'get',
  path: '/denials/{id}',
  summary: 'Why one call was denied, by the policy of then and of now',
  request: { params: z.object({ id: z.string().max(200) }) },
  responses: answers(Detail, ['not_found', 'cannot_answer']),
});

const DEFAULT_SINCE_MS = 24 * 3_600_000;
const MAX_GROUPS = 1_000;
const MAX_EXPLAINED = 2_000;

/** GET /denials and /denials/:id. */
export function addDenialRoutes(api: Api, context: ApiContext): void {
  const explain = createExplainer(context);
  api.openapi(list, async (c) => {
    const { since, ...page } = c.req.valid('query');
    const now = context.clock();
    const sinceMs = instantOf(since, 'since', now) ?? now - DEFAULT_SINCE_MS;
    const { items, next } = pageFrom(await context.records.denials(sinceMs, MAX_GROUPS), page);
    const samples = await context.records.byIds(items.map(({ sampleId }) => sampleId));
    // Only what is shown is explained: an explanation costs more than a tally.
    const groups = items.map((tally) => groupOf(tally, samples.get(tally.sampleId), explain));
    return c.json({ items: groups, next }, 200);
  });
  api.openapi(one, async (c) => {
    const { id } = c.req.valid('param');
    const record = await context.records.denial(id);
    if (record === undefined) {
      throw new ApiProblem(
        'not_found',
        `no record of denial \`${id}\` is kept: it may not have arrived yet`,
      );
    }
    return c.json({ record: asObject(record), ...reconsideredCall(record, context) }, 200);
  });
}

type Explain = (record: StoredRecord) => Explanation | undefined;

// The explanation of a sample at its version never changes, and the console asks for the same groups again and again.
function createExplainer({ resources, trustDomain, clock }: ApiContext): Explain {
  const known = new Map<string, Explanation | undefined>();
  return (record) => {
    const id = record['record.id'];
    if (!known.has(id)) {
      if (known.size >= MAX_EXPLAINED) known.clear();
      const found = reconsider(record, resources, trustDomain, clock());
      known.set(id, found.ok ? found.value.explanation : undefined);
    }
    return known.get(id);
  };
}

function groupOf(
  tally: DenialTally,
  record: StoredRecord | undefined,
  explain: Explain,
): z.infer<typeof Group> {
  const { sourceId, sourceService, namespace, service, policy, rule, reason } = tally;
  const explanation = record && explain(record);
  const source = callerName(sourceId, sourceService);
  const destination = `${namespace}/${service}`;
  const { method = null, path = null } = record ?? {};
  return {
    id: String(tally.sampleId),
    source,
    sourceId,
    destination,
    namespace,
    policy,
    rule,
    reason: reason ?? '',
    count: tally.count,
    first: new Date(tally.firstMs).toISOString(),
    last: new Date(tally.lastMs).toISOString(),
    sample: { denialId: record?.denial_id ?? '', method, path },
    sentence: denialSentence({ source, destination, method, path, reason }, explanation),
    smallestChange:
      explanation?.smallestChange === undefined ? null : { ...explanation.smallestChange },
  };
}
