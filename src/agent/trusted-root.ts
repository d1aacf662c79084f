import { hash } from 'node:crypto';
import {
  type Bundle,
  derToPem,
  parseBundle,
  parseTrustDomain,
  type RevocationCheck,
  verifyX509Svid,
  type WorkloadIdentity,
} from '#identity';
import { fail, ok, type Result } from '#lib';
import type { TrustRoot } from '#trust';

/** The X.509 side of a trust root. */
export type X509Trust = { readonly bundle: Bundle; readonly rootsPem: readonly string[] };

/** Makes a trust root's X.509 roots ready for verification. */
export function x509TrustOf(root: TrustRoot): Result<X509Trust, string> {
  const trustDomain = parseTrustDomain(root.trustDomain);
  if (!trustDomain.ok) return trustDomain;
  const rootsPem = [...new Set(root.x509Roots)].map((der) => derToPem(Buffer.from(der, 'base64')));
  const bundle = parseBundle(trustDomain.value, rootsPem.join(''));
  return bundle.ok ? ok({ bundle: bundle.value, rootsPem }) : fail(bundle.error);
}

/** The root under which a certificate stands now: SHA-256 of its DER, lower-case hex; undefined if under none. */
export function rootOf(
  chainDer: readonly Uint8Array[],
  { bundle }: X509Trust,
  nowMs: number,
): string | undefined {
  const found = bundle.x509Roots.find(
    (root) => verifyX509Svid(chainDer, { ...bundle, x509Roots: [root] }, nowMs).ok,
  );
  return found && hash('sha256', found.raw, 'hex');
}

// How long what was verified counts as verified, by the clock that may be set back meanwhile.
const STANDS_FOR_MS = 1_000;
const standings = new WeakMap<
  WorkloadIdentity,
  { readonly trust: X509Trust; readonly atMs: number; readonly isUnderRoot: boolean }
>();

/** Whether an identity of our own stands under one of the roots; verified again once a second, since each call asks. */
export function isStanding(identity: WorkloadIdentity, trust: X509Trust, nowMs: number): boolean {
  const before = standings.get(identity);
  const ageMs = nowMs - (before?.atMs ?? 0);
  if (before?.trust === trust && ageMs >= 0 && ageMs < STANDS_FOR_MS) return before.isUnderRoot;
  const isUnderRoot = rootOf(identity.chainDer, trust, nowMs) !== undefined;
  standings.set(identity, { trust, atMs: nowMs, isUnderRoot });
  return isUnderRoot;
}

/** Whether a certificate stands under the first root, which is the one that is issued under. */
export function isUnderFirstRoot(
  chainDer: readonly Uint8Array[],
  { bundle }: X509Trust,
  nowMs: number,
): boolean {
  const first = { ...bundle, x509Roots: bundle.x509Roots.slice(0, 1) };
  return verifyX509Svid(chainDer, first, nowMs).ok;
}

/** By what a server is judged: `clock` in ms since 1970, and the revocations of now. */
export type ServerExpectation = {
  readonly clock: () => number;
  readonly revoked: () => RevocationCheck;
};

/**
 * A check for `GrpcTarget.verifyServer`: the server's chain is a valid SVID with exactly the ID `spiffeId`; the
 * returned function says why it is not.
 */
export function expectServer(
  trust: X509Trust,
  spiffeId: string,
  { clock, revoked }: ServerExpectation,
): (chain: readonly Uint8Array[]) => string | undefined {
  return (chain) => {
    const peer = verifyX509Svid(chain, trust.bundle, clock());
    if (!peer.ok) return `the server's certificate: ${peer.error.message}`;
    const problem = revoked()(peer.value, clock());
    if (problem !== undefined) return problem.message;
    if (peer.value.id.text === spiffeId) return undefined;
    return `the server is \`${peer.value.id.text}\` instead of \`${spiffeId}\``;
  };
}
