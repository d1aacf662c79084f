import { createRoute, z } from '@hono/zod-openapi';
import { CallGroups, judgeRecorded, type RecordedChange } from '#compile';
import { ROOT_NAMESPACE } from '#resource';
import { ApiProblem } from '../errors.ts';
import type { Api, ApiContext } from './context.ts';
import { answers, Instant, instantOf, NamespacePath } from './schemas.ts';

const Verdict = z.object({
  verdict: z.enum(['allow', 'deny']),
  reason: z.string(),
  policy: z.string().nullable(),
});

const Changed = z.object({
  caller: z.string(),
  service: z.string(),
  method: z.string().nullable(),
  path: z.string().nullable(),
  port: z.int(),
  count: z.int(),
  before: Verdict,
  after: Verdict,
});

const Answer = z
  .object({
    before: z.int(),
    after: z.int(),
    since: Instant,
    records: z.int(),
    truncated: z.boolean(),
    total: z.int(),
    items: z.array(Changed),
  })
  .openapi('ChangedCalls');

const version = z.coerce.number().int().min(1).max(Number.MAX_SAFE_INTEGER);

const changed = createRoute({
  method: 'get',
  path: '/policy-sets/{ns}/changed-calls',
  summary: 'Recorded calls that one version of a namespace’s policy decides otherwise than another',
  request: {
    params: NamespacePath,
    query: z.object({
      number: version,
      against: version.optional(),
      since: z.string().max(40).optional(),
    }),
  },
  responses: answers(Answer, ['not_found']),
});

const DEFAULT_SINCE_MS = 3_600_000;
const PAGE = 1_000;
// SECURITY: who asks holds up the control plane while it judges, so both are bounded, and the answer says so.
const MAX_PAGES = 5;
const MAX_ITEMS = 200;

/** GET /policy-sets/:ns/changed-calls. */
export function addChangedCallsRoute(api: Api, context: ApiContext): void {
  const { resources, trustDomain, clock } = context;
  api.openapi(changed, async (c) => {
    const { ns } = c.req.valid('param');
    const { number, against = number - 1, since } = c.req.valid('query');
    const sinceMs = instantOf(since, 'since', clock()) ?? clock() - DEFAULT_SINCE_MS;
    const setsAt = (wanted: number) => {
      const { sets, exact } = resources.at(new Map([[ns, wanted]]));
      if (!exact) throw new ApiProblem('not_found', `\`${ns}\` has no commit ${wanted}`);
      return sets;
    };
    const [before, after] = [setsAt(against), setsAt(number)];
    const { groups, records, truncated } = await recentCalls(context, ns, sinceMs);
    const changes = await judgeInTurns(groups, { before, after, trustDomain });
    const answer = {
      before: against,
      after: number,
      since: new Date(sinceMs).toISOString(),
      records,
      truncated,
      total: changes.length,
      items: changes.slice(0, MAX_ITEMS).map((change) => ({
        ...change,
        before: { ...change.before, policy: change.before.policy ?? null },
        after: { ...change.after, policy: change.after.policy ?? null },
      })),
    };
    return c.json(answer, 200);
  });
}

/** As `judgeRecorded`, one service at a time: each has its policies compiled twice, and others have things to do too. */
async function judgeInTurns(
  groups: CallGroups,
  policies: Parameters<typeof judgeRecorded>[1],
): Promise<readonly RecordedChange[]> {
  const changes: RecordedChange[] = [];
  const byService = Map.groupBy(
    groups.all(),
    ({ namespace, service }) => `${namespace}/${service}`,
  );
  for (const calls of byService.values()) {
    changes.push(...judgeRecorded(calls, policies));
    await new Promise(setImmediate);
  }
  return changes.sort((a, b) => b.count - a.count);
}

/** The newest calls whose services a namespace's policy decides about: its own, of the root namespace all. */
async function recentCalls({ records }: ApiContext, namespace: string, sinceMs: number) {
  const groups = new CallGroups();
  let cursor: number | undefined;
  for (let page = 0; page < MAX_PAGES; page++) {
    const answer = await records.list({ sinceMs }, { limit: PAGE, cursor });
    for (const record of answer.records) {
      if (namespace !== ROOT_NAMESPACE && record['destination.namespace'] !== namespace) continue;
      groups.add({ ...record });
    }
    cursor = answer.next;
    if (cursor === undefined) break;
  }
  // Callers' own records of the same calls are no calls more.
  const judged = groups.all().reduce((sum, { count }) => sum + count, 0);
  return { groups, records: judged, truncated: cursor !== undefined };
}
