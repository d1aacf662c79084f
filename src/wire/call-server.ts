import type { Socket } from 'node:net';
import type { DescService } from '@bufbuild/protobuf';
import { status } from '@grpc/grpc-js';
import type { H2Events } from '#protocol';
import { type BadHead, readCallHead } from './call-head.ts';
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

/** Answers calls on connections that are known to be somebody's. */
export type CallServer = {
  readonly speak: (socket: Socket, connection: SpokenTo) => void;
  /** Says goodbye on all connections and closes them, those who do not read it soon as well. */
  readonly close: () => Promise<void>;
};

/** A connection as its calls know it. */
export type SpokenTo = {
  /** What `getPeer` of its calls answers. */
  readonly name: string;
  readonly kind: 'tls' | 'unix';
  /** Why it was given up, where its peer broke a rule. */
  readonly onBroken: (reason: string) => void;
};

const TICK_MS = 5_000;
// How long what was said last may take to leave.
const CLOSE_MS = 250;
const MAX_MESSAGE_BYTES = 32 * 1024 * 1024;
// Calls at once on one connection. SECURITY: any process of the host may connect the socket; on a network it takes an agent,
// and one agent relays for every sidecar of its host.
const MAX_CALLS = { unix: 1_024, tls: 4_096 } as const;
const NO_SUCH_METHOD: BadHead = {
  kind: 'grpc',
  refusal: { code: status.UNIMPLEMENTED, details: 'there is no such method' },
};

/** Creates it; `onFailed` hears of handlers that threw. */
export function createCallServer(
  services: readonly GrpcService[],
  onFailed: (method: string, error: unknown) => void,
): CallServer {
  const methods = methodsOf(services);
  const speaking = new Map<Socket, H2Socket>();
  const ticking = setInterval(() => {
    const nowMs = performance.now();
    for (const each of speaking.values()) each.tick(nowMs);
  }, TICK_MS).unref();

  return {
    speak(socket, { name, kind, onBroken }) {
      const onRequest: H2Events['onRequest'] = (stream, head, isEnd) => {
        const { connection } = h2;
        const read = readCallHead(head);
        if ('kind' in read) return answerNoCall(connection, stream, read);
        const { path } = read;
        const method = methods.get(path);
        if (method === undefined) return answerNoCall(connection, stream, NO_SUCH_METHOD);
        const call = new GrpcCall({
          connection,
          stream,
          method,
          head: read,
          peer: name,
          maxMessageBytes: MAX_MESSAGE_BYTES,
          onFailed: (error) => onFailed(path, error),
        });
        return call.start(isEnd);
      };
      const isProbed = kind === 'tls';
      const h2 = new H2Socket(socket, {
        onRequest,
        onBroken,
        isProbed,
        maxStreams: MAX_CALLS[kind],
      });
      speaking.set(socket, h2);
      socket.once('close', () => speaking.delete(socket));
    },
    async close() {
      clearInterval(ticking);
      const sockets = Array.from(speaking.keys());
      for (const each of speaking.values()) each.shutdown();
      await allClosed(sockets);
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** Waits for them, but not for long. */
function allClosed(sockets: readonly Socket[]): Promise<void> {
  return new Promise((resolve) => {
    let open = sockets.length;
    if (open === 0) return resolve();
    const limit = setTimeout(resolve, CLOSE_MS);
    for (const socket of sockets) {
      socket.once('close', () => {
        if (--open > 0) return;
        clearTimeout(limit);
        resolve();
      });
    }
  });
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
