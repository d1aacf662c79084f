/** What node:tls tells of a certificate that a peer sent (`getPeerCertificate(true)`). */
export type LinkedCertificate = {
  readonly raw?: Uint8Array;
  readonly issuerCertificate?: LinkedCertificate;
};

/** More than any chain that verifies has, so that a longer one is refused for its length and not cut to fit. */
const MAX_CHAIN = 8;

/** A peer's certificate and those it sent above it, leaf first, as DER; empty where it sent none. */
export function certificateChain(leaf: LinkedCertificate): readonly Uint8Array[] {
  const chain: Uint8Array[] = [];
  let next: LinkedCertificate | undefined = leaf;
  // A self-signed certificate is its own issuer, and no certificate at all is an empty object.
  while (next?.raw !== undefined && chain.length < MAX_CHAIN) {
    chain.push(next.raw);
    next = next.issuerCertificate === next ? undefined : next.issuerCertificate;
  }
  return chain;
}
