import { once } from 'node:events';
import { createServer as createNetServer, type Server as NetServer, type Socket } from 'node:net';
import {
  createServer as createTlsServer,
  type TLSSocket,
  type Server as TlsServer,
} from 'node:tls';
import { createCallServer, type GrpcService } from './call-server.ts';

/** The certificate chain (leaf first) and key a server shows, and whom it demands client certificates from. */
export type TlsMaterial = {
  readonly chainPem: string;
  readonly privateKeyPem: string;
  readonly rootsPem: readonly string[];
};

/** A gRPC server whose connections arrive one by one, each with what `identify` found out about its peer. */
export type GrpcServer<Peer> = {
  /** Who sent `call` (any `GrpcCall`). */
  readonly peer: (call: { readonly getPeer: () => string }) => Peer;
  /** Serves TLS 1.3 on host and port (0: any free one); resolves to the port. */
  readonly listenTls: (options: ListenTls<Peer>) => Promise<number>;
  /** Serves plaintext on a Unix socket that exists already as a path nobody else uses. */
  readonly listenUnix: (options: ListenUnix<Peer>) => Promise<void>;
  /** Ends the connections of the peers for whom `isOver` says so. */
  readonly disconnect: (isOver: (peer: Peer) => boolean) => void;
  readonly close: () => Promise<void>;
};

type ListenTls<Peer> = {
  readonly host: string;
  readonly port: number;
  readonly material: () => TlsMaterial;
  /** Undefined refuses the connection. Called after the handshake; `authorized` is OpenSSL's word on the chain. */
  readonly identify: (socket: TLSSocket) => Peer | undefined;
  readonly onRefused?: (reason: string) => void;
  /** Takes the connections that ask for this protocol (ALPN) instead of gRPC. */
  readonly streams?: {
    readonly protocol: string;
    readonly accept: (socket: TLSSocket, peer: Peer) => void;
  };
};

type ListenUnix<Peer> = {
  readonly path: string;
  readonly identify: (socket: Socket) => Peer | undefined;
  readonly onRefused?: (reason: string) => void;
};

/** What a server is created with. */
type ServerOptions = {
  /** A handler threw; it was answered with INTERNAL. */
  readonly onFailed?: (method: string, error: unknown) => void;
};

const HANDSHAKE_TIMEOUT_MS = 10_000;

/** Creates a server of `services`; nothing listens yet. */
export function createGrpcServer<Peer>(
  services: readonly GrpcService[],
  options: ServerOptions = {},
): GrpcServer<Peer> {
  const calls = createCallServer(services, options.onFailed ?? (() => undefined));
  const peers = new Map<string, Peer>();
  const connected = new Map<Socket, Peer>();
  const listeners: (NetServer | TlsServer)[] = [];
  const sockets = new Set<Socket>();
  let connections = 0;
  let isClosed = false;

  /** The name of the connection and who it is, if it may go on. */
  function accept(
    socket: Socket,
    identify: () => Peer | undefined,
    onRefused?: (reason: string) => void,
  ): { readonly name: string; readonly peer: Peer; readonly onBroken: typeof ignore } | undefined {
    // A handshake that was under way when the server closed ends here.
    if (isClosed) {
      socket.destroy();
      return undefined;
    }
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    const peer = identify();
    if (peer === undefined) {
      onRefused?.('peer not identified');
      socket.destroy();
      return undefined;
    }
    const name = `connection-${++connections}`;
    peers.set(name, peer);
    connected.set(socket, peer);
    socket.once('close', () => {
      peers.delete(name);
      connected.delete(socket);
    });
    return { name, peer, onBroken: onRefused ?? ignore };
  }

  return {
    peer(call) {
      const peer = peers.get(call.getPeer());
      // SECURITY: a call whose connection is gone, or never was identified, has no peer to act for.
      if (peer === undefined) throw new Error('the connection of this call is closed');
      return peer;
    },
    async listenTls(listening) {
      const { streams, onRefused } = listening;
      const server = createTlsListener(listening, (socket) => {
        const accepted = accept(socket, () => listening.identify(socket), onRefused);
        if (accepted === undefined) return;
        const isStream = streams !== undefined && socket.alpnProtocol === streams.protocol;
        if (isStream) streams.accept(socket, accepted.peer);
        else calls.speak(socket, { ...accepted, kind: 'tls' });
      });
      listeners.push(server);
      return listenTcp(server, listening.port, listening.host);
    },
    async listenUnix({ path, identify, onRefused }) {
      const server = createNetServer((socket) => {
        socket.on('error', () => socket.destroy());
        const accepted = accept(socket, () => identify(socket), onRefused);
        if (accepted === undefined) return;
        calls.speak(socket, { ...accepted, kind: 'unix' });
      });
      listeners.push(server);
      server.listen(path);
      await once(server, 'listening');
    },
    disconnect(isOver) {
      for (const [socket, peer] of Array.from(connected)) if (isOver(peer)) socket.destroy();
    },
    async close() {
      isClosed = true;
      for (const listener of listeners) listener.close();
      await calls.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

function ignore(_reason: string): void {
  // Nobody wants to know.
}

function createTlsListener<Peer>(
  options: ListenTls<Peer>,
  accept: (socket: TLSSocket) => void,
): TlsServer {
  const server = createTlsServer({
    ALPNProtocols: [...(options.streams === undefined ? [] : [options.streams.protocol]), 'h2'],
    minVersion: 'TLSv1.3',
    requestCert: true,
    // SECURITY: `identify` decides, since one port serves enrolment (no certificate yet) and everything else.
    rejectUnauthorized: false,
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    ...secureContextOf(options.material()),
  });
  let shown = options.material();
  server.prependListener('connection', () => {
    const material = options.material();
    if (material === shown) return;
    shown = material;
    server.setSecureContext(secureContextOf(material));
  });
  server.on('secureConnection', (socket) => {
    socket.on('error', () => socket.destroy());
    accept(socket);
  });
  server.on('tlsClientError', (error, socket) => {
    options.onRefused?.(error.message);
    // SECURITY: Node.js tells of a handshake that takes too long and leaves it open.
    socket.destroy();
  });
  return server;
}

function secureContextOf(material: TlsMaterial): { cert: string; key: string; ca: string[] } {
  // No roots: `identify` is what verifies. With them Node.js 24.21 reads the client's certificate itself where OpenSSL
  // is content, which takes the intermediates out of what anybody reads afterwards (nodejs/node#65579).
  return { cert: material.chainPem, key: material.privateKeyPem, ca: [] };
}

async function listenTcp(server: NetServer, port: number, host: string): Promise<number> {
  server.listen(port, host);
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string')
    throw new Error('listening without a TCP address');
  return address.port;
}
