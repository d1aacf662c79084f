// A mesh of real processes for system tests: `palisade up` (or control, ca and agent apart) in a temporary folder, on
// free ports, and services behind sidecars started by `palisade run`.
import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A finished command. */
export type Finished = {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
};

/** A process under test, with all it printed. */
export type Running = {
  readonly child: ChildProcess;
  readonly output: () => string;
  /** Resolves when `pattern` was printed; rejects when the process ends or the time is up. */
  readonly printed: (pattern: RegExp, timeoutMs?: number) => Promise<RegExpExecArray>;
  readonly stop: (signal?: NodeJS.Signals) => Promise<void>;
};

/** A mesh under test. */
export type TestMesh = {
  readonly dataDir: string;
  readonly up: Running;
  /** Runs one `palisade` command against this mesh to its end. */
  readonly cli: (...args: string[]) => Promise<Finished>;
  /** Starts a service behind a sidecar; resolves when the sidecar serves. */
  readonly run: (
    service: string,
    command: readonly string[],
    flags?: readonly string[],
  ) => Promise<Service>;
  readonly apply: (yaml: string) => Promise<void>;
  /** Ends all of it; the folder stays. */
  readonly stop: () => Promise<void>;
  /** Ends all of it and removes the folder. */
  readonly close: () => Promise<void>;
};

/** A service behind its sidecar, as that was when it started. */
export type Service = {
  readonly name: string;
  readonly run: Running;
  readonly ports: Sidecar;
};

/** A sidecar, as its state folder tells of it. */
export type Sidecar = {
  readonly pid: number;
  readonly inboundPort: number;
  readonly hbonePort: number;
  readonly outboundPort: number;
  readonly metricsPort: number;
  readonly metricsUrl: string;
};

export const BIN: string = fileURLToPath(new URL('../../bin/palisade.js', import.meta.url));
const READY_MS = 30_000;

/** The command line of `palisade` with these arguments. */
export function palisade(...args: readonly string[]): readonly string[] {
  return [process.execPath, BIN, ...args];
}

/** Starts `palisade up` on free ports in a folder of its own. */
export async function startTestMesh(...flags: string[]): Promise<TestMesh> {
  const dataDir = mkdtempSync(join(tmpdir(), 'palisade-system-'));
  return meshIn(dataDir, await startUp(dataDir, ...flags));
}

/** Starts `palisade up` on free ports in this folder, for the first time or again; resolves when it is ready. */
export async function startUp(dataDir: string, ...flags: string[]): Promise<Running> {
  const up = start(palisade('up', '--data', dataDir, '--port', '0', ...flags));
  await up.printed(/^ready/m, READY_MS);
  return up;
}

/** Starts the mesh of a folder again. */
export async function reopenMesh(dataDir: string): Promise<TestMesh> {
  return meshIn(dataDir, await startUp(dataDir));
}

/** What the state folder of a service's sidecar tells now: another process once the sidecar was started again. */
export function sidecarOf(
  { dataDir }: Pick<TestMesh, 'dataDir'>,
  name: string,
  namespace = 'default',
): Sidecar {
  const file = join(dataDir, 'proxies', `${namespace}.${name}`, 'proxy.json');
  return JSON.parse(readFileSync(file, 'utf8')) as Sidecar;
}

/** The mesh of a folder whose processes somebody else started. */
export function meshIn(dataDir: string, up: Running): TestMesh {
  const services: Service[] = [];
  const cli = (...args: string[]) => finish(palisade(...args, '--data', dataDir));
  const stop = async () => {
    await Promise.all(services.map((service) => service.run.stop()));
    await up.stop();
  };
  return {
    dataDir,
    up,
    cli,
    async run(name, command, flags = []) {
      const service = await startService(dataDir, { name, command, flags });
      services.push(service);
      return service;
    },
    async apply(yaml) {
      const applied = await finish(palisade('apply', '-f', '-', '--data', dataDir), yaml);
      if (applied.status !== 0) throw new Error(`apply failed: ${applied.stderr}${applied.stdout}`);
      const status = await cli('status', '--wait', '--timeout', '20s');
      if (status.status !== 0) throw new Error(`not enforced: ${status.stdout}${status.stderr}`);
    },
    stop,
    async close() {
      await stop();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

async function startService(
  dataDir: string,
  options: {
    readonly name: string;
    readonly command: readonly string[];
    readonly flags: readonly string[];
  },
): Promise<Service> {
  const { name, command, flags } = options;
  const marker = `started-${name}`;
  // The marker is printed by a shell that `run` starts in the application's place: so the sidecar is ready by then.
  const script = `echo ${marker}; exec "$@"`;
  const application = ['sh', '-c', script, 'sh', ...command];
  const wanted = ['--data', dataDir, '--service', name, ...flags];
  const run = start(palisade('run', ...wanted, '--', ...application));
  await run.printed(new RegExp(marker), READY_MS);
  const at = flags.indexOf('--namespace');
  const namespace = at < 0 ? 'default' : flags[at + 1];
  return { name, run, ports: sidecarOf({ dataDir }, name, namespace) };
}

/** Starts a process whose output is kept. */
export function start(command: readonly string[], env: NodeJS.ProcessEnv = process.env): Running {
  const [file = '', ...args] = command;
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'], env });
  let text = '';
  const listeners = new Set<() => void>();
  const keep = (chunk: Buffer) => {
    text = `${text}${chunk.toString('utf8')}`.slice(-1_000_000);
    for (const listener of listeners) listener();
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const ended = once(child, 'exit');
  return {
    child,
    output: () => text,
    printed: (pattern, timeoutMs = 10_000) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const match = pattern.exec(text);
          if (match !== null) settle(() => resolve(match));
        };
        const settle = (how: () => void) => {
          clearTimeout(limit);
          listeners.delete(look);
          how();
        };
        const fail = (why: string) =>
          settle(() => reject(new Error(`${why}, waiting for ${pattern}:\n${text}`)));
        const limit = setTimeout(() => fail('time is up'), timeoutMs);
        listeners.add(look);
        // What it printed last may arrive after its end does.
        void ended.then(() => setTimeout(() => fail(`\`${command.join(' ')}\` ended`), 250));
        look();
      }),
    async stop(signal = 'SIGTERM') {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill(signal);
      await ended;
    },
  };
}

/** Runs a command to its end. */
export async function finish(command: readonly string[], input = ''): Promise<Finished> {
  const [file = '', ...args] = command;
  const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString('utf8')));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString('utf8')));
  child.stdin.on('error', () => {
    // A command that fails before it reads its input closes the pipe: its status says the rest.
  });
  child.stdin.end(input);
  const [code] = (await once(child, 'close')) as [number | null];
  return { status: code ?? 1, stdout, stderr };
}

/** `curl` through the outbound port of `service`, as its application would. */
export async function curlFrom(
  service: Service,
  ...args: string[]
): Promise<{ status: number; body: string; headers: string }> {
  const proxy = `http://127.0.0.1:${service.ports.outboundPort}`;
  const done = await finish(['curl', '-sS', '-i', '--max-time', '10', '--proxy', proxy, ...args]);
  const [head = '', ...rest] = done.stdout.split('\r\n\r\n');
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1] ?? 0);
  return { status, headers: head.toLowerCase(), body: rest.join('\r\n\r\n') || done.stderr };
}

/** A TCP port of 127.0.0.1 that nobody listens on now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  for (;;) {
    // Not one that the kernel gives to whoever asks for any, or connects, before it is used.
    server.listen(randomInt(...PORTS), '127.0.0.1');
    const isFree = await once(server, 'listening').then(
      () => true,
      () => false,
    );
    if (isFree) break;
  }
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

const PORTS = [20_000, 32_000] as const;

/** Where Debian puts `program`, or undefined with a reason to skip. */
export async function findProgram(program: string): Promise<string | undefined> {
  const found = await finish(['sh', '-c', `PATH=$PATH:/usr/sbin command -v ${program}`]);
  return found.status === 0 ? found.stdout.trim() : undefined;
}
