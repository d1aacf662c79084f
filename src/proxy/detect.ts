import type { Socket } from 'node:net';
import { looksLikeTls } from '#protocol';
import type { Snapshot } from '#snapshot';

/** What a new inbound connection speaks. */
export type Transport = 'tls' | 'plaintext';

/**
 * Whether plaintext may be accepted at all. Where it may not, nothing is looked at: a connection is
 * TLS or fails in its handshake, so protocols whose server speaks first do not hang.
 */
export function plaintextAllowed(snapshot: Snapshot | undefined): boolean {
  return snapshot?.inbound.some((port) => port.peerMode !== 'STRICT') ?? false;
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
}
