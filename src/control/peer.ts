import type { TLSSocket } from 'node:tls';
import { type Bundle, type PeerSvid, type RevocationCheck, verifyX509Svid } from '#identity';
import { peerChain } from '#wire';

/** Who is at the other end of a gRPC connection, by the certificate it proved to hold. */
export type MeshPeer = {
  /** `agent` relays for the workloads of its host; `ca` follows every namespace's registrations. */
  readonly kind: 'agent' | 'ca';
  readonly id: string;
  readonly expiresAt: number;
  readonly svid: PeerSvid;
};

/** What identifying needs; `clock` in ms since 1970. */
export type IdentifyOptions = {
  readonly bundle: Bundle;
  readonly clock: () => number;
  readonly revoked: RevocationCheck;
  readonly onRefused: (reason: string) => void;
};

const CLOCK_SKEW_MS = 60_000;

/** The peer of a connection whose handshake is done, or undefined if it has no business here. */
export function identifyPeer(socket: TLSSocket, options: IdentifyOptions): MeshPeer | undefined {
  const { bundle, clock } = options;
  const verified = verifyX509Svid(peerChain(socket), bundle, clock());
  if (!verified.ok) {
    options.onRefused(verified.error.message);
    return undefined;
  }
  const revoked = options.revoked(verified.value, clock());
  if (revoked !== undefined) {
    options.onRefused(revoked.message);
    return undefined;
  }
  const peer = meshPeer(verified.value, bundle.trustDomain);
  if (peer === undefined) {
    options.onRefused(
      `\`${verified.value.id.text}\` is neither an agent nor the certificate authority`,
    );
    return undefined;
  }
  closeWhenExpired(socket, peer.expiresAt + CLOCK_SKEW_MS - clock());
  return peer;
}

function meshPeer(svid: PeerSvid, trustDomain: string): MeshPeer | undefined {
  const { id, expiresAt } = svid;
  const prefix = `spiffe://${trustDomain}/palisade/`;
  if (id.text === `${prefix}ca`) return { kind: 'ca', id: id.text, expiresAt, svid };
  if (id.text.startsWith(`${prefix}agent/`)) return { kind: 'agent', id: id.text, expiresAt, svid };
  return undefined;
}

// SECURITY: a certificate that is not renewed any more must not live on in a connection it once opened.
function closeWhenExpired(socket: TLSSocket, inMs: number): void {
  const timer = setTimeout(() => socket.destroy(), Math.min(Math.max(inMs, 0), 2 ** 31 - 1));
  timer.unref();
  socket.once('close', () => clearTimeout(timer));
}
