import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Exposition } from './metrics/exposition.ts';

// Not by `import`: that reads every export of the module, and one of them loads Node.js's fetch, 14 MB for nothing.
const { createServer } = process.getBuiltinModule('node:http');

/** Whether a process can do its work, and in words why not. */
export type Readiness = { readonly ready: boolean; readonly reason: string };

/** Options of `createAdminServer`; port 0 takes any free one. */
export type AdminServerOptions = {
  readonly host: string;
  readonly port: number;
  readonly metrics: { readonly exposition: (openMetrics: boolean) => Promise<Exposition> };
  readonly ready: () => Readiness;
  /** What is wrong although the process does its work, in words. */
  readonly warning?: () => string | undefined;
  /** JSON at `/status`, which does not exist without. */
  readonly status?: () => unknown;
};

/** A running admin server. */
export type AdminServer = { readonly port: number; readonly close: () => Promise<void> };

type Answer = { readonly status: number; readonly contentType: string; readonly body: string };

/** Serves a proxy's `/metrics`, `/healthz/live` and `/healthz/ready`; rejects if the port is taken. */
export async function createAdminServer(options: AdminServerOptions): Promise<AdminServer> {
  const server = createServer((request, response) => {
    answer(options, request).then(
      (reply) => send(response, reply),
      () => send(response, text(500, 'metrics could not be written')),
    );
  });
  server.maxConnections = 100;
  server.headersTimeout = 5_000;
  server.requestTimeout = 5_000;
  server.keepAliveTimeout = 30_000;
  server.listen(options.port, options.host);
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no TCP address');
  return {
    port: address.port,
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function answer(options: AdminServerOptions, request: IncomingMessage): Promise<Answer> {
  if (request.method !== 'GET' && request.method !== 'HEAD') return text(405, 'only GET');
  const path = (request.url ?? '').split('?', 1)[0];
  switch (path) {
    case '/metrics': {
      const wantsOpen = (request.headers.accept ?? '').includes('application/openmetrics-text');
      return { status: 200, ...(await options.metrics.exposition(wantsOpen)) };
    }
    case '/healthz/live':
      return text(200, 'live');
    case '/healthz/ready': {
      const { ready, reason } = options.ready();
      const warning = ready ? options.warning?.() : undefined;
      if (warning !== undefined) return text(200, `ready, but ${warning}`);
      return ready ? text(200, 'ready') : text(503, reason);
    }
    case '/status':
      if (options.status === undefined) break;
      return {
        status: 200,
        contentType: 'application/json',
        body: JSON.stringify(options.status()),
      };
  }
  return text(404, 'not found');
}

function text(status: number, body: string): Answer {
  return { status, contentType: 'text/plain; charset=utf-8', body: `${body}\n` };
}

function send(response: ServerResponse, { status, contentType, body }: Answer): void {
  response.writeHead(status, {
    'content-type': contentType,
    'content-length': Buffer.byteLength(body),
    // SECURITY: a page in a browser on this machine may not sniff or frame what is here.
    'x-content-type-options': 'nosniff',
    'cache-control': 'no-store',
  });
  response.end(body);
}
