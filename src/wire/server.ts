import { once } from 'node:events';
import { createServer as createNetServer, type Server as NetServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import {
  createServer as createTlsServer,
  type TLSSocket,
  type Server as TlsServer,
} from 'node:tls';
import type { DescService } from '@bufbuild/protobuf';
import { status } from '@grpc/grpc-js';
import type { H2Events } from '#protocol';
import { readCallHead } from './call-head.ts';
import { H2Socket } from './h2-socket.ts';
import { answerNoCall, GrpcCall, type Method } from './server-call.ts';

/**
 * One service and the functions that answer its methods, named as in the .proto with a small first letter: with the call,
 * and for a unary one what takes the answer. A method that has none is unimplemented.
 */
export type GrpcService = {
  readonly service: DescService;
  readonly implementation: Readonly<Record<string, Method['handle']>>;
};

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
const TICK_MS = 5_000;
// Calls at once on one connection. SECURITY: any process of the host may connect the socket; on a network it takes an agent,
// and one agent relays for every sidecar of its host.
const MAX_UNIX_CALLS = 1_024;
const MAX_TLS_CALLS = 4_096;
// How long what was said last may take to leave.
const CLOSE_MS = 250;
const MAX_MESSAGE_BYTES = 32 * 1024 * 1024;

/** Creates a server of `services`; nothing listens yet. */
export function createGrpcServer<Peer>(
  services: readonly GrpcService[],
  options: ServerOptions = {},
): GrpcServer<Peer> {
  const methods = methodsOf(services);
  const onFailed = options.onFailed ?? (() => undefined);
  const peers = new Map<string, Peer>();
  const connected = new Map<Socket, Peer>();
  const listeners: (NetServer | TlsServer)[] = [];
  const sockets = new Set<Socket>();
  const speaking = new Map<Socket, H2Socket>();
  let connections = 0;
  let isClosed = false;
  const ticking = setInterval(() => {
    const nowMs = performance.now();
    for (const each of speaking.values()) each.tick(nowMs);
  }, TICK_MS).unref();

  /** The name of the connection and who it is, if it may go on. */
  function accept(
    socket: Socket,
    identify: () => Peer | undefined,
    onRefused?: (reason: string) => void,
  ): { readonly name: string; readonly peer: Peer } | undefined {
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
    return { name, peer };
  }

  function speak(
    socket: Socket,
    name: string,
    how: { readonly isProbed: boolean; readonly onRefused?: (reason: string) => void },
  ): void {
    const { isProbed, onRefused } = how;
    const onRequest: H2Events['onRequest'] = (stream, head, isEnd) => {
      const { connection } = h2;
      const read = readCallHead(head);
      if ('kind' in read) return answerNoCall(connection, stream, read);
      const { path } = read;
      const method = methods.get(path);
      if (method === undefined) {
        const refusal = { code: status.UNIMPLEMENTED, details: 'there is no such method' };
        return answerNoCall(connection, stream, { kind: 'grpc', refusal });
      }
      return new GrpcCall({
        connection,
        stream,
        method,
        head: read,
        peer: name,
        maxMessageBytes: MAX_MESSAGE_BYTES,
        onFailed: (error) => onFailed(path, error),
      }).start(isEnd);
    };
    const h2 = new H2Socket(socket, {
      onRequest,
      onBroken: (reason) => onRefused?.(reason),
      maxStreams: isProbed ? MAX_TLS_CALLS : MAX_UNIX_CALLS,
      isProbed,
    });
    speaking.set(socket, h2);
    socket.once('close', () => speaking.delete(socket));
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
        else speak(socket, accepted.name, { isProbed: true, ...(onRefused && { onRefused }) });
      });
      listeners.push(server);
      return listenTcp(server, listening.port, listening.host);
    },
    async listenUnix({ path, identify, onRefused }) {
      const server = createNetServer((socket) => {
        socket.on('error', () => socket.destroy());
        const accepted = accept(socket, () => identify(socket), onRefused);
        if (accepted === undefined) return;
        speak(socket, accepted.name, { isProbed: false, ...(onRefused && { onRefused }) });
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
      clearInterval(ticking);
      for (const listener of listeners) listener.close();
      for (const each of speaking.values()) each.shutdown();
      for (const socket of sockets) if (!speaking.has(socket)) socket.destroy();
      const gone = Array.from(
        speaking.keys(),
        (socket) => new Promise<void>((resolve) => socket.once('close', () => resolve())),
      );
      await Promise.race([Promise.all(gone), delay(CLOSE_MS, undefined, { ref: false })]);
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** By path. */
function methodsOf(services: readonly GrpcService[]): ReadonlyMap<string, Method> {
  const methods = new Map<string, Method>();
  for (const { service, implementation } of services) {
    for (const { name, localName, methodKind, input, output } of service.methods) {
      const handle = implementation[localName];
      if (handle === undefined) continue;
      // Nothing here has such a method.
      if (methodKind === 'client_streaming') throw new Error(`${name} streams to one answer`);
      const path = `/${service.typeName}/${name}`;
      methods.set(path, { kind: methodKind, input, output, handle });
    }
  }
  return methods;
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
