import { createRoute, z } from '@hono/zod-openapi';
import type { Api, ApiContext } from './context.ts';
import { answers, Instant, PageQuery, pageFrom } from './schemas.ts';

const Identity = z
  .object({
    spiffeId: z.string(),
    serial: z.string(),
    issuedAt: Instant,
    expiresAt: Instant,
    selectors: z.array(z.string()),
    attestation: z.string().nullable(),
    allowedBy: z.string(),
    requestedBy: z.string(),
    certificateSha256: z.string(),
    logNumber: z.int(),
    current: z.boolean(),
    heldBy: z.string().nullable(),
  })
  .openapi('Identity');

const IdentityPage = z
  .object({
    items: z.array(Identity),
    next: z.string().nullable(),
    log: z
      .object({ number: z.int(), hash: z.string(), verified: z.boolean(), reason: z.string() })
      .nullable(),
    reachable: z.boolean(),
    reason: z.string(),
  })
  .openapi('IdentityPage');

const list = createRoute({
  method: 'get',
  path: '/identities',
  summary: 'Certificates by the issuance log of the authority, newest first',
  request: {
    query: PageQuery.extend({
      current: z.enum(['true', 'false']).optional(),
      spiffeId: z.string().max(2048).optional(),
    }),
  },
  responses: answers(IdentityPage),
});

/** GET /identities. */
export function addIdentityRoute(api: Api, context: ApiContext): void {
  api.openapi(list, async (c) => {
    const { current, spiffeId, ...page } = c.req.valid('query');
    await context.issuance.refresh();
    const holders = holdersOf(context);
    const found = context.issuance
      .identities()
      .filter((identity) => current === undefined || String(identity.current) === current)
      .filter((identity) => spiffeId === undefined || identity.spiffeId === spiffeId)
      .map((identity) => ({
        ...identity,
        selectors: [...identity.selectors],
        heldBy: holders.get(identity.serial) ?? null,
      }));
    return c.json({ ...pageFrom(found, page), ...context.issuance.state() }, 200);
  });
}

/** Who is connected, or is this process, by the serial of the certificate that it says it has. */
export function holdersOf({ enforcement, facts }: ApiContext): ReadonlyMap<string, string> {
  const holders = new Map([[facts().identity().serial, 'control']]);
  for (const { connected, certificateSerial, node } of enforcement.status()) {
    if (connected && certificateSerial !== null) holders.set(certificateSerial, node);
  }
  return holders;
}
