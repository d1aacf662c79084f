import { join } from 'node:path';
import {
  createEnforcementPoint,
  createRecordShipper,
  type EnforcementPoint,
  type ExposureWatch,
  followRedactionKeys,
  type RecordShipper,
  type RedactionKeyClient,
  readShippedSeq,
  readSocketTables,
  type TroubledEndpoint,
  watchExposure,
} from '#agent';
import { layoutOf, readMeshSettings } from '#client';
import { createConsult } from '#ext-authz';
import { createFlooredClock } from '#lib';
import { type Consult, createProxy, type EndpointSummary, type Proxy } from '#proxy';
import { ROOT_NAMESPACE } from '#resource';
import { changedPolicies, DEFAULT_TELEMETRY, type Snapshot } from '#snapshot';
import {
  type AccessLog,
  createAccessLog,
  createAdminServer,
  createProxyMetrics,
  createRedactor,
  createSampler,
  DEFAULT_RECORDS_PER_SECOND,
  DEFAULT_ROLLOUT_MS,
  EVENT,
  type Log,
  type ProxyGauges,
  type ProxyMetrics,
  type RecordTrouble,
} from '#telemetry';
import { createJwksStore } from './jwks-store.ts';
import { type ProxyFolder, takeProxyFolder } from './proxy-folder.ts';
import { withDeclared } from './service-endpoints.ts';
import { StartError } from './start-error.ts';

export { openProxyLog } from './start-log.ts';

/** What one sidecar is started with; port 0 takes a free one. */
export type ProxyRequest = {
  readonly dataDir: string;
  readonly namespace: string;
  readonly service: string;
  readonly appPort: number | undefined;
  readonly inboundPort: number;
  readonly hbonePort: number;
  readonly outboundPort: number;
  readonly metricsPort: number;
  readonly upstreams: readonly {
    readonly service: string;
    readonly port: number | undefined;
    readonly localPort: number;
  }[];
  readonly softwareVersion: string;
  /** Opens the log, given the folder of this proxy. */
  readonly openLog: (folder: string) => Log;
};

type Logged = ProxyRequest & { readonly log: Log };

/** A running sidecar. */
export type RunningProxy = {
  readonly inboundPort: number;
  readonly hbonePort: number;
  readonly outboundPort: number;
  readonly metricsPort: number;
  readonly ready: () => { readonly ready: boolean; readonly reason: string };
  /** Calls `listener` whenever readiness may have changed. */
  readonly onChange: (listener: () => void) => void;
  readonly close: (drainMs: number) => Promise<void>;
};

const HOST = '127.0.0.1';

/** Starts the sidecar of one workload: listeners first, so that it can say why it is not ready. Throws `StartError`. */
export async function startProxy(asked: ProxyRequest): Promise<RunningProxy> {
  const layout = layoutOf(asked.dataDir);
  const settings = readMeshSettings(layout);
  if (!settings.ok)
    throw new StartError(
      settings.error,
      'start a mesh with `palisade up`, or name its data folder with --data',
    );
  const { namespace, service } = asked;
  const floored = createFlooredClock({ wall: Date.now, elapsed: () => performance.now() });
  const clock = floored.now;
  const folder = takeProxyFolder(layout, { namespace, service });
  const request: Logged = { ...asked, log: asked.openLog(folder.path) };
  const sampler = createSampler();
  const redactor = createRedactor(folder.hashKey());
  const accessLog = createAccessLog({
    folder: join(folder.path, 'records'),
    afterSeq: readShippedSeq(folder.path),
    sampler,
    redactor,
    onTrouble: (trouble) => logTrouble(request.log, trouble),
  });
  const metrics = createProxyMetrics({
    workload: { service, namespace, trustDomain: settings.value.trustDomain },
    clock,
  });
  const point = await createEnforcementPoint({
    folder: folder.path,
    agentSocket: settings.value.agentSocket,
    workload: { namespace, service },
    appPort: request.appPort,
    trustRootFile: layout.trustRoot,
    softwareVersion: request.softwareVersion,
    onRefused: (code) => {
      metrics.policyRefused(code).value++;
    },
    clock,
    log: request.log,
  });
  if (!point.ok) throw new StartError(point.error, 'see `palisade doctor`');
  const vouch = () => floored.vouch(point.value.identity.current()?.notBefore ?? Number.NaN);
  vouch();
  point.value.identity.onChange(vouch);
  let enforced: Snapshot | undefined;
  const follow = (): void => {
    const snapshot = point.value.snapshots.current();
    const rules = snapshot?.telemetry ?? DEFAULT_TELEMETRY;
    sampler.perSecond = rules.recordsPerSecond ?? DEFAULT_RECORDS_PER_SECOND;
    redactor.rules = rules;
    // What a sidecar starts with was rolled out before it.
    if (enforced !== undefined && snapshot !== undefined) {
      const untilMs = Date.now() + (rules.rolloutMs ?? DEFAULT_ROLLOUT_MS);
      sampler.rollouts.open(changedPolicies(enforced.policies, snapshot.policies), untilMs);
    }
    enforced = snapshot ?? enforced;
  };
  follow();
  point.value.snapshots.onChange(follow);
  const redactionKeys = followRedactionKeys(
    { agentSocket: settings.value.agentSocket, log: request.log },
    (keys) => {
      redactor.meshKeys = keys;
    },
  );
  return serve(request, {
    clock,
    redactionKeys,
    folder,
    accessLog,
    metrics,
    point: point.value,
    agentSocket: settings.value.agentSocket,
  });
}

type Parts = {
  /** Not below what the authority vouched for by the workload's certificate. */
  readonly clock: () => number;
  readonly folder: ProxyFolder;
  readonly accessLog: AccessLog;
  readonly metrics: ProxyMetrics;
  readonly point: EnforcementPoint;
  readonly redactionKeys: RedactionKeyClient;
  readonly agentSocket: string;
};

async function serve(request: Logged, parts: Parts): Promise<RunningProxy> {
  const { clock, point, metrics, accessLog, folder } = parts;
  const consulting = createConsult();
  const proxy = await listen(request, parts, consulting.consult);
  const admin = await createAdminServer({
    host: HOST,
    port: request.metricsPort,
    metrics,
    ready: () => readinessOf(proxy, point),
    warning: () => accessLog.problem(),
  });
  const shipper = createRecordShipper({
    node: point.node,
    folder: folder.path,
    agentSocket: parts.agentSocket,
    accessLog,
    metrics,
    clock,
    log: request.log,
  });
  observe(parts, shipper, proxy);
  const ports = {
    inboundPort: proxy.inboundPort ?? 0,
    hbonePort: proxy.hbonePort ?? 0,
    outboundPort: proxy.outboundPort ?? 0,
    metricsPort: admin.port,
  };
  announce(request, parts, ports);
  point.reportReady(() => readinessOf(proxy, point));
  point.reportTroubled(() => troubledOf(proxy.endpoints()));
  const exposure = watchApplication(request, point);
  return {
    ...ports,
    ready: () => readinessOf(proxy, point),
    onChange(listener) {
      point.snapshots.onChange(listener);
      point.onMissing(listener);
      point.identity.onChange(listener);
    },
    async close(drainMs) {
      exposure.stop();
      await proxy.drain(drainMs);
      consulting.close();
      await shipper.close();
      parts.redactionKeys.close();
      accessLog.close();
      await point.close();
      await admin.close();
      folder.release();
    },
  };
}

function listen(
  request: Logged,
  { clock, point, metrics, accessLog, folder }: Parts,
  consult: Consult,
): Promise<Proxy> {
  return createProxy({
    snapshots: point.snapshots,
    identity: point.identity,
    revocations: point.revocations,
    endpoints: withDeclared((service) => point.endpoints(service)),
    resolve: (host) => point.resolve(host),
    consult,
    appPort: request.appPort,
    jwksStore: createJwksStore(folder.path, request.log),
    listen: {
      inbound: { host: HOST, port: request.inboundPort },
      hbone: { host: HOST, port: request.hbonePort },
      outbound: { host: HOST, port: request.outboundPort },
      upstreams: request.upstreams,
    },
    records: accessLog,
    metrics,
    log: request.log,
    clock,
    heardAt: () => point.heardAt() ?? clock(),
  });
}

function readinessOf(proxy: Proxy, point: EnforcementPoint): { ready: boolean; reason: string } {
  const [missing] = point.missing();
  if (missing === ROOT_NAMESPACE) {
    return {
      ready: false,
      reason: `no policy of \`${missing}\` has arrived: a mesh needs its Mesh resource there`,
    };
  }
  if (missing !== undefined)
    return { ready: false, reason: `no policy of \`${missing}\` has arrived yet` };
  const problem = point.identity.current() === undefined ? point.identityProblem() : undefined;
  return problem === undefined ? proxy.ready() : { ready: false, reason: problem };
}

function observe({ metrics, point, accessLog }: Parts, shipper: RecordShipper, proxy: Proxy): void {
  metrics.observeGauges(() => {
    const versions = Object.entries(point.snapshots.current()?.versions ?? {});
    return {
      certificateExpiresAt: point.identity.current()?.expiresAt,
      policyVersions: versions.map(([namespace, { number }]) => ({ namespace, number })),
      stalenessMs: point.stalenessMs(),
      endpoints: tallyEndpoints(proxy.endpoints()),
      records: { ...accessLog.counts(), ...shipper.counts() },
    };
  });
}

/** Tells the mesh where the application can be reached without asking its sidecar. */
function watchApplication(request: ProxyRequest, point: EnforcementPoint): ExposureWatch {
  const watch = watchExposure({
    ports: () => {
      const inbound = point.snapshots.current()?.inbound ?? [];
      const ports = inbound.map(({ targetPort }) => targetPort ?? request.appPort);
      return new Set([...ports, request.appPort].filter((port) => port !== undefined));
    },
    tables: readSocketTables,
    onChange: point.acknowledge,
  });
  point.reportExposed(watch.current);
  return watch;
}

function logTrouble(log: Log, trouble: RecordTrouble): void {
  if (trouble.kind === 'dropped') log.warn(EVENT.recordsDropped, trouble.counts);
  else if (trouble.kind === 'damaged') log.error(EVENT.spoolDamaged, { file: trouble.file });
  else log.error(EVENT.spoolWriteFailed, { error: trouble.error });
}

function troubledOf(all: readonly EndpointSummary[]): readonly TroubledEndpoint[] {
  return all
    .filter(({ health }) => health !== 'healthy')
    .map(({ namespace, service, endpoint, health }) => {
      const address = `${endpoint.host}:${endpoint.port}`;
      return { namespace, service, address, health };
    });
}

/** One count for each service and each health, so that a scrape does not grow with the endpoints. */
function tallyEndpoints(all: readonly EndpointSummary[]): NonNullable<ProxyGauges['endpoints']> {
  const tally = new Map<
    string,
    { namespace: string; service: string; health: string; count: number }
  >();
  for (const { namespace, service, health } of all) {
    const key = `${namespace}/${service}/${health}`;
    const known = tally.get(key);
    if (known === undefined) tally.set(key, { namespace, service, health, count: 1 });
    else known.count++;
  }
  return [...tally.values()];
}

function announce(
  request: Logged,
  { point, folder }: Parts,
  ports: {
    readonly inboundPort: number;
    readonly hbonePort: number;
    readonly outboundPort: number;
    readonly metricsPort: number;
  },
): void {
  const { namespace, service } = request;
  const metricsUrl = `http://${HOST}:${ports.metricsPort}`;
  const { inboundPort, hbonePort } = ports;
  point.announce([{ namespace, service, host: HOST, port: inboundPort, hbonePort }], metricsUrl);
  const facts = { pid: process.pid, node: point.node, namespace, service, metricsUrl, ...ports };
  try {
    folder.describe(facts);
  } catch (error) {
    // A full disk: whoever looks sees the facts of before, most of which still hold; calls are served all the same.
    request.log.error(EVENT.stateWriteFailed, { file: 'proxy.json', error });
  }
}
