import { connect } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { PeerSvid } from '#identity';
import type { UpstreamService } from '#snapshot';
import { EVENT } from '#telemetry';
import { connectTls, type TlsFacts } from './authenticate.ts';
import { type ProxyContext, serverNameOf } from './context.ts';
import { negotiatedGroup } from './key-exchange.ts';
import type { Endpoint } from './options.ts';
import type { BytePipe } from './pipe.ts';
import type { Failure } from './respond.ts';
import { createChunkSink, lentRead, SocketPipe } from './socket-pipe.ts';
import { TlsPeer } from './tls-peer.ts';

/** A TCP connection, or why there is none. */
export type DialedTcp =
  | { readonly kind: 'connected'; readonly pipe: BytePipe }
  | { readonly kind: 'failed'; readonly failure: Failure };

/** A connection to a server that has proved who it is. */
export type ReachedPeer = {
  readonly pipe: BytePipe;
  readonly peer: PeerSvid;
  /** The same, to be judged again when bundles or revocations change. */
  readonly secure: TlsPeer;
  readonly tls: TlsFacts;
};

/** A connection to a service whose identity was verified, or why there is none. */
export type DialedPeer =
  | ({ readonly kind: 'connected' } & ReachedPeer)
  | { readonly kind: 'failed'; readonly failure: Failure };

/** Connects and calls back once. The connection may be half-closed by either side. */
export function dialTcp(
  to: Endpoint,
  { timeoutMs }: { readonly timeoutMs: number },
  done: (result: DialedTcp) => void,
): void {
  const reads = createChunkSink();
  const socket = connect({
    host: to.host,
    port: to.port,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: 60_000,
    allowHalfOpen: true,
    onread: lentRead(reads),
  });
  const finish = once((failure?: Failure) => {
    clearTimeout(timer);
    if (failure === undefined)
      return done({ kind: 'connected', pipe: new SocketPipe(socket, reads) });
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
  const tls = context.tls();
  if (tls === undefined) return done(failed('peer_unauthenticated', 'no_identity'));
  const reads = createChunkSink();
  const socket = connectTls(endpoint, tls, serverNameOf(service.fqdn, port), reads);
  let connected = false;
  let group: string | undefined;
  const finish = once((result: DialedPeer) => {
    clearTimeout(timer);
    if (result.kind === 'failed') socket.destroy();
    if (connected) context.options.metrics.handshake(outcomeOf(result), 'outbound', group).value++;
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
  socket.once('secureConnect', () => {
    group = negotiatedGroup(socket);
    const checked = checkServer(context, service, socket);
    if (checked.kind === 'failed') return finish(checked);
    const pipe = new SocketPipe(socket, reads);
    finish({
      kind: 'connected',
      pipe,
      peer: checked.peer,
      secure: checked.secure,
      tls: checked.secure.facts,
    });
  });
  socket.on('error', () => fail('failed'));
  socket.once('close', () => fail('closed'));
}

function checkServer(
  context: ProxyContext,
  service: UpstreamService,
  socket: TLSSocket,
): { readonly kind: 'verified'; readonly peer: PeerSvid; readonly secure: TlsPeer } | Failed {
  const enforcement = context.enforcement();
  const { identity } = enforcement;
  if (identity === undefined) return failed('peer_unauthenticated', 'no_identity');
  const secure = new TlsPeer(socket, { ...enforcement, identity });
  const verified = secure.current({ ...enforcement, identity });
  if (verified.ok && service.identities.has(verified.value.id.text)) {
    return { kind: 'verified', peer: verified.value, secure };
  }
  const code = verified.ok ? 'not_the_service' : verified.error.code;
  context.options.log.warn(EVENT.connectionRefused, {
    side: 'outbound',
    service: service.fqdn,
    code,
    message: verified.ok ? `the server is ${verified.value.id.text}` : verified.error.message,
  });
  return failed('upstream_identity_mismatch', `server_${code}`);
}

function outcomeOf(result: DialedPeer): string {
  return result.kind === 'connected' ? 'ok' : (result.failure.detail ?? result.failure.kind);
}

type Failed = { readonly kind: 'failed'; readonly failure: Failure };

function failed(kind: Failure['kind'], detail: string): Failed {
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
