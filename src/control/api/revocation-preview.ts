import { createRoute, z } from '@hono/zod-openapi';
import { servingIdentities } from '#compile';
import { BACKDATE_MS, parseSpiffeId, requesterTag } from '#identity';
import { describeTarget, type RevocationTarget } from '#trust';
import { ApiProblem } from '../errors.ts';
import type { IssuedIdentity } from '../issuance.ts';
import { previewRevocation } from '../revocation-preview.ts';
import type { Api, ApiContext } from './context.ts';
import { holdersOf } from './identities.ts';
import { answers, Instant } from './schemas.ts';

const HitIdentity = z.object({
  spiffeId: z.string(),
  serials: z.array(z.string()),
  heldBy: z.array(z.string()),
  outcome: z.enum(['ends', 'renews']),
});

const HitEdge = z.object({
  source: z.string(),
  sourceId: z.string().nullable(),
  destination: z.string(),
  side: z.enum(['caller', 'server', 'both']),
  partly: z.boolean(),
  calls: z.int(),
  connections: z.int(),
  lastSeen: Instant,
});

const Preview = z
  .object({
    what: z.string(),
    revokedAlready: z.boolean(),
    certificates: z.int(),
    identities: z.array(HitIdentity),
    edges: z.array(HitEdge),
    totals: z.object({
      identities: z.int(),
      edges: z.int(),
      calls: z.int(),
      connections: z.int(),
    }),
    countedFrom: Instant,
    points: z.int(),
    log: z.object({ reachable: z.boolean(), reason: z.string() }),
  })
  .openapi('RevocationPreview');

const Query = z.object({
  kind: z.enum(['identity', 'serial', 'agent', 'all']),
  id: z.string().max(2048).optional(),
  serial: z.string().max(128).optional(),
  issuedBefore: z.iso.datetime().optional(),
});

const preview = createRoute({
  method: 'get',
  path: '/revocations/preview',
  summary:
    'What a revocation would hit, by the certificates and the traffic known; nothing is changed',
  request: { query: Query },
  responses: answers(Preview),
});

/** GET /revocations/preview. */
export function addRevocationPreviewRoute(api: Api, context: ApiContext): void {
  api.openapi(preview, async (c) => {
    const { issuance, map, enforcement, revocations, clock } = context;
    const target = targetOf(c.req.valid('query'));
    await issuance.refresh();
    const points = enforcement.status();
    const { from, edges } = map.recent();
    const found = previewRevocation({
      target,
      identities: issuance.identities(),
      isRevoked: (identity) => isRevoked(identity, context),
      holders: holdersOf(context),
      edges,
      servers: serversOf(context),
      nowMs: clock(),
    });
    const { reachable, reason } = issuance.state();
    const answer = {
      what: describeTarget(target),
      revokedAlready: revocations
        .active()
        .some((active) => clock() < active.until && isSame(active.target, target)),
      ...found,
      identities: found.identities.map((one) => ({
        ...one,
        serials: [...one.serials],
        heldBy: [...one.heldBy],
      })),
      edges: [...found.edges],
      countedFrom: from,
      points: points.filter(({ connected }) => connected).length,
      log: { reachable, reason },
    };
    return c.json(answer, 200);
  });
}

/** The target as its author would sign it; ends the request where it is none. */
function targetOf({ kind, id, serial, issuedBefore }: z.infer<typeof Query>): RevocationTarget {
  const bad = (detail: string) => new ApiProblem('bad_request', detail);
  const instant = issuedBefore === undefined ? null : new Date(issuedBefore).toISOString();
  if (kind === 'serial') {
    if (serial === undefined) throw bad('`serial` is missing');
    return { kind, serial };
  }
  if (kind === 'all') {
    if (instant === null) throw bad('`issuedBefore` is missing');
    return { kind, issuedBefore: instant };
  }
  const parsed = parseSpiffeId(id ?? '');
  if (!parsed.ok) throw bad(`\`id\`: ${parsed.error}`);
  return { kind, id: parsed.value.text, issuedBefore: instant };
}

/** Of two revocations of the same the one of all there is says more. */
function isSame(active: RevocationTarget, wanted: RevocationTarget): boolean {
  if (active.kind === 'serial') return wanted.kind === 'serial' && active.serial === wanted.serial;
  if (active.kind === 'all' || wanted.kind === 'all' || wanted.kind === 'serial') return false;
  return active.kind === wanted.kind && active.id === wanted.id && active.issuedBefore === null;
}

function isRevoked(
  { spiffeId, serial, issuedAt, requestedBy }: IssuedIdentity,
  { revocations, clock }: ApiContext,
): boolean {
  const id = parseSpiffeId(spiffeId);
  if (!id.ok) return false;
  const notBefore = Math.floor((Date.parse(issuedAt) - BACKDATE_MS) / 1_000) * 1_000;
  const requester = requestedBy === '' ? undefined : requesterTag(requestedBy);
  const svid = { id: id.value, serial, notBefore, requester };
  return revocations.check.current()(svid, clock()) !== undefined;
}

/** Who may serve each Service, by `namespace/name`. */
function serversOf({
  resources,
  trustDomain,
}: ApiContext): ReadonlyMap<string, ReadonlySet<string>> {
  const services = [...resources.now()].flatMap(([namespace, set]) =>
    set.resources.flatMap((resource) =>
      resource.kind === 'Service'
        ? [
            [
              `${namespace}/${resource.metadata.name}`,
              servingIdentities(resource, trustDomain),
            ] as const,
          ]
        : [],
    ),
  );
  return new Map(services);
}
