import { createRoute, z } from '@hono/zod-openapi';
import { CallGroups, judgeRecorded, type RecordedChange } from '#compile';
import type { Condition } from '#record-store';
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
    oldest: Instant.nullable().openapi({
      description: 'of the calls judged; null where there were none',
    }),
    nowDenied: z
      .int()
      .openapi({ description: 'calls of all groups that were allowed and are denied' }),
    nowAllowed: z.int(),
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
    const { groups, ...judged } = await recentCalls(context, ns, sinceMs);
    const changes = await judgeInTurns(groups, { before, after, trustDomain });
    const answer = {
      before: against,
      after: number,
      since: new Date(sinceMs).toISOString(),
      ...judged,
      nowDenied: callsNow('deny', changes),
      nowAllowed: callsNow('allow', changes),
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
  return withoutRepeats(changes).sort((a, b) => b.count - a.count);
}

/** Calls that were decided otherwise when they were recorded, or named another host, fare alike here: they are one. */
function withoutRepeats(changes: readonly RecordedChange[]): RecordedChange[] {
  const alike = Map.groupBy(changes, (call) => JSON.stringify({ ...call, count: 0 }));
  return [...alike.values()].flatMap(([first, ...more]) =>
    first === undefined
      ? []
      : [{ ...first, count: more.reduce((sum, { count }) => sum + count, first.count) }],
  );
}

function callsNow(verdict: 'allow' | 'deny', changes: readonly RecordedChange[]): number {
  const alike = changes.filter(({ after }) => after.verdict === verdict);
  return alike.reduce((sum, { count }) => sum + count, 0);
}

/** The newest calls whose services a namespace's policy decides about: its own, of the root namespace all. */
async function recentCalls({ records }: ApiContext, namespace: string, sinceMs: number) {
  const groups = new CallGroups();
  // Callers' own records of the same calls are no calls more, and must not use up the pages either.
  const where: Condition[] = [equal('reporter', 'destination')];
  if (namespace !== ROOT_NAMESPACE) where.push(equal('destination.namespace', namespace));
  let cursor: number | undefined;
  for (let page = 0; page < MAX_PAGES; page++) {
    const answer = await records.list({ sinceMs, where }, { limit: PAGE, cursor });
    for (const record of answer.records) groups.add({ ...record });
    cursor = answer.next;
    if (cursor === undefined) break;
  }
  const judged = groups.all();
  return {
    groups,
    records: judged.reduce((sum, { count }) => sum + count, 0),
    truncated: cursor !== undefined,
    oldest: judged.map(({ first }) => first).sort()[0] ?? null,
  };
}

function equal(field: string, value: string): Condition {
  return { kind: 'field', field, operator: 'eq', value };
}
