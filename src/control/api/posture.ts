import { createRoute, z } from '@hono/zod-openapi';
import type { Api, ApiContext } from './context.ts';
import { answers } from './schemas.ts';

const ratio = z.number().min(0).max(1);

const PostureView = z
  .object({
    score: z.number(),
    of: z.literal(100),
    parts: z.array(
      z.object({
        name: z.string(),
        score: z.number(),
        of: z.number(),
        why: z.string(),
        fix: z.string(),
        command: z.string(),
      }),
    ),
    mtls_coverage: ratio,
    policy_coverage: ratio,
    audit_coverage: ratio,
    risk_trend: z.array(z.tuple([z.number(), z.number()])),
  })
  .openapi('Posture');

const posture = createRoute({
  method: 'get',
  path: '/posture',
  summary:
    'How well the mesh is defended, out of 100: each part with why, what to do, and its hours',
  responses: answers(PostureView),
});

/** GET /posture; `risk_trend` is [ms since 1970, score] by the hour, oldest first. */
export function addPostureRoute(api: Api, { alerts }: ApiContext): void {
  api.openapi(posture, async (c) => {
    const { mtlsCoverage, policyCoverage, auditCoverage, parts, trend, ...rest } =
      await alerts.posture();
    return c.json(
      {
        ...rest,
        parts: parts.map((part) => ({ ...part })),
        mtls_coverage: mtlsCoverage,
        policy_coverage: policyCoverage,
        audit_coverage: auditCoverage,
        risk_trend: trend.map(([at, score]): [number, number] => [at, score]),
      },
      200,
    );
  });
}
