import { createRoute, z } from '@hono/zod-openapi';
import { parseJson } from '../policy-sets.ts';
import type { Api, ApiContext } from './context.ts';
import { answers, Instant, instantOf, PageQuery, pageFrom, pageOf } from './schemas.ts';

const ResourceEntry = z
  .object({
    namespace: z.string(),
    kind: z.string(),
    name: z.string(),
    key: z.string(),
    resource: z.unknown(),
    source: z.string().nullable(),
    number: z.int(),
    author: z.string(),
    time: Instant,
  })
  .openapi('ResourceEntry');

const Hit = z
  .object({
    namespace: z.string(),
    policy: z.string(),
    rule: z.string().nullable(),
    verdict: z.enum(['allow', 'deny']),
    count: z.int(),
    last: Instant,
  })
  .openapi('PolicyHit');

const filter = z.string().max(320).optional();

const list = createRoute({
  method: 'get',
  path: '/resources',
  summary: 'What is in force, with its source and author',
  request: { query: PageQuery.extend({ kind: filter, namespace: filter, name: filter }) },
  responses: answers(pageOf(ResourceEntry)),
});

const hits = createRoute({
  method: 'get',
  path: '/hits',
  summary: 'How often each rule decided, by the records kept',
  request: { query: PageQuery.extend({ since: z.string().max(40).optional() }) },
  responses: answers(pageOf(Hit)),
});

const DEFAULT_HITS_MS = 24 * 3_600_000;

/** GET /resources and /hits. */
export function addResourceRoutes(api: Api, context: ApiContext): void {
  api.openapi(list, (c) => {
    const { kind, namespace, name, ...page } = c.req.valid('query');
    const found = entries(context, namespace).filter(
      (entry) =>
        (kind === undefined || entry.kind === kind) && (name === undefined || entry.name === name),
    );
    return c.json(pageFrom(found, page), 200);
  });
  api.openapi(hits, async (c) => {
    const { since, ...page } = c.req.valid('query');
    const now = context.clock();
    const sinceMs = instantOf(since, 'since', now) ?? now - DEFAULT_HITS_MS;
    const tallies = await context.records.hits(sinceMs);
    const items = tallies.map(({ policy, rule, verdict, count, lastMs }) => ({
      namespace: policy.split('/')[0] ?? '',
      policy,
      rule,
      verdict,
      count,
      last: new Date(lastMs).toISOString(),
    }));
    return c.json(pageFrom(items, page), 200);
  });
}

function entries(
  { store }: ApiContext,
  namespace: string | undefined,
): readonly z.infer<typeof ResourceEntry>[] {
  const heads = store
    .heads()
    .filter((head) => namespace === undefined || head.namespace === namespace);
  return heads.flatMap((head) =>
    store.resourcesAt(head.namespace, head.number).map(({ key, resource, ...facts }) => {
      const [kind = '', name = ''] = key.split('/');
      return {
        namespace: head.namespace,
        kind,
        name,
        key,
        resource: parseJson(resource),
        ...facts,
      };
    }),
  );
}
