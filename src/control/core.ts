import { openCheckpoint } from '#audit';
import type { Added, RecordStore } from '#record-store';
import { openRevocationStore, type RevocationStore } from '#revocation';
import { EVENT, type Log } from '#telemetry';
import { encodeEnvelope } from '#trust';
import type { AdmissionContext } from './admit.ts';
import { openAlertFiles } from './alert-files.ts';
import { type AlertOptions, type Alerts, createAlerts } from './alerts.ts';
import { createCheckpointProofs } from './audit-gossip.ts';
import { type AuditTrail, openAuditTrail } from './audit-trail.ts';
import { type ConsoleSessions, createConsoleSessions } from './console-sessions.ts';
import { createDistributor, type Distributor } from './distribute.ts';
import { createEndpointRegistry, type EndpointRegistry } from './endpoints.ts';
import { createEnforcement, type Enforcement } from './enforcement.ts';
import { type Broadcast, type ControlEvent, createBroadcast, throttle } from './events.ts';
import type { IssuanceReader } from './issuance.ts';
import { createTrafficMap, type TrafficMap } from './map.ts';
import { type ControlMetrics, createControlMetrics } from './metrics.ts';
import { loadPolicySets, type PolicySets } from './policy-sets.ts';
import { createPresenceSaver } from './presence.ts';
import { createRecordHealth, type RecordHealth } from './record-health.ts';
import { createResourceView, type ResourceView } from './resource-sets.ts';
import { createSessionFile } from './session-file.ts';
import { slosOf } from './slos.ts';
import type { Store } from './store.ts';
import { openStore } from './store-sqlite.ts';
import type { TrustAnchor } from './trust-root-file.ts';
import { createUpdateBuilder, type SetHead } from './updates.ts';

/** Everything between the ports: what is stored, who has it, and what happens. */
export type ControlCore = {
  readonly startedAt: number;
  readonly store: Store;
  readonly sets: PolicySets;
  readonly resources: ResourceView;
  readonly admission: AdmissionContext;
  readonly policyChanged: (namespace: string) => void;
  readonly distributor: Distributor;
  readonly endpoints: EndpointRegistry;
  readonly enforcement: Enforcement;
  readonly map: TrafficMap;
  readonly records: RecordStore;
  readonly recordHealth: RecordHealth;
  readonly revocations: RevocationStore;
  /** What was done here, by whom. */
  readonly audit: AuditTrail;
  /** Batches of records, once they are on disk; parsed when a listener asks for them. */
  readonly arriving: Broadcast<Added>;
  readonly events: Broadcast<ControlEvent>;
  readonly sessions: ConsoleSessions;
  readonly metrics: ControlMetrics;
  readonly alerts: Alerts;
  /** After records were stored. */
  readonly recordsStored: (added: Added) => void;
  /** After edges were counted. */
  readonly onTraffic: () => void;
  /** Reads the issuance log now and then; returns how to stop. */
  readonly follow: (issuance: IssuanceReader) => () => void;
  readonly close: () => Promise<void>;
};

/** What the core is made of. */
export type CoreOptions = {
  readonly controlPath: string;
  /** Closed by who opened it, after the core. */
  readonly records: RecordStore;
  readonly sessionsPath: string;
  readonly revocationsPath: string;
  readonly silencesPath: string;
  readonly alertsPath: string;
  /** Holds `audit/`. */
  readonly folder: string;
  readonly auditRetentionMs: number;
  readonly pinned: TrustAnchor;
  readonly clock: () => number;
  readonly log: Log;
};

const ENDPOINT_GRACE_MS = 30_000;
const FORGET_POINTS_MS = 10 * 60_000;
const STALE_AFTER_MS = 5_000;
const SWEEP_MS = 1_000;
const PRUNE_MS = 60_000;
const ISSUANCE_MS = 10_000;
const HINT_MS = 1_000;

/** Opens both databases, verifies what is in them, and starts the clockwork. Throws if they cannot be opened. */
export function createCore(options: CoreOptions): ControlCore {
  const { clock, log, pinned, records } = options;
  const store = openStore(options.controlPath);
  const trustRoot = () => pinned.root;
  const revocations = openRevocationStore({ path: options.revocationsPath, trustRoot, log });
  const audit = openTrail(options);
  const onError = (error: unknown): void => log.error(EVENT.listenerFailed, { error });
  const events = createBroadcast<ControlEvent>(onError);
  const sets = loadPolicySets({
    store,
    trustRoot: pinned.root,
    nowMs: clock(),
    onBroken: (namespace, error) => log.error(EVENT.policySetBroken, { namespace, ...error }),
  });
  const resources = createResourceView(sets, store);
  const enforcement = createEnforcement({
    clock,
    sets,
    revocations: revocations.summary,
    restored: store.points(),
    forgetAfterMs: FORGET_POINTS_MS,
    staleAfterMs: STALE_AFTER_MS,
    onChange: (node) => events.publish({ kind: 'enforcement', node }),
  });
  const endpoints = createEndpointRegistry({
    clock,
    graceMs: ENDPOINT_GRACE_MS,
    onChange: (service) => distributor.endpointsChanged(service),
  });
  const distributor: Distributor = openDistributor(options, { sets, endpoints, store, audit });
  endpoints.restore(store.endpoints());
  const map = createTrafficMap(clock);
  const arriving = createBroadcast<Added>(onError);
  const clockwork = startClockwork({ store, records, enforcement, endpoints, map, clock, log });
  const hints = createHints(events, clock);
  const metrics = createControlMetrics();
  const recordHealth = createRecordHealth({ records, clock, log });
  const { gaps, hours } = recordHealth;
  const sources = { resources, sets, store, enforcement, map, records, gaps, hours, clock, log };
  const told = { onChange: hints.alerts, onPropagated: metrics.propagated };
  const alerts = startAlerts(options, { ...sources, ...told }, events);
  return {
    startedAt: clock(),
    store,
    sets,
    resources,
    admission: { trustDomain: pinned.trustDomain, trustRoot, store, sets, resources, clock },
    policyChanged(namespace) {
      enforcement.policyChanged(namespace);
      distributor.policyChanged(namespace);
      hints.policy(sets.current(namespace)?.head, namespace);
    },
    distributor,
    endpoints,
    enforcement,
    map,
    records,
    recordHealth,
    revocations,
    audit,
    arriving,
    events,
    sessions: openSessions(options),
    metrics,
    alerts,
    recordsStored: (added) => takeRecords(added, { map, arriving, hints }),
    onTraffic: hints.map,
    follow: (issuance) => followIssuance(issuance, hints.identities),
    async close() {
      alerts.close();
      recordHealth.close();
      clockwork();
      await audit.close();
      revocations.close();
      store.close();
    },
  };
}

function openTrail({ folder, pinned, auditRetentionMs, clock, log }: CoreOptions): AuditTrail {
  const openEnvelope = (envelope: unknown) => openCheckpoint(envelope, pinned.root);
  return openAuditTrail({
    folder,
    trustDomain: pinned.trustDomain,
    openEnvelope,
    retentionMs: auditRetentionMs,
    clock,
    log,
  });
}

function openDistributor(
  { pinned, log }: CoreOptions,
  of: Pick<ControlCore, 'sets' | 'endpoints' | 'store' | 'audit'>,
): Distributor {
  const { sets, endpoints, store, audit } = of;
  const distributor = createDistributor({
    sets,
    endpoints,
    updates: createUpdateBuilder(sets, store),
    onError: (error) => log.error(EVENT.messageNotBuilt, { error }),
    trustRoot: () => encodedRoot(pinned),
    auditCheckpoint: createCheckpointProofs(audit),
  });
  pinned.onChange(distributor.trustRootChanged);
  audit.onCheckpoint(distributor.auditSigned);
  return distributor;
}

function startAlerts(
  { silencesPath: silences, alertsPath: state, log }: CoreOptions,
  sources: Omit<AlertOptions, 'files' | 'slos'>,
  events: Broadcast<ControlEvent>,
): Alerts {
  const onError = (error: unknown): void => log.warn(EVENT.alertsNotRead, { error });
  const files = openAlertFiles({ silences, state }, onError);
  const alerts = createAlerts({ ...sources, files, slos: slosOf(sources.resources.now()) });
  const look = throttle<void>(HINT_MS, () => void alerts.evaluate());
  events.listen(({ kind }) => {
    if (kind === 'policy') alerts.setSlos(slosOf(sources.resources.now()));
    if (kind === 'enforcement') look();
  });
  return alerts;
}

function encodedRoot({ root, envelope }: TrustAnchor) {
  return { version: root.version, envelope: encodeEnvelope(envelope) };
}

function openSessions({ sessionsPath, clock, log }: CoreOptions): ConsoleSessions {
  const onError = (error: unknown): void => log.warn(EVENT.sessionsNotKept, { error });
  return createConsoleSessions(clock, createSessionFile(sessionsPath, onError));
}

type Hints = {
  readonly policy: (head: SetHead | undefined, namespace: string) => void;
  readonly map: () => void;
  readonly overview: () => void;
  readonly identities: () => void;
  readonly alerts: () => void;
  readonly denials: (count: number) => void;
};

function createHints(events: Broadcast<ControlEvent>, clock: () => number): Hints {
  const at = (): string => new Date(clock()).toISOString();
  const plain = (kind: 'map' | 'overview' | 'identities' | 'alerts'): (() => void) => {
    const send = throttle(HINT_MS, () => events.publish({ kind, at: at() }));
    return () => send(undefined);
  };
  let denied = 0;
  const denials = throttle(HINT_MS, () => {
    events.publish({ kind: 'denials', at: at(), count: denied });
    denied = 0;
  });
  const overview = plain('overview');
  return {
    policy(head, namespace) {
      if (head !== undefined) {
        events.publish({ kind: 'policy', namespace, number: head.number, hash: head.hash });
      }
      overview();
    },
    map: plain('map'),
    overview,
    identities: plain('identities'),
    alerts: plain('alerts'),
    denials(count) {
      denied += count;
      denials(undefined);
      overview();
    },
  };
}

function takeRecords(
  added: Added,
  {
    map,
    arriving,
    hints,
  }: {
    readonly map: TrafficMap;
    readonly arriving: Broadcast<Added>;
    readonly hints: Hints;
  },
): void {
  arriving.publish(added);
  for (const edge of added.deniedEdges) map.denied(edge);
  if (added.denied > 0) hints.denials(added.denied);
}

async function pruneRecords(records: RecordStore, nowMs: number, log: Log): Promise<void> {
  try {
    const pruned = await records.prune(nowMs);
    if (!pruned.ok) log.warn(EVENT.recordsNotStored, { reason: pruned.error });
  } catch (error) {
    log.warn(EVENT.recordsNotStored, { error });
  }
}

function startClockwork(parts: {
  readonly store: Store;
  readonly records: RecordStore;
  readonly enforcement: Enforcement;
  readonly endpoints: EndpointRegistry;
  readonly map: TrafficMap;
  readonly clock: () => number;
  readonly log: Log;
}): () => void {
  const { enforcement, endpoints, map, records, clock, log } = parts;
  const savePresence = createPresenceSaver(parts);
  const prune = (): void => void pruneRecords(records, clock(), log);
  const sweeping = setInterval(() => {
    enforcement.sweep();
    endpoints.sweep();
    savePresence();
  }, SWEEP_MS);
  const pruning = setInterval(() => {
    map.sweep();
    prune();
  }, PRUNE_MS);
  return () => {
    clearInterval(sweeping);
    clearInterval(pruning);
    savePresence();
  };
}

function followIssuance(issuance: IssuanceReader, onNews: () => void): () => void {
  const refresh = async (): Promise<void> => {
    if (await issuance.refresh()) onNews();
  };
  void refresh();
  const timer = setInterval(() => void refresh(), ISSUANCE_MS);
  return () => clearInterval(timer);
}
