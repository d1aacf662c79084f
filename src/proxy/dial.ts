import { connect, type Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { PeerSvid } from '#identity';
import type { UpstreamService } from '#snapshot';
import { connectTls, verifyPeer } from './authenticate.ts';
import { type ProxyContext, serverNameOf } from './context.ts';
import type { Endpoint } from './options.ts';
import type { Failure } from './respond.ts';

/** A TCP connection, or why there is none. */
export type DialedTcp =
  | { readonly kind: 'connected'; readonly socket: Socket }
  | { readonly kind: 'failed'; readonly failure: Failure };

/** A connection to a service whose identity was verified, or why there is none. */
export type DialedPeer =
  | { readonly kind: 'connected'; readonly socket: TLSSocket; readonly peer: PeerSvid }
  | { readonly kind: 'failed'; readonly failure: Failure };

/** Connects within `timeoutMs`; calls back once. Half-open connections are kept open. */
export function dialTcp(to: Endpoint, timeoutMs: number, done: (result: DialedTcp) => void): void {
  const socket = connect({ host: to.host, port: to.port, noDelay: true, allowHalfOpen: true });
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
  const { service, port, endpoint } = target;
  const { connectMs } = service.timeouts;
  dialTcp(endpoint, connectMs, (dialed) => {
    if (dialed.kind === 'failed') return done(dialed);
    const tls = context.tls();
    if (tls === undefined) {
      dialed.socket.destroy();
      return done(failed('peer_unauthenticated', 'no_identity'));
    }
    const socket = connectTls(dialed.socket, tls, serverNameOf(service.fqdn, port));
    const finish = once((result: DialedPeer) => {
      clearTimeout(timer);
      if (result.kind === 'failed') socket.destroy();
      context.options.metrics.handshake(outcomeOf(result), 'outbound').value++;
      done(result);
    });
    const timer = setTimeout(
      () => finish(failed('upstream_tls_failed', 'handshake_timeout')),
      connectMs,
    );
    socket.once('secureConnect', () => finish(checkServer(context, service, socket)));
    socket.on('error', () => finish(failed('upstream_tls_failed', 'handshake_failed')));
    socket.once('close', () => finish(failed('upstream_tls_failed', 'handshake_closed')));
  });
}

function checkServer(
  context: ProxyContext,
  service: UpstreamService,
  socket: TLSSocket,
): DialedPeer {
  const { identity, clock } = { ...context.options, identity: context.options.identity.current() };
  if (identity === undefined) return failed('peer_unauthenticated', 'no_identity');
  const peer = verifyPeer(socket, identity, clock());
  if (!peer.ok) return failed('upstream_identity_mismatch', `server_${peer.error.code}`);
  if (!service.identities.has(peer.value.id.text)) {
    return failed('upstream_identity_mismatch', 'server_not_the_service');
  }
  return { kind: 'connected', socket, peer: peer.value };
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
