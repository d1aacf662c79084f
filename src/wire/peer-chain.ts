import type { DetailedPeerCertificate, TLSSocket } from 'node:tls';

/** More than any chain that verifies has, so that a longer one is refused for its length and not cut to fit. */
const MAX_CHAIN = 8;

/** The certificates a TLS peer sent, leaf first, as DER; empty where it sent none. */
export function peerChain(socket: TLSSocket): readonly Uint8Array[] {
  const chain: Uint8Array[] = [];
  let next: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
  // A self-signed certificate is its own issuer, and no certificate at all is an empty object.
  while (next?.raw !== undefined && chain.length < MAX_CHAIN) {
    chain.push(next.raw);
    next = next.issuerCertificate === next ? undefined : next.issuerCertificate;
  }
  return chain;
}
