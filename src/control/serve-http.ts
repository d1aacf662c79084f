import { EVENT } from '#telemetry';
import { openLogHead } from '#trust';
import { consoleUrl, hostAndPort } from './addresses.ts';
import type { openAdmins } from './admins.ts';
import { sinkFact } from './alert-facts.ts';
import { createApi } from './api/app.ts';
import type { ApiContext } from './api/context.ts';
import { signInUrl } from './api/links.ts';
import { createSseStreams } from './api/sse.ts';
import { authenticateAdmin, type Listener, listenApi } from './api-listener.ts';
import { openConsoleAssets } from './console-assets.ts';
import { listenConsole } from './console-listener.ts';
import type { Control, ControlOptions } from './control-options.ts';
import { createHorizon, type Horizon } from './horizon.ts';
import { createIssuanceReader, type IssuanceReader } from './issuance.ts';
import type { MetricSources } from './metrics.ts';
import type { GrpcSide } from './serve-grpc.ts';
import type { Served } from './served.ts';
import type { Sinks } from './sinks.ts';
import type { TrustAnchor } from './trust-root-file.ts';

/** The ports for people, as they listen. */
type HttpSide = Pick<Control, 'apiPort' | 'consolePort' | 'signInLink'>;

/** Serves the API, and the console if there is to be one. Rejects where a port cannot be had. */
export async function serveHttp(
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
  const horizon = openHorizon(parts, options);
  attachAlerts(parts, { issuance, horizon }, clock);
  const listening = { apiPort: options.api.port, consolePort: options.console?.port };
  const metricSources = (): MetricSources => ({
    ...core,
    ingest: grpc.ingest,
    streams: streams.count,
    sinks: sinks.state,
    horizon: horizon.items(),
    nowMs: clock(),
  });
  sinks.measure(() => core.metrics.families(metricSources()));
  const context: ApiContext = {
    ...core,
    trustDomain: parts.pinned.trustDomain,
    trustRoot: parts.pinned,
    authority: identity.caClient,
    issuance,
    horizon,
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

function openHorizon(
  { core, identity, pinned, closers }: Served,
  { clock, log }: ControlOptions,
): Horizon {
  const { enforcement, sets } = core;
  const horizon = createHorizon({
    client: identity.caClient,
    bundle: () => pinned.bundle,
    controlExpiresAt: identity.expiresAt,
    enforcement,
    sets,
    clock,
    log,
  });
  closers.push(horizon.close);
  return horizon;
}

function attachAlerts(
  { core, grpc, identity, pinned, sinks }: Parameters<typeof serveHttp>[1],
  { issuance, horizon }: { readonly issuance: IssuanceReader; readonly horizon: Horizon },
  clock: () => number,
): void {
  core.alerts.attach({
    issuance,
    rootsExpireAt: () => rootsExpireAt(pinned),
    horizon: horizon.items,
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
