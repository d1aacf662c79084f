import { connect, type Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { PeerSvid } from '#identity';
import type { UpstreamService } from '#snapshot';
import { EVENT } from '#telemetry';
import { connectTls, verifyPeer } from './authenticate.ts';
import { type ProxyContext, serverNameOf } from './context.ts';
import type { Endpoint } from './options.ts';
import type { Failure } from './respond.ts';
import { type ChunkSink, lentRead } from './sockets.ts';

/** A TCP connection, or why there is none. */
export type DialedTcp =
  | { readonly kind: 'connected'; readonly socket: Socket }
  | { readonly kind: 'failed'; readonly failure: Failure };

/** A connection to a service whose identity was verified, or why there is none. */
export type DialedPeer =
  | { readonly kind: 'connected'; readonly socket: TLSSocket; readonly peer: PeerSvid }
  | { readonly kind: 'failed'; readonly failure: Failure };

/** How `dialTcp` connects. */
export type DialTcpOptions = {
  readonly timeoutMs: number;
  /** Where received bytes go instead of into the stream. */
  readonly reads?: ChunkSink;
};

/** Connects and calls back once. The connection may be half-closed by either side. */
export function dialTcp(
  to: Endpoint,
  { timeoutMs, reads }: DialTcpOptions,
  done: (result: DialedTcp) => void,
): void {
  const options = { host: to.host, port: to.port, noDelay: true, allowHalfOpen: true };
  const socket = connect(reads === undefined ? options : { ...options, onread: lentRead(reads) });
  const finish = once((failure?: Failure) => {
    clearTimeout(timer);
    if (failure === undefined) return done({ kind: 'connected', socket });
    socket.destroy();
    done({ kind: 'failed', failure });
  });
  const timer = setTimeout(
    () => finish({ kind: 'upstream_connect_failed', detail: 'connect_timeout' }),
    timeoutMs,
  );
  socket.once('connect', () => finish());
  socket.on('error', () => finish({ kind: 'upstream_connect_failed', detail: 'connect_failed' }));
}

/** What `dialService` connects to. */
export type ServiceTarget = {
  readonly service: UpstreamService;
  readonly port: number;
  readonly endpoint: Endpoint;
  /** Where received bytes go instead of into the stream. */
  readonly reads?: ChunkSink;
};

/**
 * Connects to an endpoint of a service by mutual TLS and checks that the server is the service.
 * SECURITY: not a byte of the caller's is written before that.
 */
export function dialService(
  context: ProxyContext,
  target: ServiceTarget,
  done: (result: DialedPeer) => void,
): void {
  const { service, port, endpoint, reads } = target;
  const tls = context.tls();
  if (tls === undefined) return done(failed('peer_unauthenticated', 'no_identity'));
  const socket = connectTls(endpoint, tls, serverNameOf(service.fqdn, port), reads);
  let connected = false;
  const finish = once((result: DialedPeer) => {
    clearTimeout(timer);
    if (result.kind === 'failed') socket.destroy();
    if (connected) context.options.metrics.handshake(outcomeOf(result), 'outbound').value++;
    done(result);
  });
  const fail = (what: string): void => {
    if (connected) finish(failed('upstream_tls_failed', `handshake_${what}`));
    else finish(failed('upstream_connect_failed', `connect_${what}`));
  };
  const timer = setTimeout(() => fail('timeout'), service.timeouts.connectMs);
  socket.once('connect', () => {
    connected = true;
  });
  socket.once('secureConnect', () => finish(checkServer(context, service, socket)));
  socket.on('error', () => fail('failed'));
  socket.once('close', () => fail('closed'));
}

function checkServer(
  context: ProxyContext,
  service: UpstreamService,
  socket: TLSSocket,
): DialedPeer {
  const { options } = context;
  const identity = options.identity.current();
  if (identity === undefined) return failed('peer_unauthenticated', 'no_identity');
  const peer = verifyPeer(socket, identity, options.clock());
  if (peer.ok && service.identities.has(peer.value.id.text)) {
    return { kind: 'connected', socket, peer: peer.value };
  }
  const code = peer.ok ? 'not_the_service' : peer.error.code;
  options.log.warn(EVENT.connectionRefused, {
    side: 'outbound',
    service: service.fqdn,
    code,
    message: peer.ok ? `the server is ${peer.value.id.text}` : peer.error.message,
  });
  return failed('upstream_identity_mismatch', `server_${code}`);
}

function outcomeOf(result: DialedPeer): string {
  return result.kind === 'connected' ? 'ok' : (result.failure.detail ?? result.failure.kind);
}

function failed(kind: Failure['kind'], detail: string): { kind: 'failed'; failure: Failure } {
  return { kind: 'failed', failure: { kind, detail } };
}

function once<T extends unknown[]>(action: (...args: T) => void): (...args: T) => void {
  let called = false;
  return (...args) => {
    if (called) return;
    called = true;
    action(...args);
  };
}
