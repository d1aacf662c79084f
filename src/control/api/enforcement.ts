import { createRoute, z } from '@hono/zod-openapi';
import type { Api, ApiContext } from './context.ts';
import { answers, Instant, PageQuery, pageFrom, pageOf } from './schemas.ts';

const Version = z.object({ number: z.int(), hash: z.string() });

const EnforcementPoint = z
  .object({
    node: z.string(),
    kind: z.string(),
    spiffeId: z.string().nullable(),
    namespace: z.string().nullable(),
    service: z.string().nullable(),
    connected: z.boolean(),
    connectedAt: Instant.nullable(),
    acknowledged: z.boolean(),
    lastSeen: Instant,
    sets: z.array(
      z.object({
        namespace: z.string(),
        wanted: Version.nullable(),
        enforced: Version.nullable(),
        current: z.boolean(),
        wantedSince: Instant.nullable(),
      }),
    ),
    stale: z.boolean(),
    reason: z.string(),
    refused: z.array(
      Version.extend({ namespace: z.string(), code: z.string(), message: z.string() }),
    ),
    ready: z.boolean(),
    readyReason: z.string(),
    certificateExpiresAt: Instant.nullable(),
    certificateSerial: z.string().nullable(),
    metricsUrl: z.string().nullable(),
    softwareVersion: z.string().nullable(),
    troubled: z.array(
      z.object({
        namespace: z.string(),
        service: z.string(),
        address: z.string(),
        health: z.string(),
      }),
    ),
    exposed: z.array(z.string()),
    endpoints: z.array(
      z.object({
        namespace: z.string(),
        service: z.string(),
        host: z.string(),
        port: z.int(),
        hbonePort: z.int(),
      }),
    ),
  })
  .openapi('EnforcementPoint');

const list = createRoute({
  method: 'get',
  path: '/enforcement-points',
  summary: 'Who enforces what, by their own acknowledgements',
  request: { query: PageQuery },
  responses: answers(pageOf(EnforcementPoint)),
});

/** GET /enforcement-points. */
export function addEnforcementRoute(api: Api, context: ApiContext): void {
  api.openapi(list, (c) => {
    const points = context.enforcement.status().map((point) => ({
      ...point,
      sets: [...point.sets],
      refused: [...point.refused],
      troubled: [...point.troubled],
      exposed: [...point.exposed],
      endpoints: context.endpoints
        .ofNode(point.node)
        .map(({ namespace, service, host, port, hbonePort }) => ({
          namespace,
          service,
          host,
          port,
          hbonePort,
        })),
    }));
    return c.json(pageFrom(points, c.req.valid('query')), 200);
  });
}
