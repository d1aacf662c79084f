import { X509Certificate } from 'node:crypto';
import { fail, ok, type Result } from '#lib';
import { anchorOf } from './bundle.ts';
import { type Certificate, decodeCertificate } from './certificate.ts';
import { KEY_USAGE } from './extensions.ts';
import { buildPath, type TrustAnchor, timeProblem } from './path.ts';
import { pemToDer } from './pem.ts';

/** A certificate of another system (a machine's, a TPM's) that was verified; nothing in it is a SPIFFE ID. */
export type ForeignCertificate = {
  readonly certificate: X509Certificate;
  /** SHA-256 of the DER, lower-case hex. */
  readonly fingerprint: string;
  /** The subject's only common name. */
  readonly commonName: string | undefined;
  readonly dnsNames: readonly string[];
};

// SECURITY: a stranger sends the chain.
const MAX_CHAIN = 6;
const CLOCK_SKEW_MS = 60_000;

/** The certificates in `pem` as roots; fails if there is none or one cannot vouch for others. */
export function parseAuthorities(pem: string): Result<readonly TrustAnchor[], string> {
  const anchors: TrustAnchor[] = [];
  for (const der of pemToDer(pem)) {
    const decoded = decodeCertificate(der);
    if (!decoded.ok) return fail(`certificate ${anchors.length + 1}: ${decoded.error}`);
    const anchor = anchorOf(new X509Certificate(der));
    if (anchor === undefined) return fail(`certificate ${anchors.length + 1} has no usable key`);
    anchors.push(anchor);
  }
  return anchors.length === 0 ? fail('there is no certificate') : ok(anchors);
}

/**
 * Validates a chain (DER, leaf first) that leads to one of `roots`: path (RFC 5280 section 6), time, and that the leaf's
 * key is for `usage`. Never throws, whatever the bytes.
 */
export function verifyForeignCertificate(
  chain: readonly Uint8Array[],
  roots: readonly TrustAnchor[],
  nowMs: number,
  usage: 'digitalSignature' | 'keyEncipherment' = 'digitalSignature',
): Result<ForeignCertificate, string> {
  if (chain.length === 0 || chain.length > MAX_CHAIN) return fail(`1 to ${MAX_CHAIN} certificates`);
  const certificates: Certificate[] = [];
  for (const der of chain) {
    const decoded = decodeCertificate(der);
    if (!decoded.ok) return fail(`certificate ${certificates.length + 1}: ${decoded.error}`);
    certificates.push(decoded.value);
  }
  const [leaf, ...intermediates] = certificates;
  if (leaf === undefined) return fail('no certificate');
  const validity = { nowMs, clockSkewMs: CLOCK_SKEW_MS };
  const question = { leaf, intermediates, roots, isForeign: true, ...validity };
  const problem =
    leafProblem(leaf, usage) ?? timeProblem(leaf, 'the certificate', question)?.message;
  if (problem !== undefined) return fail(problem);
  const path = buildPath(question);
  if (!path.ok) return fail(path.error.message);
  const certificate = new X509Certificate(leaf.der);
  return ok({
    certificate,
    fingerprint: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
    commonName: commonNameOf(certificate),
    dnsNames: leaf.extensions.subjectAltName?.dns ?? [],
  });
}

function leafProblem(
  { extensions }: Certificate,
  usage: 'digitalSignature' | 'keyEncipherment',
): string | undefined {
  const { basicConstraints, keyUsage, unknownCritical } = extensions;
  if (basicConstraints?.ca === true) return "the certificate is a CA's";
  if (keyUsage !== undefined && (keyUsage & KEY_USAGE[usage]) === 0) {
    return `the certificate's key is not for \`${usage}\``;
  }
  return unknownCritical.length > 0 ? 'an unknown critical extension' : undefined;
}

function commonNameOf(certificate: X509Certificate): string | undefined {
  // SECURITY: of several common names none is the one.
  const name: unknown = certificate.toLegacyObject().subject?.CN;
  return typeof name === 'string' ? name : undefined;
}
