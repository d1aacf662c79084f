import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { createBackoff } from '#lib';

/** What a proxy process tells its parent, by IPC, once it serves. */
export type SidecarReady = {
  readonly kind: 'ready';
  readonly inboundPort: number;
  readonly hbonePort: number;
  readonly outboundPort: number;
  readonly metricsPort: number;
};

/** What it tells while it cannot serve yet. */
export type SidecarWaiting = { readonly kind: 'waiting'; readonly reason: string };

/** What its parent tells a proxy process: the agent knows whose it is, so it may ask for its identity. */
export type SidecarGo = { readonly kind: 'go' };

/** A sidecar process that is started again, on the same ports, whenever it dies. */
export type Sidecar = {
  /** Lets the process begin; until then it only loads its code, which takes as long as what its parent has to do first. */
  readonly go: () => void;
  readonly ready: Promise<SidecarReady>;
  /** Why it does not serve yet, in words. */
  readonly waitingFor: () => string;
  readonly close: () => Promise<void>;
};

export type SidecarOptions = {
  /** Arguments of `palisade proxy` without the ports. */
  readonly arguments: readonly string[];
  readonly inboundPort: number | undefined;
  readonly onRestart: (reason: string) => void;
};

const MAIN = fileURLToPath(new URL('../../bin/palisade.js', import.meta.url));
/**
 * A sidecar allocates little that lives long: a small young generation saves 20 MB and costs it nothing measurable. Without
 * V8's middle compiler its hot code is compiled once instead of twice: 5 MB less, for the same CPU a request.
 */
export const SIDECAR_FLAGS: readonly string[] = ['--max-semi-space-size=1', '--no-maglev'];
/**
 * One malloc arena instead of one a thread: 20 MB less, as measured on an idle sidecar. Thresholds that stay where they are,
 * so that what was freed goes back to the kernel: without, each large block that is freed raises them (mallopt(3)). 32 KiB
 * is what V8's compilers take at a time, 19 MB in the first seconds of load: mapped one by one, those leave no holes behind.
 * Nothing is asked for ahead of need (1 MB less).
 */
export const SIDECAR_ENV: NodeJS.ProcessEnv = {
  MALLOC_ARENA_MAX: '1',
  MALLOC_MMAP_THRESHOLD_: '32768',
  MALLOC_TRIM_THRESHOLD_: '131072',
  MALLOC_TOP_PAD_: '0',
};

const DRAIN_LIMIT_MS = 8000;

/** Starts the process of a sidecar and keeps it running. */
export function startSidecar(options: SidecarOptions): Sidecar {
  const backoff = createBackoff({ minMs: 20, maxMs: 2000 });
  const ready = Promise.withResolvers<SidecarReady>();
  let reason = 'the sidecar is starting';
  let ports: readonly string[] = [
    '--inbound-port',
    String(options.inboundPort ?? 0),
    '--hbone-port',
    '0',
    '--outbound-port',
    '0',
    '--metrics-port',
    '0',
  ];
  let closing = false;
  let gone = false;
  let child = start();

  function start(): ChildProcess {
    const started = spawn(
      process.execPath,
      [...SIDECAR_FLAGS, MAIN, 'proxy', ...options.arguments, ...ports],
      {
        stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
        env: { ...process.env, ...SIDECAR_ENV },
        // A group of its own: Ctrl-C in the terminal reaches `run`, which lets the application finish first.
        detached: true,
      },
    );
    if (gone) tellGo(started);
    started.on('message', onMessage);
    started.on('error', (error) => options.onRestart(error.message));
    started.on('exit', (code, signal) => {
      if (closing) return;
      options.onRestart(`it ended with ${signal ?? `status ${code}`}`);
      setTimeout(() => {
        if (!closing) child = start();
      }, backoff.nextMs());
    });
    return started;
  }

  function onMessage(message: unknown): void {
    const told = message as SidecarReady | SidecarWaiting;
    if (told.kind === 'waiting') {
      reason = told.reason;
      return;
    }
    backoff.reset();
    ports = [
      '--inbound-port',
      String(told.inboundPort),
      '--hbone-port',
      String(told.hbonePort),
      '--outbound-port',
      String(told.outboundPort),
      '--metrics-port',
      String(told.metricsPort),
    ];
    ready.resolve(told);
  }

  return {
    go() {
      gone = true;
      tellGo(child);
    },
    ready: ready.promise,
    waitingFor: () => reason,
    async close() {
      closing = true;
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exited = once(child, 'exit');
      child.kill('SIGTERM');
      const limit = setTimeout(() => child.kill('SIGKILL'), DRAIN_LIMIT_MS);
      await exited;
      clearTimeout(limit);
    },
  };
}

function tellGo(child: ChildProcess): void {
  const message: SidecarGo = { kind: 'go' };
  child.send(message, () => {
    // One that ended meanwhile is started again, and told again.
  });
}
