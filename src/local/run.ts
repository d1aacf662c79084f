import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import { asTyped } from '#cli';
import { openSession, type Session } from '#client';
import { createGrpcClient, Host } from '#wire';
import { ensureRegistered } from './auto-register.ts';
import type { LaunchedSidecar } from './launch-sidecar.ts';
import type { Sidecar, SidecarReady } from './sidecar.ts';

/** What `palisade run` starts: see `--help`. */
export type RunRequest = {
  readonly dataDir: string;
  readonly server: string | undefined;
  readonly service: string;
  readonly namespace: string;
  readonly appPort: number | undefined;
  readonly inboundPort: number | undefined;
  readonly upstreams: readonly {
    readonly service: string;
    readonly port: number | undefined;
    readonly localPort: number;
  }[];
  readonly command: readonly string[];
  readonly verbose: boolean;
};

const PROGRESS_MS = 2000;
const FORWARDED = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const;

/**
 * Runs an application with the sidecar that was launched for it; resolves to the application's exit status (128 + signal
 * where one ended it).
 */
export async function runWorkload(request: RunRequest, launched: LaunchedSidecar): Promise<number> {
  const { sidecar, appPort } = launched;
  const session = openSession({ dataDir: request.dataDir, server: request.server });
  const obstacle = session.ok ? await introduce(session.value, request) : noMesh(session.error);
  if (!session.ok || obstacle !== undefined) return giveUp(sidecar, obstacle);
  sidecar.go();
  const refused = await register(session.value, request);
  if (refused !== undefined) return giveUp(sidecar, refused);
  const stopped = stopSignal();
  const ready = await Promise.race([readyWithProgress(sidecar, request.service), stopped.promise]);
  if (typeof ready === 'string') {
    await sidecar.close();
    return 128 + (constants.signals[ready] ?? 0);
  }
  const env = environmentOf(session.value, request, ready, appPort);
  const status = await runApplication(request, env, stopped.cancel);
  await sidecar.close();
  return status;
}

/** Why nothing is run, the exit status, and what to do next. */
type Obstacle = { readonly status: number; readonly message: string; readonly help: string };

// The agent is told before the sidecar asks it for anything, so that every process below is attested as this service.
async function introduce(session: Session, request: RunRequest): Promise<Obstacle | undefined> {
  const client = createGrpcClient(Host, { kind: 'unix', path: session.settings.agentSocket });
  try {
    await client.unary(Host.method.introduce, {
      namespace: request.namespace,
      service: request.service,
    });
    return undefined;
  } catch (error) {
    const { code, details } = error as { code?: number; details?: string };
    if (code === 7)
      return { status: 4, message: details ?? 'the agent refuses', help: 'see `palisade doctor`' };
    // What gRPC adds after its reason (notes, an empty list of them) is for nobody who reads this.
    const reason = /ECONNREFUSED|ENOENT/.test(details ?? '')
      ? 'nothing listens there'
      : (details ?? String(error));
    const message = `cannot reach the agent at \`${session.settings.agentSocket}\`: ${reason}`;
    return { status: 3, message, help: 'start it with `palisade up` (or `palisade agent`)' };
  } finally {
    client.close();
  }
}

async function register(session: Session, request: RunRequest): Promise<Obstacle | undefined> {
  const { namespace, service } = request;
  const outcome = await ensureRegistered(session, { namespace, service });
  if (!outcome.ok) {
    const help = 'apply a Registration and a Service for it: `palisade init DIR` has examples';
    return { status: 4, message: outcome.error, help };
  }
  if (outcome.value.kind === 'registered') {
    const { service: asService, workload } = outcome.value.made;
    const what = [
      ...(workload
        ? [`processes started by \`palisade run --service ${service}\` of this user`]
        : []),
      ...(asService ? ['HTTP on port 80'] : []),
    ];
    say(`registered ${namespace}/${service}: ${what.join(', ')}`);
  }
  if (outcome.value.kind === 'unknown')
    say(`${outcome.value.reason}; going on with what the agent knows`);
  return undefined;
}

async function readyWithProgress(sidecar: Sidecar, service: string): Promise<SidecarReady> {
  let last = '';
  const progress = setInterval(() => {
    const reason = sidecar.waitingFor();
    if (reason !== last) say(`waiting for the sidecar of ${service}: ${reason}`);
    last = reason;
  }, PROGRESS_MS);
  try {
    return await sidecar.ready;
  } finally {
    clearInterval(progress);
  }
}

function environmentOf(
  session: Session,
  request: RunRequest,
  ready: SidecarReady,
  appPort: number,
): NodeJS.ProcessEnv {
  const proxy = `http://127.0.0.1:${ready.outboundPort}`;
  const noProxy = 'localhost,127.0.0.1,::1';
  return {
    ...process.env,
    PORT: String(appPort),
    HTTP_PROXY: proxy,
    http_proxy: proxy,
    NODE_USE_ENV_PROXY: '1',
    NO_PROXY: noProxy,
    no_proxy: noProxy,
    SPIFFE_ENDPOINT_SOCKET: `unix://${session.settings.agentSocket}`,
    PALISADE_SERVICE: request.service,
    PALISADE_NAMESPACE: request.namespace,
  };
}

async function runApplication(
  request: RunRequest,
  env: NodeJS.ProcessEnv,
  stopWatching: () => void,
): Promise<number> {
  const [file = '', ...rest] = request.command;
  const child = spawn(file, rest, { env, stdio: 'inherit' });
  // For good: one that comes while the sidecar drains must not end this process before it.
  for (const signal of FORWARDED) process.on(signal, () => child.kill(signal));
  // Only now: a signal that found nobody listening would end this process and leave the application behind.
  stopWatching();
  try {
    const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
    return signal === null ? (code ?? 1) : 128 + (constants.signals[signal] ?? 0);
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    say(
      missing
        ? `there is no program \`${file}\`${file.includes('/') ? '' : ' in PATH'}\n  help: what follows \`--\` is run as it is, without a shell: \`-- sh -c '…'\` for one`
        : `cannot start \`${file}\`: ${(error as Error).message}`,
    );
    return missing ? 127 : 126;
  }
}

function stopSignal(): { promise: Promise<NodeJS.Signals>; cancel: () => void } {
  const { promise, resolve } = Promise.withResolvers<NodeJS.Signals>();
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, resolve);
  return {
    promise,
    cancel: () => {
      for (const signal of signals) process.off(signal, resolve);
    },
  };
}

function say(text: string): void {
  process.stderr.write(`palisade: ${text}\n`);
}

function noMesh(message: string): Obstacle {
  const help = 'start the mesh with `palisade up`, or name its data folder with --data';
  return { status: 3, message, help };
}

async function giveUp(sidecar: Sidecar, obstacle: Obstacle | undefined): Promise<number> {
  await sidecar.close();
  if (obstacle !== undefined)
    process.stderr.write(
      `palisade: ${obstacle.message}\n  help: ${asTyped(obstacle.help, process.env)}\n`,
    );
  return obstacle?.status ?? 1;
}
