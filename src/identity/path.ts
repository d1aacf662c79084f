import type { KeyObject } from 'node:crypto';
import { formatDuration, ok, type Result } from '#lib';
import type { Certificate } from './certificate.ts';
import { KEY_USAGE } from './extensions.ts';
import { satisfiesConstraints } from './name-constraints.ts';
import { OID } from './oid.ts';
import { importPublicKey, verifySignature } from './public-key.ts';
import { createSignatureMemory } from './signature-memory.ts';
import { refuse, type VerifyError } from './verify-error.ts';

/** A signing certificate, usually a root's, with its key made ready. */
export type TrustAnchor = { readonly certificate: Certificate; readonly key: KeyObject };

/** What a path is searched in. */
export type PathQuestion = {
  readonly leaf: Certificate;
  readonly intermediates: readonly Certificate[];
  readonly roots: readonly TrustAnchor[];
  readonly nowMs: number;
  readonly clockSkewMs: number;
  /** Whether the signers are of another system, so that RFC 5280 alone binds them and not X509-SVID. */
  readonly isForeign?: boolean;
  /** A further rule for signing certificates: the reason to refuse one, or undefined. */
  readonly refuseSigner?: (signer: Certificate) => string | undefined;
};

type Search = PathQuestion & { signatureChecks: number; firstError: VerifyError | undefined };

// SECURITY: same-named intermediates that all certify each other make many paths; the search ends
// here instead (a good path of the longest allowed length needs six checks).
const MAX_SIGNATURE_CHECKS = 24;

/**
 * Finds and validates a path from `leaf` over any of `intermediates`, in any order, to one of
 * `roots` (RFC 5280 section 6.1). The result holds the signing certificates, the root last. The
 * leaf's own rules and time are the caller's.
 */
export function buildPath(question: PathQuestion): Result<readonly Certificate[], VerifyError> {
  const search: Search = { ...question, signatureChecks: 0, firstError: undefined };
  const path = extend(search, [search.leaf]);
  if (path !== undefined) return ok(path.slice(1));
  const error = search.firstError;
  if (error !== undefined) return refuse(error.code, error.message);
  return refuse('untrusted', 'no path leads from the certificate to a root of its trust domain');
}

// As many as a mesh has workloads that call one: each signature is a tenth of a handshake.
const verified = createSignatureMemory(1024);

/** Whether `certificate` is valid at `nowMs`, within the tolerated clock skew. */
export function timeProblem(
  certificate: Certificate,
  what: string,
  { nowMs, clockSkewMs }: { readonly nowMs: number; readonly clockSkewMs: number },
): VerifyError | undefined {
  if (nowMs + clockSkewMs < certificate.notBefore) {
    const early = formatDuration(certificate.notBefore - nowMs);
    return {
      code: 'not_yet_valid',
      message: `${what} becomes valid in ${early}: is a clock wrong?`,
    };
  }
  if (nowMs - clockSkewMs > certificate.expiresAt) {
    const late = formatDuration(nowMs - certificate.expiresAt);
    return { code: 'expired', message: `${what} expired ${late} ago` };
  }
  return undefined;
}

function extend(search: Search, path: readonly Certificate[]): readonly Certificate[] | undefined {
  const current = path[path.length - 1];
  if (current === undefined) return undefined;
  for (const { certificate, key } of search.roots) {
    if (!mayHaveIssued(certificate, current)) continue;
    if (!isAcceptedSigner(search, certificate, path, 'the root certificate')) continue;
    if (isSignedBy(search, current, { certificate, key })) return [...path, certificate];
  }
  for (const candidate of search.intermediates) {
    if (!mayHaveIssued(candidate, current) || path.includes(candidate)) continue;
    if (!isAcceptedSigner(search, candidate, path, 'an intermediate certificate')) continue;
    const key = importPublicKey(candidate.spki);
    if (key === undefined) continue;
    if (!isSignedBy(search, current, { certificate: candidate, key })) continue;
    const found = extend(search, [...path, candidate]);
    if (found !== undefined) return found;
  }
  return undefined;
}

function mayHaveIssued(signer: Certificate, certificate: Certificate): boolean {
  if (!signer.subject.equals(certificate.issuer)) return false;
  const wanted = certificate.extensions.authorityKeyId;
  const has = signer.extensions.subjectKeyId;
  return wanted === undefined || has === undefined || wanted === has;
}

/** The rules of RFC 5280 6.1.4 for a signer of the path's last certificate; cheap ones, so first. */
function isAcceptedSigner(
  search: Search,
  signer: Certificate,
  below: readonly Certificate[],
  what: string,
): boolean {
  const problem = timeProblem(signer, what, search) ?? signerProblem(search, signer, below, what);
  if (problem === undefined) return true;
  search.firstError ??= problem;
  return false;
}

function signerProblem(
  search: Search,
  signer: Certificate,
  below: readonly Certificate[],
  what: string,
): VerifyError | undefined {
  const { basicConstraints, keyUsage, extendedKeyUsage, nameConstraints, unknownCritical } =
    signer.extensions;
  const bad = (message: string): VerifyError => ({ code: 'bad_chain', message });
  if (basicConstraints?.ca !== true) return bad(`${what} is not a CA's`);
  // RFC 5280 6.1.4 (n) binds those that have the extension; X509-SVID 4.3 demands it.
  const usage = keyUsage ?? (search.isForeign === true ? KEY_USAGE.keyCertSign : 0);
  if ((usage & KEY_USAGE.keyCertSign) === 0) {
    return bad(`${what} may not sign certificates`);
  }
  if (unknownCritical.length > 0) return bad(`${what} has an unknown critical extension`);
  const isForTls = extendedKeyUsage === undefined || isForBothSides(extendedKeyUsage);
  if (!isForTls && search.isForeign !== true) {
    return bad(`${what} is not for TLS servers and clients`);
  }
  // RFC 5280 6.1.4 (l): self-issued certificates do not count; the leaf never does.
  const length = below.slice(1).filter((each) => !each.subject.equals(each.issuer)).length;
  if (length > basicConstraints.pathLength) return bad(`${what} allows only a shorter chain`);
  if (nameConstraints !== undefined && !below.every(isNamedWithin(nameConstraints, below[0]))) {
    return bad(`${what} does not permit a name below it`);
  }
  const refused = search.refuseSigner?.(signer);
  return refused === undefined ? undefined : bad(`${what} ${refused}`);
}

/** RFC 5280 6.1.3 (b): self-issued certificates are exempt from name constraints, save the leaf. */
function isNamedWithin(
  constraints: Parameters<typeof satisfiesConstraints>[1],
  leaf: Certificate | undefined,
) {
  return (certificate: Certificate): boolean =>
    (certificate !== leaf && certificate.subject.equals(certificate.issuer)) ||
    satisfiesConstraints(certificate, constraints);
}

function isForBothSides(purposes: readonly string[]): boolean {
  if (purposes.includes(OID.anyExtendedKeyUsage)) return true;
  return purposes.includes(OID.serverAuth) && purposes.includes(OID.clientAuth);
}

function isSignedBy(search: Search, certificate: Certificate, signer: TrustAnchor): boolean {
  if (search.signatureChecks >= MAX_SIGNATURE_CHECKS) return false;
  search.signatureChecks++;
  const { signatureAlgorithm, tbs, signature } = certificate;
  if (!signatureAlgorithm.keys.includes(signer.certificate.keyKind)) return false;
  const signed = { certificateDer: certificate.der, keyDer: signer.certificate.spki };
  return verified.holds(signed, () =>
    verifySignature(signatureAlgorithm, tbs, signature, signer.key),
  );
}
