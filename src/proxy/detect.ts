import type { Socket } from 'node:net';
import { cidrContains, parseIp, trafficOf } from '#lib';
import { looksLikeTls, type ProxyHeader, type ProxyHeaderError, parseProxyHeader } from '#protocol';
import type { InboundPort, Snapshot } from '#snapshot';

/** What a new inbound connection speaks. */
export type Transport = 'tls' | 'plaintext';

/**
 * Whether plaintext may be accepted at all. Where it may not, nothing is looked at: a connection is
 * TLS or fails in its handshake, so protocols whose server speaks first do not hang.
 */
export function plaintextAllowed(snapshot: Snapshot | undefined): boolean {
  return snapshot?.inbound.some((port) => port.peerMode !== 'STRICT') ?? false;
}

/**
 * Whether no connection is TLS of the mesh's: each port speaks a protocol of TCP and has mutual TLS disabled. Nothing is looked
 * at then either: the server may speak first, and TLS that comes is the application's own.
 */
export function isPlaintextOnly(snapshot: Snapshot | undefined): boolean {
  const ports = snapshot?.inbound ?? [];
  const isPlain = ({ peerMode, protocol }: InboundPort): boolean =>
    peerMode === 'DISABLE' && trafficOf(protocol) === 'tcp';
  return ports.length > 0 && ports.every(isPlain);
}

/** Tells TLS from plaintext by the first bytes, which stay in the socket. */
export function detect(raw: Socket, done: (transport: Transport) => void): void {
  let held: Buffer = Buffer.alloc(0);
  const onData = (chunk: Buffer): void => {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    const guess = looksLikeTls(held);
    if (guess === 'more') return;
    raw.off('data', onData);
    raw.pause();
    raw.unshift(held);
    done(guess === 'tls' ? 'tls' : 'plaintext');
  };
  raw.on('data', onData);
  // Whoever looked at it before has paused it.
  raw.resume();
}

/** Whether a connection from `ip` to this port begins with a PROXY protocol header. */
export function isProxied(port: InboundPort, ip: string): boolean {
  const bytes = port.proxyProtocolFrom.length === 0 ? undefined : parseIp(ip);
  if (bytes === undefined) return false;
  return port.proxyProtocolFrom.some((block) => cidrContains(block, bytes));
}

/**
 * Takes the PROXY protocol header from the front of a connection; what follows it stays in the socket.
 * SECURITY: called only where the peer's address was declared to send one, and then one must come:
 * nobody else's word about addresses counts, and there is no guessing.
 */
export function readProxyHeader(
  raw: Socket,
  done: (header: ProxyHeader | ProxyHeaderError) => void,
): void {
  let held: Buffer = Buffer.alloc(0);
  const onData = (chunk: Buffer): void => {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    const header = parseProxyHeader(held);
    if (!header.ok && header.error === 'more') return;
    raw.off('data', onData);
    raw.pause();
    if (!header.ok) return done(header.error);
    const rest = held.subarray(header.value.consumed);
    if (rest.length > 0) raw.unshift(rest);
    done(header.value);
  };
  raw.on('data', onData);
}
