// Sidecars as processes with relays between them, an application, and callers that check every answer.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { Agent, createServer, request, type Server } from 'node:http';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
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
    readonly endpoints: readonly { readonly health: string }[];
  }>;
  readonly kill: () => void;
};

/** Starts sidecars of one mesh. */
export function createSidecars(): {
  readonly start: (
    account: string,
    config: Omit<FaultSidecar, 'identity'>,
  ) => Promise<FaultProcess>;
  readonly close: () => void;
} {
  const mesh = createFakeMesh();
  const all: ChildProcess[] = [];
  const file = fileURLToPath(new URL('fault-sidecar.ts', import.meta.url));
  return {
    async start(account, config) {
      const whole: FaultSidecar = { ...config, identity: portable(mesh, account) };
      const child = spawn(process.execPath, [file, JSON.stringify(whole)], {
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      all.push(child);
      const lines = createInterface({ input: child.stdout });
      const ports = JSON.parse(await nextLine(lines));
      return {
        pid: child.pid ?? 0,
        ports,
        async look() {
          const line = nextLine(lines);
          child.stdin.write('look\n');
          return JSON.parse(await line);
        },
        kill: () => child.kill('SIGKILL'),
      };
    },
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
