// A mesh for tests and benchmarks: a root, identities, policies and snapshots without any other process.
import { randomBytes, X509Certificate } from 'node:crypto';
import {
  type Bundle,
  createKeyPair,
  createRoot,
  derToPem,
  type Issuer,
  issueX509Svid,
  parseTrustDomain,
  type TrustDomain,
  type WorkloadIdentity,
  workloadSpiffeId,
} from '#identity';
import { type Cell, createCell } from '#lib';
import {
  type AuthoredCondition,
  type ConditionIr,
  compileForSomeUser,
  compileProgram,
  type PolicyIr,
  parseCondition,
} from '#policy';
import {
  type AuthorizationProvider,
  DEFAULT_TELEMETRY,
  type InboundPort,
  type Limits,
  NO_LIMITS,
  type Snapshot,
  type TrafficPolicy,
  type UpstreamPort,
  type UpstreamService,
} from '#snapshot';
import {
  type AccessRecord,
  createProxyMetrics,
  createSilentLog,
  type ProxyMetrics,
  type RecordedCall,
} from '#telemetry';
import type { ProxyOptions } from './options.ts';

const HOUR_MS = 3_600_000;

/** One trust domain's authority. */
export type FakeMesh = {
  readonly trustDomain: TrustDomain;
  readonly root: Issuer;
  readonly bundle: Bundle;
  readonly issue: (account: string, validity?: Validity) => WorkloadIdentity;
};

/** Milliseconds from now; negative for the past. */
export type Validity = { readonly fromMs?: number; readonly forMs?: number };

/** What a workload's policy is made of: conditions of one rule, all of which must hold. */
export type FakeRule = Readonly<Partial<Record<AuthoredCondition['field'], readonly string[]>>>;

/** Creates a trust domain with one root. */
export function createFakeMesh(domain = 'cluster.local'): FakeMesh {
  const parsed = parseTrustDomain(domain);
  if (!parsed.ok) throw new Error(parsed.error);
  const trustDomain = parsed.value;
  const root = createRoot({ trustDomain, nowMs: Date.now(), ttlMs: 24 * HOUR_MS });
  const bundle = { trustDomain, x509Roots: [new X509Certificate(root.certificateDer)] };
  return {
    trustDomain,
    root,
    bundle,
    issue(account, { fromMs = -HOUR_MS, forMs = 2 * HOUR_MS } = {}) {
      const { privateKey, publicKey } = createKeyPair();
      const id = workloadSpiffeId(trustDomain, 'default', account);
      const serial = randomBytes(16);
      // Positive, and with no leading zero that other readers of the certificate would leave out.
      serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40;
      const notBefore = Date.now() + fromMs;
      const expiresAt = notBefore + forMs;
      const der = issueX509Svid({
        issuer: root,
        id,
        publicKeyDer: publicKey.export({ type: 'spki', format: 'der' }),
        serial,
        notBefore,
        expiresAt,
      });
      return {
        id,
        privateKeyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
        chainPem: derToPem(der),
        chainDer: [der],
        serial: serial.toString('hex'),
        notBefore,
        expiresAt,
        bundles: [bundle],
      };
    },
  };
}

/** One policy of the namespace `default`. */
export function fakePolicy(
  action: PolicyIr['action'],
  name: string,
  ...rules: FakeRule[]
): PolicyIr {
  const scope = { trustDomain: 'cluster.local', namespace: 'default' };
  const conditions = (rule: FakeRule): ConditionIr[] =>
    Object.entries(rule).map(([field, values = []]) => {
      const authored = { field: field as AuthoredCondition['field'], negated: false, values };
      const parsed = parseCondition(authored, scope);
      if (!parsed.ok) throw new Error(parsed.error);
      return parsed.value;
    });
  return {
    id: `default/${name}`,
    namespace: 'default',
    name,
    action,
    dryRun: false,
    rules: rules.map((rule) => ({ sources: [], operations: [], when: conditions(rule) })),
    origin: { labels: {}, annotations: {}, matchLabels: undefined, targets: [] },
  };
}

/** What differs between snapshots of tests. */
export type FakeSnapshot = {
  readonly service: string;
  readonly policies?: readonly PolicyIr[];
  readonly tokens?: Snapshot['tokens'];
  readonly inbound?: readonly Partial<InboundPort>[];
  readonly upstreams?: readonly UpstreamService[];
  readonly timeouts?: Partial<Snapshot['timeouts']>;
  readonly limits?: Partial<Limits>;
  readonly staleness?: Snapshot['staleness'];
  readonly pathNormalization?: Snapshot['pathNormalization'];
  readonly reauthorization?: Snapshot['reauthorization'];
  readonly telemetry?: Partial<Snapshot['telemetry']>;
  readonly keyExchange?: Snapshot['keyExchange'];
  readonly providers?: readonly AuthorizationProvider[];
};

const TIMEOUTS = {
  connectMs: 2_000,
  idleMs: 30_000,
  headerMs: 5_000,
  responseMs: 10_000,
  sessionMs: 60_000,
};

/** A snapshot for the workload of `service` in the namespace `default`. */
export function fakeSnapshot(mesh: FakeMesh, options: FakeSnapshot): Snapshot {
  const { service, policies = [], inbound = [{}], upstreams = [] } = options;
  const hosts = upstreams.flatMap((upstream) => {
    const short = `${upstream.name}.${upstream.namespace}`;
    return [upstream.name, short, `${short}.svc`, upstream.fqdn].map(
      (host) => [host, upstream] as const,
    );
  });
  return {
    version: 'default@1',
    versions: { default: { number: 1, hash: 'none' } },
    workload: {
      namespace: 'default',
      service,
      labels: { app: service },
      id: workloadSpiffeId(mesh.trustDomain, 'default', service),
    },
    trustDomain: mesh.trustDomain,
    federated: [],
    program: compileProgram(policies, { defaultAction: 'deny' }),
    userProgram: compileForSomeUser(policies, { defaultAction: 'deny' }),
    policies,
    defaultAction: 'deny',
    tokens: options.tokens ?? [],
    keyExchange: options.keyExchange ?? 'prefer-hybrid',
    inbound: inbound.map((port) => ({
      port: 80,
      name: 'http',
      protocol: 'http',
      proxyProtocolFrom: [],
      targetPort: undefined,
      peerMode: 'STRICT',
      ...port,
    })),
    timeouts: { ...TIMEOUTS, ...options.timeouts },
    limits: { ...NO_LIMITS, ...options.limits },
    pathNormalization: options.pathNormalization ?? 'STRICT',
    upstreams: new Map(hosts),
    // oxlint-disable-next-line unicorn/no-thenable -- the snapshot's own field name; nobody awaits it
    staleness: options.staleness ?? { budgetMs: HOUR_MS, then: 'enforce' },
    providers: new Map((options.providers ?? []).map((one) => [one.name, one])),
    trustedHops: 0,
    reauthorization: options.reauthorization ?? { requests: 'finish', withinMs: 5_000 },
    telemetry: { ...DEFAULT_TELEMETRY, ...options.telemetry },
  };
}

/** What differs from the traffic policy of a Service that says nothing. */
export type FakeTraffic = {
  readonly loadBalancing?: TrafficPolicy['loadBalancing'];
  readonly retries?: Partial<TrafficPolicy['retries']>;
  readonly limits?: Partial<Limits>;
  readonly outlierDetection?: Partial<TrafficPolicy['outlierDetection']>;
  readonly healthCheck?: TrafficPolicy['healthCheck'];
};

/** A traffic policy with the defaults of a Service. */
export function fakeTraffic(options: FakeTraffic = {}): TrafficPolicy {
  return {
    loadBalancing: options.loadBalancing ?? 'LEAST_REQUEST',
    retries: {
      attempts: 2,
      perTryMs: undefined,
      on: new Set(['connect-failure', 'reset']),
      budget: { percent: 20, minPerSecond: 10 },
      ...options.retries,
    },
    limits: { ...NO_LIMITS, ...options.limits },
    outlierDetection: {
      consecutiveGatewayErrors: 5,
      consecutiveConnectFailures: 1,
      intervalMs: 10_000,
      baseEjectionMs: 2_000,
      maxEjectionMs: 60_000,
      maxEjectionPercent: 50,
      successRate: undefined,
      ...options.outlierDetection,
    },
    healthCheck: options.healthCheck,
  };
}

/** A service whose servers have the identity of the account `account`. */
export function fakeService(
  mesh: FakeMesh,
  name: string,
  options: {
    readonly account?: string;
    readonly ports?: readonly UpstreamPort[];
    readonly traffic?: FakeTraffic;
  } = {},
): UpstreamService {
  return {
    namespace: 'default',
    name,
    fqdn: `${name}.default.svc.${mesh.trustDomain}`,
    ports: options.ports ?? [{ port: 80, name: 'http', protocol: 'http' }],
    identities: new Set([
      workloadSpiffeId(mesh.trustDomain, 'default', options.account ?? name).text,
    ]),
    timeouts: TIMEOUTS,
    traffic: fakeTraffic(options.traffic),
    pathNormalization: 'STRICT',
  };
}

/** A record as tests look at it: what the proxy filled in, with the constant part parsed. */
export type SeenRecord = Omit<RecordedCall, 'connection'> & {
  readonly about: Partial<AccessRecord>;
};

/** A workload's side of the world, changeable while its proxy runs. */
export type FakeWorkload = {
  readonly snapshots: Cell<Snapshot | undefined>;
  readonly identity: Cell<WorkloadIdentity | undefined>;
  readonly records: SeenRecord[];
  readonly metrics: ProxyMetrics;
  readonly options: (more: Partial<ProxyOptions>) => ProxyOptions;
};

/** A workload with this snapshot and identity, whose records are kept in a list. */
export function fakeWorkload(
  snapshot: Snapshot | undefined,
  identity: WorkloadIdentity | undefined,
): FakeWorkload {
  const snapshots = createCell<Snapshot | undefined>(snapshot);
  const own = createCell<WorkloadIdentity | undefined>(identity);
  const records: SeenRecord[] = [];
  const workload = { service: 'test', namespace: 'default', trustDomain: 'cluster.local' };
  const metrics = createProxyMetrics({ workload, clock: Date.now });
  return {
    snapshots,
    identity: own,
    records,
    metrics,
    options: (more) => ({
      snapshots,
      identity: own,
      endpoints: () => [],
      resolve: () => Promise.resolve(undefined),
      appPort: undefined,
      listen: { inbound: undefined, outbound: undefined, upstreams: [] },
      records: {
        record(call) {
          const { connection, ...rest } = call;
          records.push({ ...rest, about: JSON.parse(`{${connection.json.slice(1)}}`) });
        },
      },
      metrics,
      log: createSilentLog(),
      clock: Date.now,
      ...more,
    }),
  };
}
