import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseSpiffeId, type RevocationCheck, type SpiffeId } from '#identity';
import type { Source } from '#lib';
import { createRevocationService } from '#revocation';
import { EVENT, type Log } from '#telemetry';
import { openLogHead } from '#trust';
import { createGrpcServer, type GrpcServer } from '#wire';
import { openAdmins } from './admins.ts';
import { sinkFact } from './alert-facts.ts';
import { createApi } from './api/app.ts';
import type { ApiContext } from './api/context.ts';
import { signInUrl } from './api/links.ts';
import { createSseStreams } from './api/sse.ts';
import { authenticateAdmin, type Listener, listenApi } from './api-listener.ts';
import { askAuthority } from './audit-witness.ts';
import { openConsoleAssets } from './console-assets.ts';
import { listenConsole } from './console-listener.ts';
import { type ControlCore, createCore } from './core.ts';
import { createDistributionService } from './distribution-service.ts';
import { type ControlIdentity, enrolControl } from './identity.ts';
import { createIssuanceReader, type IssuanceReader } from './issuance.ts';
import type { TrafficMap } from './map.ts';
import type { MetricSources } from './metrics.ts';
import { openRecords } from './open-records.ts';
import { identifyPeer, type MeshPeer } from './peer.ts';
import { createProcessStarts } from './process-starts.ts';
import { type Sinks, startSinks } from './sinks.ts';
import { createTelemetryIngest } from './telemetry-ingest.ts';
import { openTrustAnchor, type TrustAnchor } from './trust-root-file.ts';
import { recordUnrecordedCommits } from './unrecorded-commits.ts';

/** A host and a port to listen on; port 0: any free one. */
export type ListenAddress = { readonly host: string; readonly port: number };

/** What a control plane runs on. */
export type ControlOptions = {
  /** Holds control.db, records/ and console-sessions.json; made with mode 0700. */
  readonly folder: string;
  /** DSSE envelope of the trust root. */
  readonly trustRootFile: string;
  readonly trustDomain: string;
  readonly api: ListenAddress;
  readonly grpc: ListenAddress;
  /** Undefined: no console. */
  readonly console: ListenAddress | undefined;
  /** The built console. */
  readonly consoleAssets: string | undefined;
  /** `host:port` of the certificate authority. */
  readonly ca: { readonly address: string };
  /** Asked at each attempt: the CA's first start may come after ours. */
  readonly joinToken: () => string | Promise<string>;
  /** JSON: `[{name, fingerprint}]`, SHA-256 of each admin's certificate. */
  readonly adminsFile: string;
  /** Whether `palisade run` may register services that nobody registered; told to those who ask. */
  readonly autoRegister: boolean;
  /** Unix milliseconds. */
  readonly clock: () => number;
  readonly log: Log;
  /** How long audit records are kept, ms; 400 days unless told. */
  readonly auditRetentionMs?: number;
  readonly softwareVersion?: string;
  /** Ends the wait for the certificate authority. */
  readonly signal?: AbortSignal;
};

/** A running control plane. */
export type Control = {
  readonly apiPort: number;
  readonly grpcPort: number;
  readonly consolePort: number | undefined;
  /** A new link that signs a browser in to the console, once, within ten minutes; undefined without a console. */
  readonly signInLink: () => string | undefined;
  readonly health: () => ControlHealth;
  readonly close: () => Promise<void>;
};

/** Whether a control plane can do its work. */
export type ControlHealth = {
  readonly ready: boolean;
  /** A sentence; empty when all is well. */
  readonly reason: string;
  readonly subscribers: number;
  readonly policySets: number;
  /** Namespaces whose stored set does not verify. */
  readonly brokenSets: readonly string[];
  readonly certificateExpiresAt: number;
};

const CUT_AFTER_MS = 100;
const EXPIRY_MARGIN_MS = 60_000;
// A year, as those who audit ask for, and the time to ask.
const DEFAULT_AUDIT_RETENTION_MS = 400 * 86_400_000;
const AUDIT_CARE_MS = 3_600_000;

type Closer = () => void | Promise<void>;

/**
 * Starts a control plane: waits for the certificate authority, then serves. Rejects, naming what is wrong, when its
 * folder, trust root or a port is not fit.
 */
export async function createControl(options: ControlOptions): Promise<Control> {
  const closers: Closer[] = [];
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    return { ...(await start(options, closers)), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function start(options: ControlOptions, closers: Closer[]): Promise<Omit<Control, 'close'>> {
  const { clock, log } = options;
  const admins = openAdmins(options.adminsFile, clock, log);
  mkdirSync(options.folder, { recursive: true, mode: 0o700 });
  const pinned = openTrustAnchor({
    path: options.trustRootFile,
    folder: options.folder,
    trustDomain: options.trustDomain,
    clock,
  });
  const records = await openRecords(options.folder, log);
  closers.push(() => records.close());
  const core = createCore({
    controlPath: join(options.folder, 'control.db'),
    records,
    sessionsPath: join(options.folder, 'console-sessions.json'),
    revocationsPath: join(options.folder, 'revocations.jsonl'),
    silencesPath: join(options.folder, 'silences.json'),
    alertsPath: join(options.folder, 'alerts.json'),
    folder: options.folder,
    auditRetentionMs: options.auditRetentionMs ?? DEFAULT_AUDIT_RETENTION_MS,
    pinned,
    clock,
    log,
  });
  closers.push(core.close);
  await recordStart(options, core, closers);
  const identity = await enrol(options, pinned, core.revocations.check);
  closers.push(identity.close);
  const ports: number[] = [portOf(options.ca.address)];
  let consolePort: number | undefined;
  const sinks = await startSinks({
    ...core,
    folder: join(options.folder, 'sinks'),
    trustDomain: pinned.trustDomain,
    version: options.softwareVersion ?? '',
    ownPorts: () => ports,
    consoleUrl: () => consoleUrl(options.console?.host, consolePort) ?? '',
    clock,
    log,
  });
  closers.push(sinks.close);
  core.audit.follow(askAuthority(identity.caClient));
  const grpc = await serveGrpc(options, { core, identity, pinned, closers });
  ports.push(grpc.port);
  const parts = { core, identity, pinned, closers, admins, grpc, sinks };
  const http = await serveHttp(options, parts);
  consolePort = http.consolePort;
  consolePort = http.consolePort;
  ports.push(http.apiPort, ...(consolePort === undefined ? [] : [consolePort]));
  return {
    apiPort: http.apiPort,
    grpcPort: grpc.port,
    consolePort: http.consolePort,
    signInLink: http.signInLink,
    health: () => ({
      ...readiness(identity, clock()),
      subscribers: core.distributor.subscribers(),
      policySets: core.sets.all().length,
      brokenSets: [...core.sets.broken().keys()],
      certificateExpiresAt: identity.expiresAt(),
    }),
  };
}

// The first record of each run, and the last one where it ends as it should.
async function recordStart(
  { trustDomain, softwareVersion, log }: ControlOptions,
  { audit, store }: ControlCore,
  closers: Closer[],
): Promise<void> {
  const fields = {
    'actor.id': meshId(trustDomain, 'control').text,
    'target.kind': 'Process',
    'target.name': 'control',
    result: 'ok' as const,
  };
  // A full disk must not keep a control plane from starting: it is what those who are to help look at.
  const start = { ...fields, action: 'process.start', reason: softwareVersion ?? '' };
  await recordUnrecordedCommits(audit, store).catch((error: unknown) => {
    log.error(EVENT.auditNotWritten, { action: 'policy.commit', error });
  });
  await audit.append(start).catch(() => undefined);
  closers.push(() =>
    audit.append({ ...fields, action: 'process.stop' }).then(
      () => undefined,
      () => undefined,
    ),
  );
  const care = async (): Promise<void> => {
    try {
      await audit.verify();
      await audit.expire();
    } catch (error) {
      log.error(EVENT.auditBroken, { error });
    }
  };
  void care();
  const caring = setInterval(() => void care(), AUDIT_CARE_MS);
  closers.push(() => clearInterval(caring));
}

function enrol(
  options: ControlOptions,
  pinned: TrustAnchor,
  revocations: Source<RevocationCheck>,
): Promise<ControlIdentity> {
  const { ca, joinToken, trustDomain, clock, log, signal } = options;
  return enrolControl({
    id: meshId(trustDomain, 'control'),
    caId: meshId(trustDomain, 'ca'),
    caAddress: ca.address,
    joinToken,
    trust: pinned,
    revocations,
    clock,
    log,
    ...(signal === undefined ? {} : { signal }),
  });
}

type Served = {
  readonly core: ControlCore;
  readonly identity: ControlIdentity;
  readonly pinned: TrustAnchor;
  readonly closers: Closer[];
};

type GrpcSide = {
  readonly port: number;
  readonly ingest: ReturnType<typeof createTelemetryIngest>;
};

async function serveGrpc(
  { grpc: address, clock, log }: ControlOptions,
  { core, identity, pinned, closers }: Served,
): Promise<GrpcSide> {
  const onRefused = (reason: string): void => {
    core.metrics.connectionRefused('grpc');
    log.warn(EVENT.connectionRefused, { port: 'grpc', reason });
  };
  const peer = (call: { readonly getPeer: () => string }) => server.peer(call);
  const { distributor, enforcement, endpoints, records, revocations } = core;
  const ingest = createTelemetryIngest({
    peer,
    connected: enforcement.connectedPoint,
    records,
    map: countingMap(core),
    clock,
    log,
    onStored: core.recordsStored,
    onCounted: core.onTraffic,
    onSecurity: core.alerts.countSecurity,
  });
  const distribution = createDistributionService({
    peer,
    distributor,
    enforcement,
    endpoints,
    onGreeted: createProcessStarts(core.audit, clock).greeted,
    onRefused,
  });
  // Whoever is connected has an identity of the mesh; which entries it brings is judged by their signatures.
  const revoking = createRevocationService({
    store: revocations,
    refuse: () => undefined,
    log,
  });
  const services = [revoking, distribution, ingest.service];
  const server: GrpcServer<MeshPeer> = createGrpcServer<MeshPeer>(services);
  // A moment later: what is written to a connection that is destroyed in the same turn never leaves, and those who are
  // concerned have to hear of it to ask for other certificates.
  const stopCutting = revocations.check.onChange(() => {
    const isOver = ({ svid }: MeshPeer) => revocations.check.current()(svid, clock()) !== undefined;
    setTimeout(() => server.disconnect(isOver), CUT_AFTER_MS).unref();
  });
  closers.push(() => ingest.close(), server.close, stopCutting);
  const port = await server.listenTls({
    ...address,
    material: identity.material,
    identify: (socket) =>
      identifyPeer(socket, {
        bundle: pinned.bundle,
        clock,
        revoked: revocations.check.current(),
        onRefused,
      }),
    onRefused,
  });
  log.info(EVENT.listening, { port: 'grpc', address: `${address.host}:${port}` });
  return { port, ingest };
}

type HttpSide = Pick<Control, 'apiPort' | 'consolePort' | 'signInLink'>;

async function serveHttp(
  options: ControlOptions,
  parts: Served & {
    readonly admins: ReturnType<typeof openAdmins>;
    readonly grpc: GrpcSide;
    readonly sinks: Sinks;
  },
): Promise<HttpSide> {
  const { clock, log } = options;
  const { core, identity, closers, grpc, sinks } = parts;
  const streams = createSseStreams();
  const openHead = (envelope: unknown) => openLogHead(envelope, parts.pinned.root);
  const issuance = createIssuanceReader({ client: identity.caClient, openHead, clock, log });
  closers.push(core.follow(issuance));
  attachAlerts(parts, issuance, clock);
  const listening = { apiPort: options.api.port, consolePort: options.console?.port };
  const metricSources = (): MetricSources => ({
    ...core,
    ingest: grpc.ingest,
    streams: streams.count,
    sinks: sinks.state,
    expiry: {
      nowMs: clock(),
      roots: rootsExpireAt(parts.pinned),
      control: identity.expiresAt(),
    },
  });
  sinks.measure(() => core.metrics.families(metricSources()));
  const context: ApiContext = {
    ...core,
    trustDomain: parts.pinned.trustDomain,
    trustRoot: parts.pinned,
    authority: identity.caClient,
    issuance,
    countCommit: core.metrics.commit,
    sinks,
    countAnswer(status, tookMs) {
      core.metrics.answered(status, tookMs);
      core.alerts.countRequest(status, tookMs);
    },
    metrics: (openMetrics) => core.metrics.exposition(metricSources(), openMetrics),
    facts: () => ({
      version: options.softwareVersion ?? '',
      startedAt: core.startedAt,
      apiUrl: `https://${hostAndPort(options.api.host, listening.apiPort)}`,
      grpcAddress: hostAndPort(options.grpc.host, grpc.port),
      caAddress: options.ca.address,
      consoleUrl: consoleUrl(options.console?.host, listening.consolePort),
      autoRegister: options.autoRegister,
      identity: () => ({ serial: identity.serial(), expiresAt: identity.expiresAt() }),
    }),
    clock,
    log,
  };
  const refuse = (port: 'api' | 'console') => () => core.metrics.connectionRefused(port);
  const api = createApi(context, streams, authenticateAdmin(parts.admins));
  const apiOptions = { ...options.api, onRefused: refuse('api') };
  const apiListener = await listenApi(api, identity.material(), apiOptions);
  identity.onRenewed(apiListener.renew);
  closers.push(apiListener.close, streams.close);
  listening.apiPort = apiListener.port;
  log.info(EVENT.listening, {
    port: 'api',
    address: hostAndPort(options.api.host, apiListener.port),
  });
  const console = await serveConsole(options, { context, streams, onRefused: refuse('console') });
  if (console !== undefined) closers.push(console.close);
  listening.consolePort = console?.port;
  return {
    apiPort: apiListener.port,
    consolePort: console?.port,
    signInLink() {
      const { consoleUrl: url } = context.facts();
      return url === null ? undefined : signInUrl(url, core.sessions.createLink().token);
    },
  };
}

function attachAlerts(
  { core, grpc, identity, pinned, sinks }: Parameters<typeof serveHttp>[1],
  issuance: IssuanceReader,
  clock: () => number,
): void {
  core.alerts.attach({
    issuance,
    rootsExpireAt: () => rootsExpireAt(pinned),
    controlCertificateExpiresAt: identity.expiresAt,
    failedWrites: () => grpc.ingest.counts().failedWrites,
    sinks: () => sinks.state().map((sink) => sinkFact(sink, clock())),
    auditLogs() {
      const { name, state, problem } = core.audit.verification();
      return [{ name, state, problem: problem?.message ?? null }];
    },
  });
}

async function serveConsole(
  { console: address, consoleAssets, log }: ControlOptions,
  parts: {
    readonly context: ApiContext;
    readonly streams: ReturnType<typeof createSseStreams>;
    readonly onRefused: (reason: string) => void;
  },
): Promise<Listener | undefined> {
  if (address === undefined) return undefined;
  const { context, streams, onRefused } = parts;
  const listener = await listenConsole({
    ...address,
    onRefused,
    context,
    createApi: (authenticate) => createApi(context, streams, authenticate),
    assets: consoleAssets === undefined ? undefined : openConsoleAssets(consoleAssets),
  });
  log.info(EVENT.listening, { port: 'console', address: hostAndPort(address.host, listener.port) });
  return listener;
}

function rootsExpireAt({ bundle }: TrustAnchor): readonly number[] {
  return bundle.x509Roots.map(({ validToDate }) => validToDate.getTime());
}

/** The map, which objectives and alerts count along with. */
function countingMap({ map, alerts }: ControlCore): TrafficMap {
  return {
    ...map,
    count(edge) {
      map.count(edge);
      alerts.countEdge(edge);
    },
  };
}

function consoleUrl(host: string | undefined, port: number | undefined): string | null {
  if (host === undefined || port === undefined) return null;
  return `http://${hostAndPort(host, port)}`;
}

function hostAndPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

function readiness(identity: ControlIdentity, nowMs: number): { ready: boolean; reason: string } {
  // Before it runs out: there has been half a life to renew it.
  if (nowMs < identity.expiresAt() - EXPIRY_MARGIN_MS) return { ready: true, reason: '' };
  return { ready: false, reason: 'the certificate runs out and the authority has not renewed it' };
}

function meshId(trustDomain: string, role: 'ca' | 'control'): SpiffeId {
  const id = parseSpiffeId(`spiffe://${trustDomain}/palisade/${role}`);
  if (!id.ok) throw new Error(id.error);
  return id.value;
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(':') + 1));
}
