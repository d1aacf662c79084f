import { createRoute, z } from '@hono/zod-openapi';
import { formatObjective, SLIS, type SloStatus } from '#alert';
import { formatDuration } from '#lib';
import type { Api, ApiContext } from './context.ts';
import { answers, PageQuery, pageFrom, pageOf } from './schemas.ts';

const SloView = z
  .object({
    name: z.string(),
    namespace: z.string().nullable(),
    service: z.string().nullable(),
    sli: z.string(),
    good_is: z.string(),
    objective: z.string(),
    window: z.string(),
    threshold: z.string().nullable(),
    good: z.number(),
    total: z.number(),
    budget_left_ratio: z.number(),
    burn_1h: z.number(),
    burn_6h: z.number(),
    state: z.enum(['ok', 'burning', 'exhausted', 'no_data']),
    alert: z.enum(['page', 'ticket', 'none']),
    built_in: z.boolean(),
  })
  .openapi('Slo');

const list = createRoute({
  method: 'get',
  path: '/slos',
  summary: 'Service level objectives and what is left of their error budgets',
  request: { query: PageQuery },
  responses: answers(pageOf(SloView)),
});

/** GET /slos. */
export function addSloRoute(api: Api, context: ApiContext): void {
  api.openapi(list, (c) =>
    c.json(pageFrom(context.alerts.slos().map(viewOf), c.req.valid('query')), 200),
  );
}

function viewOf(status: SloStatus): z.infer<typeof SloView> {
  const { slo } = status;
  return {
    name: slo.name,
    namespace: slo.namespace ?? null,
    service: slo.service ?? null,
    sli: slo.sli,
    good_is: SLIS[slo.sli].good,
    objective: formatObjective(slo.objective),
    window: formatDuration(slo.windowMs),
    threshold: slo.thresholdMs === undefined ? null : formatDuration(slo.thresholdMs),
    good: status.good,
    total: status.total,
    budget_left_ratio: status.budgetLeftRatio,
    burn_1h: status.burn1h,
    burn_6h: status.burn6h,
    state: status.state,
    alert: slo.alert,
    built_in: slo.builtIn,
  };
}
