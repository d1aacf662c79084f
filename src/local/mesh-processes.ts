import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { AgentOptions } from '#agent';
import { VERSION } from '#cli';
import type { DataFolder } from '#client';
import type { Log, MetricFamily, Readiness } from '#telemetry';
import type { TrustRoot } from '#trust';
import { makeWay } from './make-way.ts';
import { readPassphrase } from './passphrase.ts';
import { serveMetrics } from './serve-metrics.ts';
import { explainAuthorityError, StartError } from './start-error.ts';

export { openMeshFolder } from './mesh-folder.ts';
export { createProcessLog } from './start-log.ts';

/** Where one mesh process listens. */
export type Listen = { readonly host: string; readonly port: number };

/** The built console, which `npm ci` makes. */
const CONSOLE_ASSETS = fileURLToPath(new URL('../../console/dist', import.meta.url));

type Shared = { readonly folder: DataFolder; readonly trustDomain: string; readonly log: Log };

/** Starts the CA of `folder`. */
export async function startCa(
  options: Shared & {
    readonly listen: Listen;
    readonly control: string | undefined;
    readonly metrics?: Listen | undefined;
  },
) {
  const { folder, trustDomain, log, listen, control } = options;
  const [{ createCa }, { authorityKeys }] = await Promise.all([
    import('#ca'),
    import('./authority-keys.ts'),
  ]);
  const ca = await createCa({
    folder: folder.ca.folder,
    ...authorityKeys(process.env),
    trustRootFile: folder.trustRoot,
    trustDomain,
    listen,
    control,
    clock: Date.now,
    log,
    softwareVersion: VERSION,
  }).catch((error: unknown) => {
    throw explainAuthorityError(error);
  });
  return shown(ca, options.metrics);
}

/** What an operator does by hand with the authority's keys of `folder`. */
export async function openAuthority(options: {
  readonly folder: DataFolder;
  readonly trustRoot: TrustRoot;
}) {
  const [{ requestAuthority, importChain, signRequest }, { authorityKeys }] = await Promise.all([
    import('#ca'),
    import('./authority-keys.ts'),
  ]);
  const { folder, trustRoot } = options;
  const keys = authorityKeys(process.env);
  const of = { folder: folder.ca.folder, trustRoot, nowMs: Date.now(), ...keys };
  return { of, requestAuthority, importChain, signRequest };
}

/** Starts the control plane of `folder`. */
export async function startControl(
  options: Shared & {
    readonly api: Listen;
    readonly grpc: Listen;
    readonly console: Listen | undefined;
    readonly caAddress: string;
    readonly strict: boolean;
    readonly auditRetentionMs?: number | undefined;
    /** Ends the wait for the CA. */
    readonly signal?: AbortSignal;
  },
) {
  const { folder, trustDomain, log, signal, auditRetentionMs } = options;
  const { createControl } = await import('#control');
  return createControl({
    folder: folder.control.folder,
    trustRootFile: folder.trustRoot,
    trustDomain,
    api: options.api,
    grpc: options.grpc,
    console: options.console,
    consoleAssets: CONSOLE_ASSETS,
    ca: { address: options.caAddress },
    joinToken: joinTokenOf(folder.ca.joinTokenControl),
    adminsFile: folder.control.admins,
    autoRegister: !options.strict,
    clock: Date.now,
    log,
    softwareVersion: VERSION,
    ...(signal === undefined ? {} : { signal }),
    ...(auditRetentionMs === undefined ? {} : { auditRetentionMs }),
  });
}

/** Starts the agent of `folder`. Throws `StartError` where it can never work. */
export async function startAgent(
  options: Shared & {
    readonly caAddress: string;
    readonly controlAddress: string;
    readonly hostName?: string | undefined;
    readonly peers?: Listen | undefined;
    readonly allowOtherUsers?: boolean;
    readonly kubelet?: AgentOptions['kubelet'];
    readonly evidence?: AgentOptions['evidence'];
    readonly metrics?: Listen | undefined;
  },
) {
  const { folder, log } = options;
  const { createAgent } = await import('#agent');
  const agent = await createAgent({
    folder: folder.agent.folder,
    socketPath: folder.agent.socket,
    trustRootFile: folder.trustRoot,
    caAddress: options.caAddress,
    controlAddress: options.controlAddress,
    joinToken: joinTokenOf(folder.ca.joinTokenAgent),
    hostName: options.hostName ?? hostName(),
    peers: options.peers,
    allowOtherUsers: options.allowOtherUsers ?? false,
    ...(options.kubelet === undefined ? {} : { kubelet: options.kubelet }),
    ...(options.evidence === undefined ? {} : { evidence: options.evidence }),
    clock: Date.now,
    log,
    softwareVersion: VERSION,
  });
  if (!agent.ok)
    throw new StartError(`the agent cannot start: ${agent.error}`, 'see `palisade doctor`');
  const running = await shown(agent.value, options.metrics);
  // An agent shares its host with workloads and their sidecars; with `up` the control plane does, too.
  const stopMakingWay = await makeWay();
  return {
    ...running,
    close: () => {
      stopMakingWay();
      return running.close();
    },
  };
}

/** The same process with its metrics served, and no longer than it runs. */
async function shown<
  T extends {
    readonly metrics: () => readonly MetricFamily[];
    readonly health: () => Readiness;
    readonly close: () => Promise<void>;
  },
>(running: T, metrics: Listen | undefined): Promise<T> {
  const { metrics: families, health: ready } = running;
  try {
    const stop = await serveMetrics(metrics, { families, ready });
    return { ...running, close: () => stop().then(running.close) };
  } catch (error) {
    await running.close();
    throw error;
  }
}

function joinTokenOf(path: string): () => Promise<string> {
  return async () => {
    const text = readFileSync(path, 'utf8').trim();
    // Sealed with the authority's passphrase; its code is loaded for that alone.
    if (!text.startsWith('{')) return text;
    const { readJoinToken } = await import('#ca');
    return readJoinToken(path, readPassphrase(process.env));
  };
}

// A SPIFFE ID's segment allows letters, digits, dots, dashes and underscores only.
function hostName(): string {
  return (
    hostname()
      .replaceAll(/[^A-Za-z0-9._-]/g, '-')
      .slice(0, 63) || machineId()
  );
}

function machineId(): string {
  return readFileSync('/etc/machine-id', 'utf8').trim();
}
