import type { Socket } from 'node:net';
import { formatAuthority, looksLikeTls, parseConnect } from '#protocol';
import { createRecordedCall } from '#telemetry';
import type { ProxyContext } from './context.ts';
import { watchNewcomer } from './listen.ts';
import { type CallFacts, recordCall, resetRecord } from './record.ts';
import { type Failure, serializeFailure, statusOf } from './respond.ts';
import { choosePort, findService } from './route.ts';

/** Who goes on with a connection to the forward proxy once its first bytes are known. */
export type TunnelHandlers = {
  /** An ordinary request; nothing of it has been taken from the socket. */
  readonly onOther: () => void;
  /** TLS, of which nothing has been taken: the name it asks for says where to. */
  readonly onTls: () => void;
  /** A CONNECT to this port of a service of the mesh, already answered with 200. */
  readonly onTunnel: (service: string, port: number) => void;
  /** Records' constant part of calls that reach no service. */
  readonly facts: () => CallFacts;
};

const ESTABLISHED = 'HTTP/1.1 200 OK\r\n\r\n';

/**
 * Tells a CONNECT, and TLS, from other requests on a new connection of the application. Many HTTP clients send
 * it for plain `http://` too (Node.js's fetch among them), so what is in the tunnel gets no less
 * attention than what comes without: the port's protocol says how it is read and judged.
 * SECURITY: only names of the mesh are tunnelled to; the sidecar is no way out into the network.
 */
export function openTunnel(socket: Socket, context: ProxyContext, handlers: TunnelHandlers): void {
  const newcomer = watchNewcomer(socket, context);
  let seen: Buffer = Buffer.alloc(0);
  const settle = (rest: Buffer): void => {
    newcomer.settle();
    socket.off('data', onData);
    socket.pause();
    if (rest.length > 0) socket.unshift(rest);
  };
  const onData = (chunk: Buffer): void => {
    seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk]);
    const guess = looksLikeTls(seen);
    if (guess === 'tls') {
      settle(seen);
      return handlers.onTls();
    }
    const result = guess === 'more' ? guess : parseConnect(seen);
    if (result === 'more' || result.kind === 'more') return;
    settle(result.kind === 'connect' ? seen.subarray(result.consumed) : seen);
    if (result.kind === 'other') {
      handlers.onOther();
      socket.resume();
    } else if (result.kind === 'refuse') {
      refuse(socket, context, {
        failure: { kind: 'bad_request', detail: 'bad_connect' },
        handlers,
        host: null,
      });
    } else establish(socket, context, handlers, result.authority);
  };
  socket.on('data', onData);
}

function establish(
  socket: Socket,
  context: ProxyContext,
  handlers: TunnelHandlers,
  authority: { readonly name: string; readonly port: number | undefined },
): void {
  findService(context, authority.name, (service) => {
    if (socket.destroyed) return;
    const port = service === undefined ? undefined : choosePort(service, authority.port);
    if (port === undefined) {
      const failure: Failure = { kind: 'no_such_service', detail: 'tunnel_to_unknown' };
      return refuse(socket, context, { failure, handlers, host: formatAuthority(authority) });
    }
    socket.write(ESTABLISHED);
    handlers.onTunnel(authority.name, port.port);
  });
}

function refuse(
  socket: Socket,
  context: ProxyContext,
  refused: {
    readonly failure: Failure;
    readonly handlers: TunnelHandlers;
    readonly host: string | null;
  },
): void {
  const { failure, handlers, host } = refused;
  const { metrics, clock } = context.options;
  metrics.refused(failure.detail ?? failure.kind).value++;
  const facts = handlers.facts();
  const record = createRecordedCall(facts.recorded);
  resetRecord(record);
  Object.assign(record, { startedAt: clock(), method: 'CONNECT', host, path: null });
  record.status = statusOf(failure.kind);
  record.reason = failure.kind;
  recordCall(context.options, facts, record);
  socket.end(serializeFailure(failure, { json: false, headOnly: false, close: true }));
  // What the caller still sends is read and dropped, so that the answer is not lost to a reset.
  socket.resume();
  socket.setTimeout(2000, () => socket.destroy());
}
