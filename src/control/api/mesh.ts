import { createRoute, z } from '@hono/zod-openapi';
import type { Api, ApiContext } from './context.ts';
import { answers, Envelope, Instant } from './schemas.ts';

const SessionInfo = z
  .object({
    kind: z.enum(['admin', 'console']),
    name: z.string(),
    readOnly: z.boolean(),
    expiresAt: Instant.nullable(),
  })
  .openapi('Session');

const MeshInfo = z
  .object({
    trustDomain: z.string(),
    strict: z.boolean(),
    autoRegister: z.boolean(),
    version: z.string(),
    apiUrl: z.string(),
    grpcAddress: z.string(),
    caAddress: z.string(),
    consoleUrl: z.string().nullable(),
    trustRootVersion: z.int(),
    startedAt: Instant,
    now: Instant,
    identity: z.object({
      ready: z.boolean(),
      reason: z.string(),
      expiresAt: Instant.nullable(),
      serial: z.string().nullable(),
    }),
  })
  .openapi('MeshInfo');

const session = createRoute({
  method: 'get',
  path: '/session',
  summary: 'Who the API takes the caller for',
  responses: answers(SessionInfo),
});

const mesh = createRoute({
  method: 'get',
  path: '/mesh',
  summary: 'The mesh and where its parts listen',
  responses: answers(MeshInfo),
});

const trustRoot = createRoute({
  method: 'get',
  path: '/trust-root',
  summary: 'The trust root in its signed envelope',
  responses: answers(Envelope),
});

/** GET /session, /mesh and /trust-root. */
export function addMeshRoutes(api: Api, context: ApiContext): void {
  api.openapi(session, (c) => {
    const { kind, name, readOnly, expiresAt } = c.get('session');
    const ends = expiresAt === undefined ? null : new Date(expiresAt).toISOString();
    return c.json({ kind, name, readOnly, expiresAt: ends }, 200);
  });
  api.openapi(mesh, (c) => c.json(meshInfo(context), 200));
  api.openapi(trustRoot, (c) => {
    const { payloadType, payload, signatures } = context.trustRoot.envelope;
    return c.json({ payloadType, payload, signatures: [...signatures] }, 200);
  });
}

function meshInfo(context: ApiContext): z.infer<typeof MeshInfo> {
  const { startedAt, identity, autoRegister, ...addresses } = context.facts();
  const { serial, expiresAt } = identity();
  const now = context.clock();
  const ready = now < expiresAt;
  return {
    ...addresses,
    trustDomain: context.trustDomain,
    strict: !autoRegister,
    autoRegister,
    trustRootVersion: context.trustRoot.root.version,
    startedAt: new Date(startedAt).toISOString(),
    now: new Date(now).toISOString(),
    identity: {
      ready,
      reason: ready ? '' : 'the certificate ran out and the authority has not renewed it',
      expiresAt: new Date(expiresAt).toISOString(),
      serial,
    },
  };
}
