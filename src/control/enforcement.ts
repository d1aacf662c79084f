import { isHash } from '#audit';
import { type Ack, type Hello, type Refusal, type SetVersion } from '#wire';
import { type AgentBundle, agentBundles, type ReportedBundle } from './foreign-bundles.ts';
import type { PolicySets } from './policy-sets.ts';
import type { StoredPoint } from './store.ts';
import type { SetHead } from './updates.ts';

/** One namespace's set at one enforcement point: what it should enforce and what it says it does. */
export type PointSet = {
  readonly namespace: string;
  readonly wanted: SetHead | null;
  readonly enforced: SetHead | null;
  readonly current: boolean;
  /** ISO 8601: since when the wanted version is wanted, as far as this process knows. */
  readonly wantedSince: string | null;
};

/** A refusal as the enforcement point reported it. */
export type PointRefusal = SetHead & {
  readonly namespace: string;
  readonly code: string;
  readonly message: string;
};

/** The status of one enforcement point; times are ISO 8601, `reason` is words and empty when all is well. */
export type PointStatus = Omit<
  PointFacts,
  'namespaces' | 'enforced' | 'via' | 'auditKept' | 'foreign'
> & {
  readonly sets: readonly PointSet[];
  /** Whether it enforces every revocation known here. */
  readonly revocationsCurrent: boolean;
  readonly stale: boolean;
  readonly reason: string;
};

type PointFacts = {
  readonly node: string;
  readonly kind: string;
  readonly spiffeId: string | null;
  readonly namespace: string | null;
  readonly service: string | null;
  /** The agent it came through. */
  readonly via: string;
  readonly connected: boolean;
  readonly connectedAt: string | null;
  /** Whether it has acknowledged anything on its present stream; until then `enforced` is what its hello said it holds. */
  readonly acknowledged: boolean;
  readonly lastSeen: string;
  readonly namespaces: readonly string[];
  readonly enforced: Readonly<Record<string, SetHead>>;
  readonly refused: readonly PointRefusal[];
  /** What it says of the revocations it enforces; null while it said nothing. */
  readonly revocations: { readonly count: number; readonly digest: string } | null;
  readonly trustRootVersion: number | null;
  /** SHA-256 of the root under which its certificate stands. */
  readonly certificateRoot: string | null;
  readonly ready: boolean;
  readonly readyReason: string;
  readonly certificateExpiresAt: string | null;
  readonly certificateSerial: string | null;
  readonly metricsUrl: string | null;
  readonly softwareVersion: string | null;
  /** Endpoints of services it calls that it leaves alone. */
  readonly troubled: readonly TroubledEndpoint[];
  /** Addresses besides loopback where its application listens: ways around its sidecar. */
  readonly exposed: readonly string[];
  /** For agents: the checkpoint of the audit log here that they keep. */
  readonly auditKept: { readonly size: number; readonly root: string } | null;
  /** For agents: the bundles of foreign trust domains that they keep. */
  readonly foreign: readonly AgentBundle[];
};

/** What one proxy thinks of an endpoint: `ejected` or `unhealthy`. */
export type TroubledEndpoint = {
  readonly namespace: string;
  readonly service: string;
  readonly address: string;
  readonly health: string;
};

/** An agent that keeps a checkpoint of the audit log. */
export type AuditWitness = { readonly node: string; readonly size: number; readonly root: string };

/** Who enforces what, by their own acknowledgements. */
export type Enforcement = {
  readonly connected: (hello: Hello, via: string) => void;
  readonly acknowledged: (node: string, ack: Ack) => void;
  /** A clean goodbye is forgotten at once; a lost one is remembered, for somebody should know. */
  readonly disconnected: (node: string, clean: boolean) => void;
  /** The agent a connected node came through; undefined if it is not connected. */
  readonly connectedVia: (node: string) => string | undefined;
  /** The agent a connected node came through, and the identity it proved to it. */
  readonly connectedPoint: (
    node: string,
  ) => { readonly via: string; readonly spiffeId: string | null } | undefined;
  readonly policyChanged: (namespace: string) => void;
  readonly status: () => readonly PointStatus[];
  /** Who keeps which checkpoint of the audit log, by their own word. */
  readonly witnesses: () => readonly AuditWitness[];
  /** What connected agents say of the foreign bundles that they keep. */
  readonly foreignBundles: () => readonly ReportedBundle[];
  /** Forgets those lost for longer than `forgetAfterMs`. */
  readonly sweep: () => void;
  /** Nodes heard of since the last call. */
  readonly takeChanges: () => ReadonlySet<string>;
  /** What to store of a node; undefined: nothing, it is forgotten. */
  readonly stored: (node: string) => StoredPoint | undefined;
};

const AWAY = { connected: false, acknowledged: false };
const MAX_EXPOSED = 16;
const MAX_ADDRESS = 60;
const MAX_TROUBLED = 32;
const MAX_TROUBLED_TEXT = 300;

/** Times in ms. */
export type EnforcementOptions = {
  readonly clock: () => number;
  readonly sets: PolicySets;
  /** The revocations held here. */
  readonly revocations: () => { readonly count: number; readonly digest: string };
  readonly restored: readonly StoredPoint[];
  readonly forgetAfterMs: number;
  /** How long a version may take to be enforced before the point counts as stale. */
  readonly staleAfterMs: number;
  readonly onChange: (node: string) => void;
};

/** Creates the status of all points, beginning with those known before a restart, as not connected. */
export function createEnforcement(options: EnforcementOptions): Enforcement {
  const { clock, sets } = options;
  const points = new Map<string, PointFacts>();
  const wantedSince = new Map<string, number>();
  let changed = new Set<string>();
  for (const { state } of options.restored) {
    const facts = parseFacts(state);
    if (facts !== undefined) points.set(facts.node, { ...facts, ...AWAY });
  }

  function put(node: string, facts: PointFacts | undefined): void {
    const before = points.get(node);
    if (facts === undefined) points.delete(node);
    else points.set(node, facts);
    changed.add(node);
    // An acknowledgement that only says "still so" is no news.
    if (newsOf(before) !== newsOf(facts)) options.onChange(node);
  }

  return {
    connected: (hello, via) => put(hello.node, factsOfHello(hello, via, nowIso(clock))),
    acknowledged(node, ack) {
      const facts = points.get(node);
      if (facts !== undefined) {
        put(node, { ...facts, ...factsOfAck(ack), acknowledged: true, lastSeen: nowIso(clock) });
      }
    },
    disconnected(node, clean) {
      const facts = points.get(node);
      if (facts === undefined) return;
      put(node, clean ? undefined : { ...facts, ...AWAY, lastSeen: nowIso(clock) });
    },
    connectedPoint(node) {
      const facts = points.get(node);
      return facts?.connected === true ? facts : undefined;
    },
    connectedVia(node) {
      const facts = points.get(node);
      return facts?.connected === true ? facts.via : undefined;
    },
    policyChanged: (namespace) => wantedSince.set(namespace, clock()),
    status: () =>
      Array.from(points.values(), (facts) =>
        statusOf(facts, {
          sets,
          wantedSince,
          nowMs: clock(),
          staleAfterMs: options.staleAfterMs,
          revocations: options.revocations(),
        }),
      ).sort((a, b) => (a.node < b.node ? -1 : 1)),
    witnesses: () =>
      Array.from(points.values()).flatMap(({ node, auditKept }) =>
        auditKept === null ? [] : [{ node, ...auditKept }],
      ),
    foreignBundles: () =>
      Array.from(points.values()).flatMap(({ node, connected, foreign }) =>
        connected ? foreign.map((bundle) => ({ ...bundle, node })) : [],
      ),
    sweep() {
      const oldest = clock() - options.forgetAfterMs;
      for (const { node, connected, lastSeen } of Array.from(points.values())) {
        if (!connected && Date.parse(lastSeen) < oldest) put(node, undefined);
      }
    },
    takeChanges() {
      const taken = changed;
      changed = new Set();
      return taken;
    },
    stored(node) {
      const facts = points.get(node);
      return facts && { node, state: JSON.stringify(facts) };
    },
  };
}

function newsOf(facts: PointFacts | undefined): string {
  return JSON.stringify({
    ...facts,
    lastSeen: undefined,
    auditKept: undefined,
    foreign: undefined,
  });
}

function factsOfHello(hello: Hello, via: string, now: string): PointFacts {
  const [serves] = hello.endpoints;
  const [namespace, service] = hello.node.split('/');
  const named = hello.node.split('/').length === 3;
  return {
    node: hello.node,
    kind: hello.kind,
    spiffeId: hello.spiffeId === '' ? null : hello.spiffeId,
    namespace: serves?.namespace ?? (named ? (namespace ?? null) : null),
    service: serves?.service ?? (named ? (service ?? null) : null),
    via,
    connected: true,
    connectedAt: now,
    acknowledged: false,
    lastSeen: now,
    namespaces: hello.namespaces,
    enforced: headsOf(hello.known),
    refused: [],
    revocations: null,
    trustRootVersion: Number(hello.trustRootVersion),
    certificateRoot: null,
    ready: false,
    readyReason: 'not acknowledged yet',
    certificateExpiresAt: null,
    certificateSerial: null,
    metricsUrl: hello.metricsUrl === '' ? null : hello.metricsUrl,
    softwareVersion: hello.softwareVersion === '' ? null : hello.softwareVersion,
    troubled: [],
    exposed: [],
    auditKept: null,
    foreign: [],
  };
}

function factsOfAck(ack: Ack): Partial<PointFacts> {
  return {
    enforced: headsOf(ack.enforced),
    refused: ack.refused.map(refusalOf),
    revocations:
      ack.revocationsDigest === ''
        ? null
        : { count: Number(ack.revocations), digest: ack.revocationsDigest },
    ...(ack.trustRootVersion > 0n ? { trustRootVersion: Number(ack.trustRootVersion) } : {}),
    certificateRoot: ack.certificateRoot === '' ? null : ack.certificateRoot,
    ready: ack.ready,
    readyReason: ack.readyReason,
    certificateExpiresAt:
      ack.certificateExpiresAtMs > 0n && ack.certificateExpiresAtMs < 8_640_000_000_000_000n
        ? new Date(Number(ack.certificateExpiresAtMs)).toISOString()
        : null,
    certificateSerial: ack.certificateSerial === '' ? null : ack.certificateSerial,
    // SECURITY: bounded here too, whatever a proxy sends.
    troubled: ack.troubled.slice(0, MAX_TROUBLED).map(troubledOf),
    exposed: ack.exposed.slice(0, MAX_EXPOSED).map((address) => address.slice(0, MAX_ADDRESS)),
    auditKept: isHash(ack.auditRoot) ? { size: Number(ack.auditSize), root: ack.auditRoot } : null,
    foreign: agentBundles(ack.foreignBundles),
  };
}

function troubledOf({ namespace, service, address, health }: TroubledEndpoint): TroubledEndpoint {
  const short = (text: string): string => text.slice(0, MAX_TROUBLED_TEXT);
  return {
    namespace: short(namespace),
    service: short(service),
    address: short(address),
    health: short(health),
  };
}

function refusalOf({ namespace, number, hash, code, message }: Refusal): PointRefusal {
  return { namespace, number: Number(number), hash, code, message };
}

function headsOf(versions: readonly SetVersion[]): Record<string, SetHead> {
  return Object.fromEntries(
    versions.map(({ namespace, number, hash }) => [namespace, { number: Number(number), hash }]),
  );
}

type StatusContext = {
  readonly sets: PolicySets;
  readonly wantedSince: ReadonlyMap<string, number>;
  readonly nowMs: number;
  readonly staleAfterMs: number;
  readonly revocations: { readonly digest: string };
};

function statusOf(facts: PointFacts, context: StatusContext): PointStatus {
  const { namespaces, enforced, via: _via, auditKept: _kept, foreign: _foreign, ...shown } = facts;
  const sets = wantedNamespaces(namespaces, enforced, context.sets).map((namespace) =>
    pointSet(namespace, enforced[namespace], context),
  );
  const late = sets.filter((set) => isLate(set, facts, context));
  const stale = !facts.connected || facts.refused.length > 0 || late.length > 0;
  const revocationsCurrent = facts.revocations?.digest === context.revocations.digest;
  return {
    ...shown,
    sets,
    revocationsCurrent,
    stale,
    reason: stale ? staleReason(facts, late) : '',
  };
}

function wantedNamespaces(
  namespaces: readonly string[],
  enforced: PointFacts['enforced'],
  sets: PolicySets,
): readonly string[] {
  const all = namespaces.includes('*') ? sets.all().map((set) => set.namespace) : namespaces;
  return [...new Set([...all, ...Object.keys(enforced)])].sort();
}

function pointSet(
  namespace: string,
  enforced: SetHead | undefined,
  { sets, wantedSince }: StatusContext,
): PointSet {
  const head = sets.current(namespace)?.head;
  const since = wantedSince.get(namespace) ?? Date.parse(head?.commit.time ?? '');
  return {
    namespace,
    wanted: head === undefined ? null : { number: head.number, hash: head.hash },
    enforced: enforced ?? null,
    current: head?.hash === enforced?.hash,
    wantedSince: Number.isFinite(since) ? new Date(since).toISOString() : null,
  };
}

function isLate(set: PointSet, facts: PointFacts, context: StatusContext): boolean {
  if (set.current) return false;
  const since = Math.max(
    Date.parse(set.wantedSince ?? '') || 0,
    Date.parse(facts.connectedAt ?? '') || 0,
  );
  return context.nowMs - since > context.staleAfterMs;
}

function staleReason(facts: PointFacts, late: readonly PointSet[]): string {
  const [refusal] = facts.refused;
  if (refusal !== undefined) {
    return `refused version ${refusal.number} of ${refusal.namespace}: ${refusal.message}`;
  }
  if (!facts.connected) return `not connected since ${facts.lastSeen}`;
  return late
    .map(({ namespace, wanted, enforced }) => {
      const has = enforced === null ? 'nothing' : `version ${enforced.number}`;
      return wanted === null
        ? `enforces ${has} of ${namespace}, which has no policy set here`
        : `enforces ${has} of ${namespace} instead of version ${wanted.number}`;
    })
    .join('; ');
}

const LEARNT_LATER = {
  acknowledged: false,
  troubled: [],
  exposed: [],
  auditKept: null,
  foreign: [],
};

type Stored = Omit<PointFacts, keyof typeof LEARNT_LATER> & Partial<PointFacts>;

function parseFacts(state: string): PointFacts | undefined {
  try {
    // What an earlier version stored lacks what it did not know.
    return { ...LEARNT_LATER, ...(JSON.parse(state) as Stored) };
  } catch {
    // A row that nobody can read is forgotten; the point will say hello again.
    return undefined;
  }
}

function nowIso(clock: () => number): string {
  return new Date(clock()).toISOString();
}
