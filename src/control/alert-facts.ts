import type {
  AuditLogFact,
  DenialBurst,
  DenialWatch,
  MeshFacts,
  SinkFact,
  TelemetryGap,
} from '#alert';
import { callerName, type DenialTally, type RecordStore } from '#record-store';
import { ROOT_NAMESPACE } from '#resource';
import type { SinkState } from '#sink';
import type { Enforcement, PointStatus } from './enforcement.ts';
import type { HorizonItem } from './horizon.ts';
import type { IssuanceReader } from './issuance.ts';
import { isPlaintext, type TrafficMap } from './map.ts';
import type { PolicySets } from './policy-sets.ts';
import type { Store } from './store.ts';

/** Where the facts of alerts come from. */
export type FactSources = {
  readonly sets: PolicySets;
  readonly store: Store;
  readonly enforcement: Enforcement;
  readonly map: TrafficMap;
  readonly records: RecordStore;
  readonly watch: DenialWatch;
  /** Undefined until the ports are open. */
  readonly late: () => LateSources | undefined;
  /** In the last five minutes. */
  readonly failedWrites: () => number;
  readonly gaps: () => readonly TelemetryGap[];
};

/** What exists only once the control plane has an identity. */
export type LateSources = {
  readonly issuance: IssuanceReader;
  readonly rootsExpireAt: () => readonly number[];
  readonly horizon?: (() => readonly HorizonItem[]) | undefined;
  readonly controlCertificateExpiresAt: () => number;
  /** Batches of records that could not be stored since the start. */
  readonly failedWrites: () => number;
  readonly sinks?: (() => readonly SinkFact[]) | undefined;
  readonly auditLogs?: (() => readonly AuditLogFact[]) | undefined;
};

// What of the horizon is for whoever runs the authority; the rest has alerts of its own.
const OF_AUTHORITY: ReadonlySet<string> = new Set(['issuer', 'authority', 'jwt_key']);
const EXPECTED_MS = 10 * 60_000;
const BURST_MS = 5 * 60_000;
const MAX_TALLIES = 10_000;
const POLICY_KEY = 'AuthorizationPolicy/';

/** A sink as alerts see it. */
export function sinkFact({ name, state, lanes }: SinkState, nowMs: number): SinkFact {
  const oldest = Math.min(...lanes.map(({ oldestAt }) => oldestAt ?? nowMs));
  const failing = lanes.find(({ lastError }) => lastError !== null);
  return {
    name,
    state,
    lagSeconds: Math.max(0, nowMs - oldest) / 1_000,
    lastError: failing?.lastError ?? null,
  };
}

/** Looks at everything once. */
export async function collectFacts(of: FactSources, nowMs: number): Promise<MeshFacts> {
  const late = of.late();
  const state = late?.issuance.state();
  return {
    nowMs,
    points: withLives(of.enforcement.status(), late?.issuance),
    policySets: of.sets.all().map(({ namespace, head }) => ({
      namespace,
      expiresAt: Date.parse(head.commit.expires),
    })),
    brokenSets: Array.from(of.sets.broken(), ([namespace, { message }]) => ({
      namespace,
      message,
    })),
    authority: {
      reachable: state?.reachable ?? true,
      reason: state?.reason ?? '',
      logVerified: state?.log?.verified,
      logReason: state?.log?.reason ?? '',
      rootsExpireAt: late?.rootsExpireAt() ?? [],
      due: (late?.horizon?.() ?? []).filter(
        ({ kind, actAt }) => OF_AUTHORITY.has(kind) && actAt !== null && actAt <= nowMs,
      ),
    },
    foreignBundles: (late?.horizon?.() ?? []).filter(
      ({ kind, actAt }) => kind === 'foreign_bundle' && actAt !== null && actAt <= nowMs,
    ),
    controlCertificateExpiresAt: late?.controlCertificateExpiresAt() ?? Number.POSITIVE_INFINITY,
    plaintext: of.map
      .edges()
      .filter((edge) => isPlaintext(edge))
      .map(({ source, destination, requests, denied }) => ({
        source,
        destination,
        calls: requests - denied,
      })),
    bursts: await burstsOf(of, nowMs),
    telemetry: { failedWrites: of.failedWrites(), gaps: of.gaps() },
    sinks: late?.sinks?.() ?? [],
    auditLogs: late?.auditLogs?.() ?? [],
  };
}

/** Enforcement points with how long their certificates live, as the authority's log has it. */
function withLives(
  points: readonly PointStatus[],
  issuance: IssuanceReader | undefined,
): MeshFacts['points'] {
  const wanted = new Set(points.map(({ certificateSerial }) => certificateSerial));
  const lives = new Map<string, number>();
  for (const { serial, issuedAt, expiresAt } of issuance?.identities() ?? []) {
    if (wanted.has(serial)) lives.set(serial, Date.parse(expiresAt) - Date.parse(issuedAt));
  }
  return points.map((point) => ({
    ...point,
    certificateLifeMs: lives.get(point.certificateSerial ?? ''),
  }));
}

async function burstsOf(of: FactSources, nowMs: number): Promise<readonly DenialBurst[]> {
  const bursts = of.watch.bursts(nowMs);
  if (bursts.length === 0) return [];
  const tallies = Map.groupBy(
    await of.records.denials(nowMs - BURST_MS, MAX_TALLIES),
    ({ sourceId, sourceService, namespace, service }) =>
      `${callerName(sourceId, sourceService)}>${namespace}/${service}`,
  );
  const allowed = new Set(
    of.map.edges().flatMap(({ id, requests, denied }) => (requests > denied ? [id] : [])),
  );
  return Promise.all(
    bursts.map(async ({ source, destination, denied, usual }) => {
      const id = `${source}>${destination}`;
      const own = tallies.get(id) ?? [];
      const most = own.toSorted((a, b) => b.count - a.count)[0];
      const [namespace = ''] = destination.split('/');
      const sample = most && (await of.records.byId(most.sampleId));
      return {
        source,
        destination,
        namespace,
        denied,
        usual,
        policy: most?.policy ?? null,
        reason: most?.reason ?? null,
        denialId: sample?.denial_id ?? null,
        // SECURITY: a caller that was never allowed before was not shut out by a commit.
        expectedBy: allowed.has(id)
          ? expectedBy(of, { namespace, tallies: own, nowMs })
          : undefined,
      };
    }),
  );
}

/**
 * The fresh commit that explains every one of these denials: it changed policies, and each was denied by one of those
 * or for want of one. SECURITY: what no author decided (a peer that proves nothing, a question that could not be
 * answered) is never expected.
 */
function expectedBy(
  { store }: FactSources,
  denials: {
    readonly namespace: string;
    readonly tallies: readonly DenialTally[];
    readonly nowMs: number;
  },
): string | undefined {
  const { tallies, nowMs } = denials;
  if (tallies.length === 0) return undefined;
  for (const namespace of [denials.namespace, ROOT_NAMESPACE]) {
    const [commit] = store.history(namespace, { before: undefined, limit: 1 });
    if (commit === undefined || nowMs - Date.parse(commit.receivedAt) > EXPECTED_MS) continue;
    const changed = commit.changes.flatMap(({ key }) =>
      key.startsWith(POLICY_KEY) ? [`${namespace}/${key.slice(POLICY_KEY.length)}`] : [],
    );
    const explains = ({ policy, reason, firstMs }: DenialTally): boolean =>
      reason === 'policy_denied' &&
      changed.length > 0 &&
      firstMs >= Date.parse(commit.receivedAt) &&
      (policy === null || changed.includes(policy));
    if (tallies.every(explains)) return `${namespace}@${commit.number}`;
  }
  return undefined;
}
