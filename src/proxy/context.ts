import type { WorkloadIdentity } from '#identity';
import type { Reauthorization, Snapshot, Timeouts } from '#snapshot';
import { type Counter, createTraceIds, EVENT, type TraceIds } from '#telemetry';
import { createTlsIdentity, type TlsIdentity } from './authenticate.ts';
import type { Enforcement } from './authorize.ts';
import { CallerAccounts } from './caller-budget.ts';
import { EndpointGroups } from './endpoint-groups.ts';
import { H2Pool } from './h2-pool.ts';
import type { Tunnels } from './hbone-client.ts';
import { HealthChecks } from './health-check.ts';
import { fetchJwks } from './jwks-fetch.ts';
import { LiveConnections } from './live.ts';
import type { ProxyOptions } from './options.ts';
import { IDLE_SHARE } from './pool.ts';
import { TokenStage } from './token.ts';
import { TokenKeys } from './token-keys.ts';

/** What every connection of one proxy shares. */
export type ProxyContext = {
  readonly options: ProxyOptions;
  readonly live: LiveConnections;
  readonly groups: EndpointGroups;
  readonly checks: HealthChecks;
  /** HTTP/2 connections to servers. */
  readonly h2: H2Pool;
  readonly ids: TraceIds;
  /** The certificate to show now; undefined while there is none. */
  readonly tls: () => TlsIdentity | undefined;
  readonly enforcement: () => Enforcement;
  readonly timeouts: () => Timeouts;
  /** To other proxies. */
  readonly tunnels: Tunnels;
  /** From other proxies; drained when our own certificate is another one. */
  readonly inboundTunnels: Set<{ readonly drain: () => void }>;
  /** Counts a ruling; resolved once for each reason, since every request passes here. */
  readonly tokens: TokenStage;
  readonly tokenKeys: TokenKeys;
  readonly countRuling: (verdict: 'allow' | 'deny', reason: string) => void;
  /** What callers have spent. */
  readonly accounts: CallerAccounts;
  /** The proxy takes no further requests on open connections. */
  draining: boolean;
};

/** Limits that hold while there is no snapshot to say others. */
export const DEFAULT_TIMEOUTS: Timeouts = {
  connectMs: 5_000,
  idleMs: 300_000,
  headerMs: 10_000,
  responseMs: 60_000,
  sessionMs: 86_400_000,
};

/** What holds while there is no snapshot: plain requests finish, all else is cut. */
export const DEFAULT_REAUTHORIZATION: Reauthorization = { requests: 'finish', withinMs: 5_000 };

/** Creates what the connections of a proxy share, but for the tunnels, which dial with it. */
export function createContext(options: ProxyOptions): Omit<ProxyContext, 'tunnels'> {
  let tls: TlsIdentity | undefined;
  let unusable: WorkloadIdentity | undefined;
  const rulings = new Map<string, Counter>();
  const live = new LiveConnections();
  const timeouts = (): Timeouts => options.snapshots.current()?.timeouts ?? DEFAULT_TIMEOUTS;
  const { metrics, log, clock, fetchJwks: fetchText = fetchJwks, jwksStore: store } = options;
  const keys = new TokenKeys({ fetchText, store, metrics, log, clock });
  return {
    options,
    live,
    h2: new H2Pool(
      () => IDLE_SHARE * timeouts().idleMs,
      (error) => {
        metrics.refused(error).value++;
      },
    ),
    groups: new EndpointGroups({ now: () => live.now, random: Math.random, metrics, log }),
    checks: new HealthChecks({ now: () => live.now, metrics, log }),
    tokens: new TokenStage(keys),
    tokenKeys: keys,
    accounts: new CallerAccounts(() => performance.now()),
    ids: createTraceIds(),
    tls() {
      const identity = options.identity.current();
      if (identity === undefined || identity === unusable) return undefined;
      // Rotation gives a new object: the context is made once for each.
      const keyExchange = options.snapshots.current()?.keyExchange ?? 'prefer-hybrid';
      if (tls?.identity === identity && tls.keyExchange === keyExchange) return tls;
      try {
        tls = createTlsIdentity(identity, keyExchange);
        return tls;
      } catch (error) {
        // A key that OpenSSL cannot read must not end the process: there is no identity, then.
        unusable = identity;
        options.log.error(EVENT.failed, { what: 'certificate', error });
        return undefined;
      }
    },
    enforcement: () => ({
      snapshot: options.snapshots.current(),
      identity: options.identity.current(),
      nowMs: options.clock(),
      heardAt: options.heardAt?.(),
      revocations: options.revocations?.current(),
    }),
    timeouts,
    countRuling(verdict, reason) {
      let counter = rulings.get(reason);
      if (counter === undefined) {
        counter = options.metrics.decision(verdict, reason);
        rulings.set(reason, counter);
      }
      counter.value++;
    },
    inboundTunnels: new Set(),
    draining: false,
  };
}

/** The hosts' part of a connection's SNI: `outbound_.PORT_._.NAME.NS.svc.TD`, as Istio writes it. */
export function serverNameOf(fqdn: string, port: number): string {
  return `outbound_.${port}_._.${fqdn}`;
}

/** The fully qualified name of the workload's own service. */
export function ownFqdn(snapshot: Snapshot): string {
  const { service, namespace } = snapshot.workload;
  return `${service}.${namespace}.svc.${snapshot.trustDomain}`;
}
