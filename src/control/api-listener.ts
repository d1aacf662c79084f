import { constants } from 'node:crypto';
import { once } from 'node:events';
import type { Server as HttpServer } from 'node:http';
import { createServer, type Server as HttpsServer } from 'node:https';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { getRequestListener } from '@hono/node-server';
import type { TlsMaterial } from '#wire';
import type { Admins } from './admins.ts';
import type { Authenticate } from './api/app.ts';
import type { Api } from './api/context.ts';

/** A listening HTTP server; `close` ends open connections too. */
export type Listener = { readonly port: number; readonly close: () => Promise<void> };

/** Where to listen, and who hears of connections that were no use; port 0: any free one. */
export type ListenOptions = {
  readonly host: string;
  readonly port: number;
  readonly onRefused: (reason: string) => void;
};

/** Time limits of every HTTP server of ours, ms. SECURITY: a client that dribbles bytes holds nothing for long. */
export const HTTP_LIMITS = {
  headersTimeout: 10_000,
  requestTimeout: 60_000,
  keepAliveTimeout: 30_000,
  maxHeaderSize: 16 * 1024,
  connectionsCheckingInterval: 5_000,
} as const;

const HANDSHAKE_TIMEOUT_MS = 10_000;

/** Admins are known by the fingerprint of the certificate whose key they proved to hold in the handshake. */
export function authenticateAdmin(admins: Admins): Authenticate {
  return (c) => {
    const { socket } = c.env.incoming;
    if (!(socket instanceof TLSSocket)) return undefined;
    const certificate = socket.getPeerX509Certificate();
    const admin = certificate && admins.identify(certificate.raw);
    if (admin === undefined) return undefined;
    const { name, readOnly } = admin;
    return { kind: 'admin', name, readOnly, expiresAt: undefined };
  };
}

/** Serves the API over TLS 1.3; `renew` gives it a new certificate for connections to come. */
export async function listenApi(
  app: Api,
  material: TlsMaterial,
  options: ListenOptions,
): Promise<Listener & { readonly renew: (material: TlsMaterial) => void }> {
  const server = createServer(
    {
      ...HTTP_LIMITS,
      ...secureContext(material),
      minVersion: 'TLSv1.3',
      ALPNProtocols: ['http/1.1'],
      requestCert: true,
      // SECURITY: admins' certificates sign for themselves; the list of fingerprints decides, for each request.
      rejectUnauthorized: false,
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      // A resumed session would show the certificate of a handshake that is hours old.
      secureOptions: constants.SSL_OP_NO_TICKET,
    },
    getRequestListener(app.fetch, { overrideGlobalObjects: false }),
  );
  server.on('tlsClientError', (error) => options.onRefused(error.message));
  const listener = await listen(server, options);
  return { ...listener, renew: (next) => server.setSecureContext(secureContext(next)) };
}

/** Puts a server on its port; garbage is answered by closing the connection. */
export async function listen(
  server: HttpServer | HttpsServer,
  { host, port, onRefused }: ListenOptions,
): Promise<Listener> {
  const sockets = new Set<Socket>();
  const track = (socket: Socket): void => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  };
  server.on('connection', track);
  server.on('clientError', (error: Error, socket: Socket) => {
    onRefused(error.message);
    socket.destroy();
  });
  server.listen(port, host);
  await once(server, 'listening');
  // Too many open files, for one, is reported here and passes.
  server.on('error', (error) => onRefused(error.message));
  const address = server.address();
  if (address === null || typeof address === 'string')
    throw new Error('listening without a TCP address');
  return {
    port: address.port,
    async close() {
      server.close();
      for (const socket of sockets) socket.destroy();
      await Promise.resolve();
    },
  };
}

function secureContext({ chainPem, privateKeyPem }: TlsMaterial): { cert: string; key: string } {
  return { cert: chainPem, key: privateKeyPem };
}
