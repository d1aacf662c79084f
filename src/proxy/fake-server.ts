// A server of a service that speaks mutual TLS and HTTP/1.1 by itself, so that a test decides every byte it answers.
import { type AddressInfo, connect, type Socket } from 'node:net';
import { createServer, type TlsOptions } from 'node:tls';
import type { WorkloadIdentity } from '#identity';
import { bundlePem } from '#identity';
import type { Endpoint } from './options.ts';

/** A running fake; `requests` holds the first line of each request that came. */
export type FakeServer = {
  readonly endpoint: Endpoint;
  readonly requests: string[];
  /** Connections accepted so far. */
  readonly connections: () => number;
  readonly close: () => void;
};

/** Starts it; `answer` is given each request's head with the socket, and how many came before. */
export async function startFakeServer(
  identity: WorkloadIdentity,
  answer: (socket: Socket, head: string, before: number) => void,
): Promise<FakeServer> {
  const requests: string[] = [];
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = createServer(serverOptions(identity), (socket) => {
    connections++;
    sockets.add(socket);
    let text = '';
    socket.on('error', () => {
      // Tests break connections on purpose.
    });
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      for (let end = text.indexOf('\r\n\r\n'); end >= 0; end = text.indexOf('\r\n\r\n')) {
        const head = text.slice(0, end);
        const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
        if (text.length < end + 4 + length) return;
        text = text.slice(end + 4 + length);
        requests.push(head.slice(0, head.indexOf('\r\n')));
        answer(socket, head, requests.length - 1);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: { host: '127.0.0.1', port: (server.address() as AddressInfo).port },
    requests,
    connections: () => connections,
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

/** Starts a server of a service that speaks HTTP/2: in front of a port, which gets the bytes within its TLS. */
export async function startTlsFront(
  identity: WorkloadIdentity,
  port: number,
): Promise<{ readonly endpoint: Endpoint; readonly close: () => void }> {
  const sockets = new Set<Socket>();
  const server = createServer({ ...serverOptions(identity), ALPNProtocols: ['h2'] }, (socket) => {
    const behind = connect(port, '127.0.0.1');
    for (const [one, other] of [
      [socket, behind],
      [behind, socket],
    ] as const) {
      sockets.add(one);
      one.pipe(other);
      one.on('error', () => other.destroy());
      one.on('close', () => other.destroy());
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: { host: '127.0.0.1', port: (server.address() as AddressInfo).port },
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

/** Writes a whole answer of no body. */
export function answerWith(socket: Socket, status: number, lines: readonly string[] = []): void {
  const head = [`HTTP/1.1 ${status} X`, 'content-length: 0', ...lines].join('\r\n');
  socket.write(`${head}\r\n\r\n`);
}

function serverOptions(identity: WorkloadIdentity): TlsOptions {
  return {
    key: identity.privateKeyPem,
    cert: identity.chainPem,
    ca: identity.bundles.map(bundlePem),
    requestCert: true,
    minVersion: 'TLSv1.3',
  };
}
