import { createRoute, z } from '@hono/zod-openapi';
import { survey } from '../survey.ts';
import type { Api, ApiContext } from './context.ts';
import { answers, Instant } from './schemas.ts';

const count = z.int();

const Overview = z
  .object({
    sentence: z.string(),
    problems: z.array(
      z.object({
        severity: z.enum(['page', 'ticket', 'info']),
        sentence: z.string(),
        command: z.string().nullable(),
      }),
    ),
    counts: z.object({
      services: count,
      namespaces: count,
      policies: count,
      proxies: count,
      proxiesConnected: count,
      stale: count,
      refusing: count,
      edges: count,
      edgesEncrypted: count,
      denialsLastHour: count,
      identities: count,
    }),
    series: z.object({
      stepSeconds: count,
      from: Instant,
      calls: z.array(z.number()),
      denied: z.array(z.number()),
      errors: z.array(z.number()),
    }),
  })
  .openapi('Overview');

const overview = createRoute({
  method: 'get',
  path: '/overview',
  summary: 'Whether everything is all right, in a sentence, and what needs a person',
  responses: answers(Overview),
});

/** GET /overview. */
export function addOverviewRoute(api: Api, context: ApiContext): void {
  api.openapi(overview, async (c) => {
    const conditions = await context.alerts.conditions();
    const { problems, series, ...found } = await survey(context, conditions);
    const { calls, denied, errors, ...time } = series;
    const slots = { calls: [...calls], denied: [...denied], errors: [...errors] };
    return c.json({ ...found, problems: [...problems], series: { ...time, ...slots } }, 200);
  });
}
