import { ok, type Result } from '#lib';
import type { AttestationStrength } from './attestation-strength.ts';
import { anchorOf, type Bundle } from './bundle.ts';
import type { Certificate } from './certificate.ts';
import { createCertificateMemory } from './certificate-memory.ts';
import { KEY_USAGE } from './extensions.ts';
import { OID } from './oid.ts';
import { buildPath, type TrustAnchor, timeProblem } from './path.ts';
import { parseSpiffeId, type SpiffeId } from './spiffe-id.ts';
import type { TrustDomain } from './trust-domain.ts';
import { refuse, type VerifyError } from './verify-error.ts';

/** A peer whose X.509-SVID was verified. */
export type PeerSvid = {
  readonly id: SpiffeId;
  /** Lower-case hex. */
  readonly serial: string;
  /** Milliseconds since 1970, as `expiresAt`. */
  readonly notBefore: number;
  readonly expiresAt: number;
  readonly leafDer: Uint8Array;
  /** SubjectPublicKeyInfo of the leaf. */
  readonly publicKeyDer: Uint8Array;
  /** What its issuer says the identity stands on; `none` where it says nothing. */
  readonly attestation: AttestationStrength;
  /** `requesterTag` of the agent that asked for it, where the certificate says so. */
  readonly requester?: string | undefined;
  /** Serial numbers of the intermediates on its path, lower-case hex; undefined where there are none. */
  readonly signers?: readonly string[] | undefined;
};

/** `clockSkewMs`: how far our clock and the issuer's may differ, 60,000 unless told. */
export type VerifyOptions = { readonly clockSkewMs?: number };

// SECURITY: a peer sends the chain before it is known; SPIFFE deployments use two or three.
const MAX_CHAIN = 6;
// Peers show the same certificates with each connection; to read one takes a tenth of a handshake.
const known = createCertificateMemory(512);

/**
 * Validates an X.509-SVID (X509-SVID section 5): path validation of `chain` (DER, leaf first)
 * against the roots of the leaf's own trust domain, then the leaf's rules. `nowMs` in ms since
 * 1970. Never throws, whatever the bytes.
 */
export function verifyX509Svid(
  chain: readonly Uint8Array[],
  bundles: readonly Bundle[] | Bundle,
  nowMs: number,
  options: VerifyOptions = {},
): Result<PeerSvid, VerifyError> {
  if (chain.length > MAX_CHAIN) {
    return refuse('bad_chain', `the chain has more than ${MAX_CHAIN} certificates`);
  }
  const certificates: Certificate[] = [];
  for (const der of chain) {
    const decoded = known.decode(der);
    if (!decoded.ok)
      return refuse('malformed', `certificate ${certificates.length}: ${decoded.error}`);
    certificates.push(decoded.value);
  }
  const [leaf, ...intermediates] = certificates;
  if (leaf === undefined) return refuse('no_certificate', 'the peer sent no certificate');
  const id = leafId(leaf);
  if (!id.ok) return id;
  const question = { leaf, intermediates, nowMs, clockSkewMs: options.clockSkewMs ?? 60_000 };
  const problem = leafProblem(leaf) ?? timeProblem(leaf, 'the certificate', question);
  if (problem !== undefined) return refuse(problem.code, problem.message);
  const roots = rootsOf(id.value.trustDomain, bundles);
  if (roots === undefined) {
    return refuse('wrong_trust_domain', `no bundle for trust domain \`${id.value.trustDomain}\``);
  }
  const refuseSigner = (signer: Certificate) => foreignSigner(signer, id.value.trustDomain);
  const path = buildPath({ ...question, roots, refuseSigner });
  if (!path.ok) return path;
  known.remember(certificates);
  const { serial, notBefore, expiresAt, extensions } = leaf;
  const { requester } = extensions;
  const attestation = extensions.attestation ?? 'none';
  const dates = { notBefore, expiresAt };
  const bytes = { leafDer: leaf.der, publicKeyDer: leaf.spki };
  // The root, which is last, is not revoked by its serial: it leaves the bundle.
  const above = path.value.slice(0, -1).map((signer) => signer.serial);
  const signers = above.length === 0 ? undefined : above;
  return ok({ id: id.value, serial, ...dates, ...bytes, attestation, requester, signers });
}

/** The one SPIFFE ID of a leaf: exactly one URI SAN, which has a path (X509-SVID 2 and 3.1). */
function leafId(leaf: Certificate): Result<SpiffeId, VerifyError> {
  const uris = leaf.extensions.subjectAltName?.uris ?? [];
  const uri = uris[0];
  // SECURITY: with two, we and whoever reads the log could each take another for the peer.
  if (uri === undefined || uris.length > 1) {
    return refuse('bad_spiffe_id', `the certificate has ${uris.length} URI names instead of one`);
  }
  const id = parseSpiffeId(uri);
  if (!id.ok) return refuse('bad_spiffe_id', id.error);
  if (id.value.path === '') {
    return refuse('bad_spiffe_id', 'the SPIFFE ID of a workload needs a path');
  }
  return id;
}

/** The rule that a leaf breaks, if any (X509-SVID 4.1, 4.3, 4.4, 5.2). */
export function leafProblem(leaf: Certificate): VerifyError | undefined {
  const { basicConstraints, keyUsage, extendedKeyUsage, unknownCritical } = leaf.extensions;
  const bad = (message: string): VerifyError => ({ code: 'bad_leaf', message });
  if (basicConstraints?.ca === true) return bad("the certificate is a CA's");
  if (keyUsage === undefined || (keyUsage & KEY_USAGE.digitalSignature) === 0) {
    return bad('the certificate may not make signatures');
  }
  if ((keyUsage & (KEY_USAGE.keyCertSign | KEY_USAGE.cRLSign)) !== 0) {
    return bad('the certificate may sign certificates or revocation lists');
  }
  const purposes = extendedKeyUsage ?? [OID.serverAuth, OID.clientAuth];
  if (!purposes.includes(OID.serverAuth) || !purposes.includes(OID.clientAuth)) {
    return bad('the certificate is not for TLS servers and clients');
  }
  if (leaf.extensions.nameConstraints !== undefined) {
    return bad('the certificate constrains names though it is no CA');
  }
  if (unknownCritical.length > 0) return bad('the certificate has an unknown critical extension');
  return undefined;
}

/** Why a signing certificate's own SPIFFE ID forbids it to vouch for this trust domain. */
export function foreignSigner(signer: Certificate, trustDomain: TrustDomain): string | undefined {
  const uris = signer.extensions.subjectAltName?.uris ?? [];
  const uri = uris[0];
  if (uri === undefined) return undefined;
  const id = uris.length === 1 ? parseSpiffeId(uri) : undefined;
  // X509-SVID 3.2: a signing certificate's SPIFFE ID has no path and is of the same trust domain.
  const isOwn = id?.ok === true && id.value.trustDomain === trustDomain && id.value.path === '';
  return isOwn ? undefined : `is not of trust domain \`${trustDomain}\``;
}

/** INVARIANT: a root vouches for the trust domain of its own bundle only. */
function rootsOf(
  trustDomain: TrustDomain,
  bundles: readonly Bundle[] | Bundle,
): readonly TrustAnchor[] | undefined {
  const all: readonly Bundle[] = 'trustDomain' in bundles ? [bundles] : bundles;
  const own = all.filter((bundle) => bundle.trustDomain === trustDomain);
  if (own.length === 0) return undefined;
  return own
    .flatMap((bundle) => bundle.x509Roots.map(anchorOf))
    .filter((anchor) => anchor !== undefined);
}
