// Sidecars as processes with relays between them, an application, and callers that check every answer.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { type Agent, createServer, request, type Server } from 'node:http';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { SIDECAR_FLAGS } from '../../src/local/sidecar.ts';
import { createFakeMesh } from '../../src/proxy/fake-mesh.ts';
import { type FaultSidecar, portable } from './fault-sidecar.ts';

/** A sidecar under test. */
export type FaultProcess = {
  readonly pid: number;
  readonly ports: {
    readonly inboundPort: number;
    readonly hbonePort: number;
    readonly outboundPort: number;
    readonly upstreamPorts: readonly number[];
  };
  /** What it says of itself now: metrics as text, memory in bytes, the health of each endpoint. */
  readonly look: () => Promise<{
    readonly metrics: string;
    readonly rss: number;
    /** Bytes that JavaScript still holds after a collection, buffers included. */
    readonly held: number;
    readonly endpoints: readonly { readonly health: string }[];
  }>;
  readonly kill: () => void;
};

/** A process that sidecars of one mesh run in. */
export type SidecarHost = {
  readonly start: (
    account: string,
    config: Omit<FaultSidecar, 'identity'>,
    authority?: 'own' | 'foreign',
  ) => Promise<FaultProcess>;
};

/** Starts sidecars: those of one host share a process, by default each has its own. */
export function createSidecars(): SidecarHost & {
  readonly host: () => SidecarHost;
  readonly close: () => void;
} {
  const meshes = { own: createFakeMesh(), foreign: createFakeMesh() };
  const all: ChildProcess[] = [];
  const file = fileURLToPath(new URL('fault-sidecar.ts', import.meta.url));
  const host = (): SidecarHost => {
    const child = spawn(process.execPath, [...SIDECAR_FLAGS, '--expose-gc', file], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    all.push(child);
    const lines = createInterface({ input: child.stdout });
    child.on('exit', (code, signal) => {
      if (signal !== 'SIGKILL') lines.emit('line', `{"ended":"${code ?? signal}"}`);
    });
    let last: Promise<unknown> = Promise.resolve();
    let count = 0;
    // One question at a time, so that each gets its own answer.
    const ask = (line: string): Promise<unknown> => {
      const answer = last.then(async () => {
        child.stdin.write(`${line}\n`);
        const answer = JSON.parse(await nextLine(lines));
        if ('ended' in answer) throw new Error(`a sidecar's process ended: ${answer.ended}`);
        return answer;
      });
      last = answer;
      return answer;
    };
    return {
      async start(account, config, authority = 'own') {
        const whole: FaultSidecar = { ...config, identity: portable(meshes[authority], account) };
        const at = count++;
        return {
          pid: child.pid ?? 0,
          ports: (await ask(JSON.stringify(whole))) as FaultProcess['ports'],
          look: () => ask(`look ${at}`) as ReturnType<FaultProcess['look']>,
          kill: () => child.kill('SIGKILL'),
        };
      },
    };
  };
  return {
    host,
    start: (...args) => host().start(...args),
    close() {
      for (const child of all) child.kill('SIGKILL');
    },
  };
}

/** An application that says which request it answers, and counts how often it was given each. */
export type CountingApplication = {
  readonly port: number;
  /** How often each id came. */
  readonly seen: ReadonlyMap<string, number>;
  readonly close: () => void;
};

/** Starts it; `answer` takes as long as it likes. */
export async function startCountingApplication(
  name = 'app',
  answerMs = 0,
): Promise<CountingApplication> {
  const seen = new Map<string, number>();
  const server: Server = createServer((incoming, response) => {
    const id = incoming.headers['x-id'] as string;
    seen.set(id, (seen.get(id) ?? 0) + 1);
    let length = 0;
    incoming.on('data', (chunk: Buffer) => (length += chunk.length));
    incoming.on('end', () => {
      const say = (): void => void response.end(`${name} ${id} ${incoming.method} ${length}`);
      if (answerMs > 0) setTimeout(say, answerMs);
      else say();
    });
  });
  server.keepAliveTimeout = 60_000;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as { port: number }).port,
    seen,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** One answered call. */
export type Answer = {
  readonly id: string;
  readonly method: string;
  readonly status: number;
  readonly reason: string | undefined;
  readonly body: string;
  readonly tookMs: number;
};

let calls = 0;

/** Calls the service through a caller's sidecar; status 0 if the connection broke. */
export function call(
  port: number,
  method: 'GET' | 'POST',
  agent: Agent,
  body = method === 'POST' ? 'x'.repeat(2_000) : '',
): Promise<Answer> {
  const id = `${++calls}`;
  const startedAt = performance.now();
  return new Promise((resolve) => {
    const done = (status: number, text: string, reason?: string): void => {
      resolve({ id, method, status, reason, body: text, tookMs: performance.now() - startedAt });
    };
    const outgoing = request(
      {
        host: '127.0.0.1',
        port,
        method,
        path: `/${id}`,
        agent,
        headers: { host: 'orders', 'x-id': id, 'content-length': Buffer.byteLength(body) },
      },
      (incoming) => {
        let text = '';
        incoming.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
        incoming.on('error', () => done(0, text));
        incoming.on('end', () =>
          done(
            incoming.statusCode ?? 0,
            text,
            incoming.headers['x-palisade-reason'] as string | undefined,
          ),
        );
      },
    );
    outgoing.on('error', (error) => done(0, error.message));
    outgoing.end(body);
  });
}

/** Open sockets of a process. */
export function socketsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`, { withFileTypes: true }).length;
}

async function nextLine(lines: Interface): Promise<string> {
  const [line] = (await once(lines, 'line')) as [string];
  return line;
}
