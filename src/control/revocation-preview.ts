import type { RevocationTarget } from '#trust';
import type { IssuedIdentity } from './issuance.ts';
import type { RecentEdge } from './map.ts';

/** What a revocation would hit, by what the control plane knows; nothing is changed. Lists hold the largest first. */
export type RevocationPreview = {
  /** Certificates that are valid now and would not be; not those that another revocation took already. */
  readonly certificates: number;
  readonly identities: readonly HitIdentity[];
  readonly edges: readonly HitEdge[];
  /** Sums over all edges, those beyond the list too. */
  readonly totals: { readonly identities: number } & Traffic & { readonly edges: number };
};

/** An identity that loses certificates. */
export type HitIdentity = {
  readonly spiffeId: string;
  /** Serials, newest first. */
  readonly serials: readonly string[];
  /** Connected enforcement points that say they have one of these. */
  readonly heldBy: readonly string[];
  /** `ends`: it gets no other one while this is revoked; `renews`: whoever can prove itself gets a new one at once. */
  readonly outcome: 'ends' | 'renews';
};

/** Traffic between two workloads of which the caller, the server, or both, would be cut off. */
export type HitEdge = Traffic & {
  readonly source: string;
  readonly sourceId: string | null;
  /** `namespace/service` */
  readonly destination: string;
  readonly side: 'caller' | 'server' | 'both';
  /** Other instances of that side keep their certificates, and some of this traffic may be theirs. */
  readonly partly: boolean;
  readonly lastSeen: string;
};

type Traffic = { readonly calls: number; readonly connections: number };

/** What the preview is made of. */
export type PreviewFacts = {
  readonly target: RevocationTarget;
  readonly identities: readonly IssuedIdentity[];
  /** Whether a certificate is revoked by what is in force. */
  readonly isRevoked: (identity: IssuedIdentity) => boolean;
  /** By serial: the connected enforcement point, or the control plane, that has this certificate. */
  readonly holders: ReadonlyMap<string, string>;
  readonly edges: readonly RecentEdge[];
  /** By `namespace/service`: SPIFFE IDs that may serve it. */
  readonly servers: ReadonlyMap<string, ReadonlySet<string>>;
  readonly nowMs: number;
};

// SECURITY: a mesh has as many of these as it likes; an answer is for a person to read.
const MAX_LISTED = 500;

/** Finds what a revocation would hit. */
export function previewRevocation(facts: PreviewFacts): RevocationPreview {
  const { target, nowMs } = facts;
  const valid = facts.identities.filter(
    (one) => Date.parse(one.expiresAt) > nowMs && !facts.isRevoked(one),
  );
  const hit = valid.filter((one) => hits(target, one));
  const { holders } = facts;
  const identities = Array.from(
    Map.groupBy(hit, ({ spiffeId }) => spiffeId),
    ([spiffeId, certificates]): HitIdentity => ({
      spiffeId,
      serials: certificates.map(({ serial }) => serial),
      heldBy: certificates.flatMap(({ serial }) => holders.get(serial) ?? []),
      outcome: outcomeOf(target, nowMs),
    }),
  ).sort((a, b) => b.heldBy.length - a.heldBy.length || (a.spiffeId < b.spiffeId ? -1 : 1));
  const edges = hitEdges(facts, { hit, kept: valid.filter((one) => !hits(target, one)), holders });
  return {
    certificates: hit.length,
    identities: identities.slice(0, MAX_LISTED),
    edges: edges.slice(0, MAX_LISTED),
    totals: {
      identities: identities.length,
      edges: edges.length,
      calls: edges.reduce((sum, { calls }) => sum + calls, 0),
      connections: edges.reduce((sum, { connections }) => sum + connections, 0),
    },
  };
}

/** Whether a certificate is what the target means, as enforcement points will see it. */
export function hits(
  target: RevocationTarget,
  { spiffeId, serial, requestedBy, issuedAt }: IssuedIdentity,
): boolean {
  if (target.kind === 'serial') return serial === target.serial;
  const { issuedBefore } = target;
  // Certificates know seconds only; what enforcement points see is what counts.
  const issuedMs = Math.floor(Date.parse(issuedAt) / 1_000) * 1_000;
  if (issuedBefore !== null && issuedMs >= Date.parse(issuedBefore)) return false;
  if (target.kind === 'all') return true;
  return spiffeId === target.id || (target.kind === 'agent' && requestedBy === target.id);
}

function outcomeOf(target: RevocationTarget, nowMs: number): HitIdentity['outcome'] {
  if (target.kind === 'serial') return 'renews';
  const { issuedBefore } = target;
  return issuedBefore !== null && Date.parse(issuedBefore) <= nowMs ? 'renews' : 'ends';
}

type Split = {
  readonly hit: readonly IssuedIdentity[];
  readonly kept: readonly IssuedIdentity[];
  readonly holders: ReadonlyMap<string, string>;
};

function hitEdges(facts: PreviewFacts, { hit, kept, holders }: Split): readonly HitEdge[] {
  const { target } = facts;
  const ids = new Set(hit.map(({ spiffeId }) => spiffeId));
  // Who has certificates of another authority, or whose issuance is not known here, is hit all the same.
  if (target.kind === 'identity' || target.kind === 'agent') ids.add(target.id);
  // A certificate that was renewed since is nobody's any more; what lives on is the newest, or what a point says it has.
  const living = new Set(
    kept
      .filter(({ current, serial }) => current || holders.has(serial))
      .map(({ spiffeId }) => spiffeId),
  );
  const isUsed = hit.some(({ current, serial }) => current || holders.has(serial));
  // Of a single certificate that nobody has any more nothing is cut.
  if (target.kind === 'serial' && !isUsed) return [];
  return facts.edges
    .flatMap(({ source, sourceId, destination, calls, connections, lastSeen }): HitEdge[] => {
      const servers = facts.servers.get(destination) ?? new Set();
      const isCaller = sourceId !== null && ids.has(sourceId);
      const isServer = [...servers].some((id) => ids.has(id));
      if (!isCaller && !isServer) return [];
      const callerLives = isCaller && sourceId !== null && living.has(sourceId);
      const serverLives = [...servers].some((id) => living.has(id));
      const side = isCaller && isServer ? 'both' : isCaller ? 'caller' : 'server';
      const partly = (!isCaller || callerLives) && (!isServer || serverLives);
      return [{ source, sourceId, destination, side, partly, calls, connections, lastSeen }];
    })
    .sort((a, b) => b.calls + b.connections - (a.calls + a.connections));
}
