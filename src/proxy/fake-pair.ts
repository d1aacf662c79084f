// Two proxies on 127.0.0.1 with an application behind the second, for tests with real sockets.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import type { PolicyIr } from '#policy';
import type { InboundPort, Snapshot, UpstreamService } from '#snapshot';
import {
  createFakeMesh,
  type FakeMesh,
  type FakeWorkload,
  fakePolicy,
  fakeService,
  fakeSnapshot,
  fakeWorkload,
} from './fake-mesh.ts';
import type { Endpoint, Proxy, ProxyOptions, UpstreamListener } from './options.ts';
import { createProxy } from './proxy.ts';

/** Where an application is: an HTTP handler to run, or a port that is served already. */
export type FakeApplication =
  | ((request: IncomingMessage, response: ServerResponse) => void)
  | { readonly port: number };

/** A caller `web` and a server `orders`, each with its proxy. */
export type FakePair = {
  readonly mesh: FakeMesh;
  readonly web: FakeWorkload;
  readonly orders: FakeWorkload;
  readonly caller: Proxy;
  readonly server: Proxy;
  readonly service: UpstreamService;
  readonly appPort: number;
  readonly close: () => Promise<void>;
};

/** What differs between pairs. */
export type FakePairOptions = {
  readonly application: FakeApplication;
  readonly policies?: readonly PolicyIr[];
  readonly inbound?: readonly Partial<InboundPort>[];
  readonly tokens?: Snapshot['tokens'];
  readonly fetchJwks?: ProxyOptions['fetchJwks'];
  readonly service?: UpstreamService;
  readonly serverAccount?: string;
  readonly mesh?: FakeMesh;
  readonly upstreams?: readonly UpstreamListener[];
  /** How the two proxies talk; by tunnel if not said. */
  readonly transport?: 'hbone' | 'mtls';
  readonly timeouts?: Parameters<typeof fakeSnapshot>[1]['timeouts'];
  /** Whom CUSTOM policies of the server ask, and what they say. */
  readonly providers?: Parameters<typeof fakeSnapshot>[1]['providers'];
  readonly consult?: ProxyOptions['consult'];
  /** Where the server's proxy listens, if not on 127.0.0.1. */
  readonly serverHost?: string;
  /** Endpoints of the service; that of the server's proxy unless told. */
  readonly endpoints?: (own: Endpoint) => readonly Endpoint[];
  /** Where the two sides' records and counts go instead of into lists. */
  readonly evidence?: (
    side: 'web' | 'orders',
  ) => Partial<Pick<ProxyOptions, 'records' | 'metrics'>>;
  /** What the server's side records of calls. */
  readonly telemetry?: Parameters<typeof fakeSnapshot>[1]['telemetry'];
  /** Limits of the server's own sidecar. */
  readonly limits?: Parameters<typeof fakeSnapshot>[1]['limits'];
  /** What each side knows of revoked peers. */
  readonly revocations?: {
    readonly web?: ProxyOptions['revocations'];
    readonly orders?: ProxyOptions['revocations'];
  };
};

/** Lets `web` call everything of `orders`. */
export const ALLOW_WEB: PolicyIr = fakePolicy('ALLOW', 'web', {
  principal: ['cluster.local/ns/default/sa/web'],
});

/** Starts a pair; `close` ends everything. */
export async function createFakePair(options: FakePairOptions): Promise<FakePair> {
  const { mesh = createFakeMesh(), policies = [ALLOW_WEB], timeouts = {}, limits = {} } = options;
  const { serverHost = '127.0.0.1' } = options;
  const service = options.service ?? fakeService(mesh, 'orders');
  const app = await startApplication(options.application);
  const inbound = options.inbound ?? [{}];
  const orders = fakeWorkload(
    fakeSnapshot(mesh, {
      service: 'orders',
      policies,
      inbound,
      timeouts,
      limits,
      providers: options.providers ?? [],
      tokens: options.tokens ?? [],
      telemetry: options.telemetry ?? {},
    }),
    mesh.issue(options.serverAccount ?? 'orders'),
  );
  const server = await createProxy(
    orders.options({
      ...options.evidence?.('orders'),
      appPort: app.port,
      fetchJwks: options.fetchJwks,
      revocations: options.revocations?.orders,
      consult: options.consult,
      listen: {
        inbound: { host: serverHost, port: 0 },
        hbone: { host: serverHost, port: 0 },
        outbound: undefined,
        upstreams: [],
      },
    }),
  );
  const own = {
    host: serverHost,
    port: server.inboundPort ?? 0,
    hbonePort: options.transport === 'mtls' ? 0 : server.hbonePort,
  };
  const endpoints = options.endpoints?.(own) ?? [own];
  const web = fakeWorkload(
    fakeSnapshot(mesh, { service: 'web', upstreams: [service], timeouts }),
    mesh.issue('web'),
  );
  const caller = await createProxy(
    web.options({
      ...options.evidence?.('web'),
      revocations: options.revocations?.web,
      endpoints: () => endpoints,
      listen: {
        inbound: undefined,
        outbound: { host: '127.0.0.1', port: 0 },
        upstreams: options.upstreams ?? [],
      },
    }),
  );
  const close = async (): Promise<void> => {
    await Promise.all([caller.close(), server.close()]);
    app.close();
  };
  return { mesh, web, orders, caller, server, service, appPort: app.port, close };
}

/** Bytes in, bytes out: sends `raw` and returns what comes until the other side ends or `until` holds. */
export function talk(
  socket: Socket,
  raw: string | Buffer,
  until: (text: string) => boolean = () => false,
): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const finish = (): void => {
      socket.off('data', onData);
      socket.off('close', finish);
      resolve(text);
    };
    const onData = (chunk: Buffer): void => {
      text += chunk.toString('latin1');
      if (until(text)) finish();
    };
    socket.on('data', onData);
    socket.once('close', finish);
    if (socket.listenerCount('error') === 0) {
      socket.on('error', () => {
        // A reset ends the conversation like any other end.
      });
    }
    socket.write(raw);
  });
}

/** Resolves when the socket is closed, by a reset or not. */
export function closeOf(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

/** Sends one request as it stands to the caller's outbound port; returns the answer when it is whole. */
export async function ask(port: number | undefined, raw: string): Promise<string> {
  const socket = connect(port ?? 0, '127.0.0.1');
  const text = await talk(socket, raw, isWholeAnswer);
  socket.destroy();
  return text;
}

/** Whether `text` is an answer with its whole body, by Content-Length or chunked. */
export function isWholeAnswer(text: string): boolean {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return false;
  const length = /\r\ncontent-length: (\d+)/i.exec(text.slice(0, end))?.[1];
  if (length !== undefined) return text.length >= end + 4 + Number(length);
  return /transfer-encoding: chunked/i.test(text) && text.endsWith('0\r\n\r\n');
}

async function startApplication(
  application: FakeApplication,
): Promise<{ readonly port: number; readonly close: () => void }> {
  if (typeof application !== 'function') return { port: application.port, close: () => {} };
  const server: Server = createServer(application);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
