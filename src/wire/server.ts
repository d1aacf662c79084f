import { once } from 'node:events';
import { createServer as createNetServer, type Server as NetServer, type Socket } from 'node:net';
import {
  createServer as createTlsServer,
  type TLSSocket,
  type Server as TlsServer,
} from 'node:tls';
import type { DescService } from '@bufbuild/protobuf';
import { Server, ServerCredentials, type UntypedServiceImplementation } from '@grpc/grpc-js';
import { grpcDefinition } from './service.ts';
import { greetUnixClient } from './unix-preface.ts';

/** One service and the functions that answer its methods, named as in the .proto with a small first letter. */
export type GrpcService = {
  readonly service: DescService;
  readonly implementation: UntypedServiceImplementation;
};

/** The certificate chain (leaf first) and key a server shows, and whom it demands client certificates from. */
export type TlsMaterial = {
  readonly chainPem: string;
  readonly privateKeyPem: string;
  readonly rootsPem: readonly string[];
};

/** A gRPC server whose connections arrive one by one, each with what `identify` found out about its peer. */
export type GrpcServer<Peer> = {
  /** Who sent `call` (any of grpc-js's server call objects). */
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

const HANDSHAKE_TIMEOUT_MS = 10_000;
const MAX_MESSAGE_BYTES = 32 * 1024 * 1024;

/** Creates a server of `services`; nothing listens yet. */
export function createGrpcServer<Peer>(services: readonly GrpcService[]): GrpcServer<Peer> {
  const grpc = serverOf(services);
  const injector = grpc.createConnectionInjector(ServerCredentials.createInsecure());
  const peers = new Map<string, Peer>();
  const connected = new Map<Socket, Peer>();
  const listeners: (NetServer | TlsServer)[] = [];
  const sockets = new Set<Socket>();
  let connections = 0;
  let isClosed = false;

  /** Who it is, if the connection may go on. */
  function accept(
    socket: Socket,
    identify: () => Peer | undefined,
    onRefused?: (reason: string) => void,
  ): { readonly peer: Peer } | undefined {
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
    nameConnection(socket, name);
    return { peer };
  }

  return {
    peer(call) {
      const peer = peers.get(call.getPeer());
      // SECURITY: a call whose connection is gone, or never was identified, has no peer to act for.
      if (peer === undefined) throw new Error('the connection of this call is closed');
      return peer;
    },
    async listenTls(options) {
      const server = createTlsListener(options, (socket, identify, onRefused) => {
        const accepted = accept(socket, identify, onRefused);
        if (accepted === undefined) return;
        const { streams } = options;
        if (socket.alpnProtocol !== streams?.protocol) injector.injectConnection(socket);
        else streams?.accept(socket, accepted.peer);
      });
      listeners.push(server);
      return listenTcp(server, options.port, options.host);
    },
    async listenUnix(options) {
      const server = createNetServer((socket) => {
        socket.on('error', () => socket.destroy());
        const isAccepted = accept(socket, () => options.identify(socket), options.onRefused);
        if (isAccepted === undefined) return;
        greetUnixClient(socket, () => injector.injectConnection(socket));
      });
      listeners.push(server);
      server.listen(options.path);
      await once(server, 'listening');
    },
    disconnect(isOver) {
      for (const [socket, peer] of Array.from(connected)) if (isOver(peer)) socket.destroy();
    },
    async close() {
      isClosed = true;
      for (const listener of listeners) listener.close();
      grpc.forceShutdown();
      for (const socket of sockets) socket.destroy();
      await Promise.resolve();
    },
  };
}

function serverOf(services: readonly GrpcService[]): Server {
  const grpc = new Server({
    'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
    'grpc.keepalive_time_ms': 20_000,
    // Counters of each call and connection for a debugging service that we do not serve.
    'grpc.enable_channelz': 0,
  });
  for (const { service, implementation } of services) {
    grpc.addService(grpcDefinition(service), implementation);
  }
  return grpc;
}

// grpc-js tells a handler nothing of its connection but the peer's address; so that address becomes the name
// under which we know the connection.
function nameConnection(socket: Socket, name: string): void {
  Object.defineProperty(socket, 'remoteAddress', { value: name });
  Object.defineProperty(socket, 'remotePort', { value: undefined });
}

function createTlsListener<Peer>(
  options: ListenTls<Peer>,
  accept: (
    socket: TLSSocket,
    identify: () => Peer | undefined,
    onRefused?: (reason: string) => void,
  ) => void,
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
    accept(socket, () => options.identify(socket), options.onRefused);
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
