// An HTTP/2 application behind a pair of proxies, and a client in front, both of them Node.js's own.
import {
  type ClientHttp2Session,
  connect,
  createServer,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import type { PortProtocol } from '#lib';
import { createFakeMesh, fakeService } from './fake-mesh.ts';
import {
  createFakePair,
  type FakeApplication,
  type FakePair,
  type FakePairOptions,
} from './fake-pair.ts';

/** How the application answers one stream. */
export type H2Handler = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void;

/** A pair whose service's port declares `protocol`. */
export function createProtocolPair(
  protocol: PortProtocol,
  application: FakeApplication,
  options: Partial<FakePairOptions> = {},
): Promise<FakePair> {
  const mesh = options.mesh ?? createFakeMesh();
  const service = fakeService(mesh, 'orders', { ports: [{ port: 80, name: 'main', protocol }] });
  return createFakePair({ mesh, service, inbound: [{ protocol }], ...options, application });
}

/** Starts an application that speaks HTTP/2 with prior knowledge. */
export async function startH2Application(
  handler: H2Handler,
): Promise<{ readonly port: number; readonly close: () => void }> {
  const server = createServer();
  const sessions = new Set<{ destroy: () => void }>();
  server.on('session', (session) => sessions.add(session));
  server.on('sessionError', () => {
    // Tests cut connections; what the client saw of it is what they look at.
  });
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {
      // As above.
    });
    handler(stream, headers);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      for (const session of sessions) session.destroy();
      server.close();
    },
  };
}

/** What a client heard on one stream. */
export type H2Answer = {
  readonly headers: IncomingHttpHeaders & { readonly ':status'?: number | undefined };
  readonly body: string;
  readonly trailers: IncomingHttpHeaders;
  /** How the stream ended: 0 for well. */
  readonly code: number;
};

/** Connects as a client with prior knowledge. */
export function connectH2(port: number | undefined): ClientHttp2Session {
  const session = connect(`http://127.0.0.1:${port}`);
  session.on('error', () => {
    // Told by the streams.
  });
  return session;
}

/** Sends a request and waits for the end of its stream. */
export function requestH2(
  session: ClientHttp2Session,
  headers: Readonly<Record<string, string | readonly string[]>>,
  body?: string | Buffer,
): Promise<H2Answer> {
  return new Promise((resolve) => {
    const stream = session.request(
      { ':authority': 'orders', ...headers },
      { endStream: body === undefined },
    );
    let head: H2Answer['headers'] = {};
    let trailers: IncomingHttpHeaders = {};
    let text = '';
    stream.setEncoding('latin1');
    stream.on('response', (received) => {
      head = received;
    });
    stream.on('trailers', (received) => {
      trailers = received;
    });
    stream.on('data', (chunk: string) => {
      text += chunk;
    });
    stream.on('error', () => {
      // Told by the code.
    });
    stream.on('close', () =>
      resolve({ headers: head, body: text, trailers, code: stream.rstCode }),
    );
    if (body !== undefined) stream.end(body);
  });
}
