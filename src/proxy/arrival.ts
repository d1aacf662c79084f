import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { PeerSvid } from '#identity';
import type { Result } from '#lib';
import type { InboundPort } from '#snapshot';
import { EVENT } from '#telemetry';
import { acceptTls, type PeerError, type TlsIdentity } from './authenticate.ts';
import { type Caller, whyUnable } from './authorize.ts';
import type { ProxyContext } from './context.ts';
import { detect, isPlaintextOnly, isProxied, plaintextAllowed, readProxyHeader } from './detect.ts';
import { watchNewcomer } from './listen.ts';
import type { BytePipe } from './pipe.ts';
import { SocketPipe } from './socket-pipe.ts';
import { TlsPeer } from './tls-peer.ts';

/** An accepted connection whose caller is known, or known not to be. */
export type Arrival = {
  readonly pipe: BytePipe;
  /** The TLS connection that it is or runs in; undefined on plaintext. */
  readonly secure: TlsPeer | undefined;
  /** What its peer was shown of us; undefined on plaintext, and in tunnels, which are renewed as a whole. */
  readonly shown: TlsIdentity | undefined;
  readonly caller: Caller;
  readonly ip: string;
  /** The address that it came to. */
  readonly localIp: string | undefined;
  /** What the connection asks for by TLS: the mesh's, or the application's own where that is passed through. */
  readonly sni: string | undefined;
  /** What its TLS connection agreed on; undefined where nothing was, and in tunnels. */
  readonly alpn: string | undefined;
  /** The caller's address by the word of a balancer; undefined where none stands before us. */
  readonly proxied: { readonly ip: string } | undefined;
  /** The service port that it is for, where something else than the SNI says so. */
  readonly port?: InboundPort | undefined;
};

/** Why there is nothing to shake hands with. */
export const NO_OWN_IDENTITY: ReadonlySet<string> = new Set([
  'no_identity',
  'own_identity_expired',
  'own_identity_revoked',
]);

/**
 * detect → authenticate: tells who a new connection of the inbound listener is of. Calls back once, or
 * the connection is refused and counted.
 */
export function arrive(raw: Socket, context: ProxyContext, done: (arrival: Arrival) => void): void {
  const unable = whyUnable(context.enforcement());
  if (unable !== undefined && NO_OWN_IDENTITY.has(unable)) return refuseRaw(context, raw, unable);
  const newcomer = watchNewcomer(raw, context);
  const ip = addressOf(raw);
  const ports = context.options.snapshots.current()?.inbound ?? [];
  const proceed = (proxied: Arrival['proxied']) => (arrival: Arrival) => {
    newcomer.settle();
    done({ ...arrival, proxied });
  };
  if (!ports.some((port) => isProxied(port, ip))) return secure(raw, context, proceed(undefined));
  readProxyHeader(raw, (header) => {
    if (typeof header === 'string') {
      newcomer.settle();
      return refuseRaw(context, raw, header);
    }
    secure(raw, context, proceed({ ip: header.proxied?.source.ip ?? ip }));
  });
}

/** Mutual TLS, or plaintext where some port accepts that. */
function secure(raw: Socket, context: ProxyContext, proceed: (arrival: Arrival) => void): void {
  const snapshot = context.options.snapshots.current();
  if (!plaintextAllowed(snapshot)) return authenticate(raw, context, undefined, proceed);
  if (isPlaintextOnly(snapshot)) return proceed(plaintextOf(raw));
  detect(raw, (transport) => {
    if (transport === 'tls') return authenticate(raw, context, undefined, proceed);
    proceed(plaintextOf(raw));
  });
}

function plaintextOf(raw: Socket): Arrival {
  return {
    pipe: new SocketPipe(raw),
    secure: undefined,
    shown: undefined,
    caller: { kind: 'plaintext' },
    ip: addressOf(raw),
    localIp: localAddressOf(raw),
    sni: undefined,
    alpn: undefined,
    proxied: undefined,
  };
}

/** Shakes hands with a new connection and verifies its peer; calls back once, or counts the failure. */
export function authenticate(
  raw: Socket,
  context: ProxyContext,
  alpn: readonly string[] | undefined,
  done: (arrival: Arrival) => void,
): void {
  const tls = context.tls();
  if (tls === undefined) return refuseRaw(context, raw, 'no_identity');
  const ip = addressOf(raw);
  const localIp = localAddressOf(raw);
  const socket = acceptTls(raw, tls, alpn);
  const { metrics, log } = context.options;
  let settled = false;
  const fail = (): void => {
    if (settled) return;
    settled = true;
    metrics.handshake('failed', 'inbound').value++;
    socket.destroy();
    raw.destroy();
  };
  socket.on('error', fail);
  socket.once('end', fail);
  socket.once('close', fail);
  socket.once('secure', () => {
    if (settled) return;
    settled = true;
    const { revocations, nowMs, identity = tls.identity } = context.enforcement();
    const peer = new TlsPeer(socket, { identity, revocations, nowMs });
    const verified = peer.current({ identity, revocations, nowMs });
    const outcome = verified.ok ? 'ok' : verified.error.code;
    metrics.handshake(outcome, 'inbound', peer.facts.group).value++;
    if (!verified.ok) {
      const { code, message } = verified.error;
      log.warn(EVENT.connectionRefused, { side: 'inbound', ip, code, message });
    }
    const caller = callerOf(verified);
    const sni = serverName(socket);
    done({
      pipe: new SocketPipe(socket),
      secure: peer,
      shown: tls,
      caller,
      ip,
      localIp,
      sni,
      alpn: socket.alpnProtocol || undefined,
      proxied: undefined,
    });
  });
}

/** Who a connection's peer is, as policy sees it. */
export function callerOf(verified: Result<PeerSvid, PeerError>): Caller {
  if (verified.ok) return { kind: 'verified', svid: verified.value };
  return { kind: 'unverified', code: verified.error.code };
}

/** Ends a connection of which nothing has been read. */
export function refuseRaw(context: ProxyContext, socket: Socket, kind: string): void {
  context.options.metrics.refused(kind).value++;
  socket.on('error', () => {
    // It is being refused: what becomes of it is of no interest.
  });
  socket.destroy();
}

function serverName(socket: TLSSocket): string | undefined {
  // Node.js has the name a client sent on server sockets too; its types know only the client's.
  const { servername } = socket as TLSSocket & { servername?: string | false | null };
  return typeof servername === 'string' && servername !== '' ? servername : undefined;
}

function addressOf(socket: Socket): string {
  return plainAddress(socket.remoteAddress ?? '');
}

function localAddressOf(socket: Socket): string | undefined {
  return socket.localAddress === undefined ? undefined : plainAddress(socket.localAddress);
}

function plainAddress(address: string): string {
  return address.startsWith('::ffff:') ? address.slice('::ffff:'.length) : address;
}
