import {
  type Bundle,
  derToPem,
  parseBundle,
  parseTrustDomain,
  type RevocationCheck,
  verifyX509Svid,
} from '#identity';
import { fail, ok, type Result } from '#lib';
import type { TrustRoot } from '#trust';

/** The X.509 side of a trust root. */
export type X509Trust = { readonly bundle: Bundle; readonly rootsPem: readonly string[] };

/** Makes a trust root's X.509 roots ready for verification. */
export function x509TrustOf(root: TrustRoot): Result<X509Trust, string> {
  const trustDomain = parseTrustDomain(root.trustDomain);
  if (!trustDomain.ok) return trustDomain;
  const rootsPem = root.x509Roots.map((der) => derToPem(Buffer.from(der, 'base64')));
  const bundle = parseBundle(trustDomain.value, rootsPem.join(''));
  return bundle.ok ? ok({ bundle: bundle.value, rootsPem }) : fail(bundle.error);
}

/** By what a server is judged: `clock` in ms since 1970, and the revocations of now. */
export type ServerExpectation = {
  readonly clock: () => number;
  readonly revoked: () => RevocationCheck;
};

/**
 * A check for `GrpcTarget.verifyServer`: the server's leaf is a valid SVID with exactly the ID `spiffeId`; the
 * returned function says why it is not.
 */
export function expectServer(
  trust: X509Trust,
  spiffeId: string,
  { clock, revoked }: ServerExpectation,
): (leafDer: Buffer) => string | undefined {
  return (leafDer) => {
    const peer = verifyX509Svid([leafDer], trust.bundle, clock());
    if (!peer.ok) return `the server's certificate: ${peer.error.message}`;
    const problem = revoked()(peer.value, clock());
    if (problem !== undefined) return problem.message;
    if (peer.value.id.text === spiffeId) return undefined;
    return `the server is \`${peer.value.id.text}\` instead of \`${spiffeId}\``;
  };
}
