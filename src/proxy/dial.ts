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
  /** The protocol that a server reached by mutual TLS has to agree on (ALPN); any if undefined. */
  readonly protocol?: string;
};

/**
 * Connects to an endpoint of a service and checks that the server is the service: by a stream of the
 * tunnel to its proxy where the endpoint advertises HBONE, else by mutual TLS of its own.
 * SECURITY: not a byte of the caller's is written before that.
 */
export function dialService(
  context: ProxyContext,
  target: ServiceTarget,
  done: (result: DialedPeer) => void,
): void {
  const { service, port, endpoint } = target;
  if ((endpoint.hbonePort ?? 0) > 0) return context.tunnels.open(target, done);
  const server: ServerTarget = {
    host: endpoint.host,
    port: endpoint.port,
    serverName: serverNameOf(service.fqdn, port),
    alpn: target.protocol === undefined ? undefined : [target.protocol],
    timeoutMs: service.timeouts.connectMs,
    judge: (peer) => judgeServer(service, peer),
  };
  dialServer(context, server, done);
}

/** Why a verified server may not serve a name, as a code; undefined if it may. */
export function judgeServer(service: UpstreamService, peer: PeerSvid): string | undefined {
  return service.identities.has(peer.id.text) ? undefined : 'not_the_service';
}

/** What `dialServer` connects to. */
export type ServerTarget = {
  readonly host: string;
  readonly port: number;
  /** Goes into the hello; none if empty. */
  readonly serverName: string;
  readonly alpn: readonly string[] | undefined;
  readonly timeoutMs: number;
  /** Why the server, whose chain was verified, is none that was meant; undefined if it is. */
  readonly judge: (peer: PeerSvid) => string | undefined;
};

/** Connects by mutual TLS and verifies who is there; calls back once. */
export function dialServer(
  context: ProxyContext,
  target: ServerTarget,
  done: (result: DialedPeer) => void,
): void {
  const tls = context.tls();
  if (tls === undefined) return done(failed('peer_unauthenticated', 'no_identity'));
  const reads = createChunkSink();
  const socket = connectTls(target, tls, reads);
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
  const timer = setTimeout(() => fail('timeout'), target.timeoutMs);
  socket.once('connect', () => {
    connected = true;
  });
  socket.once('secureConnect', () => {
    group = negotiatedGroup(socket);
    const checked = checkServer(context, target, socket);
    if (checked.kind === 'failed') return finish(checked);
    if (target.alpn !== undefined && !target.alpn.includes(socket.alpnProtocol || '')) {
      return finish(failed('upstream_tls_failed', 'no_common_protocol'));
    }
    const { peer, secure } = checked;
    const pipe = new SocketPipe(socket, reads);
    // Whoever flushed what speaks for the old certificate could not see a handshake under way.
    pipe.isRetired = context.tls() !== tls;
    finish({ kind: 'connected', pipe, peer, secure, tls: secure.facts });
  });
  socket.on('error', () => fail('failed'));
  socket.once('close', () => fail('closed'));
}

function checkServer(
  context: ProxyContext,
  target: ServerTarget,
  socket: TLSSocket,
): { readonly kind: 'verified'; readonly peer: PeerSvid; readonly secure: TlsPeer } | Failed {
  const enforcement = context.enforcement();
  const { identity } = enforcement;
  if (identity === undefined) return failed('peer_unauthenticated', 'no_identity');
  const secure = new TlsPeer(socket, { ...enforcement, identity });
  const verified = secure.current({ ...enforcement, identity });
  const code = verified.ok ? target.judge(verified.value) : verified.error.code;
  if (verified.ok && code === undefined) return { kind: 'verified', peer: verified.value, secure };
  context.options.log.warn(EVENT.connectionRefused, {
    side: 'outbound',
    server: `${target.host}:${target.port}`,
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
