import type { KeyObject } from 'node:crypto';
import { X509Certificate } from 'node:crypto';
import { fail, ok, type Result } from '#lib';
import { anchorOf } from './bundle.ts';
import { type Certificate, decodeCertificate } from './certificate.ts';
import {
  CA_KEY_USAGE,
  encodeAltNames,
  encodeAuthorityKeyId,
  encodeCaConstraints,
  encodeCommonName,
  encodeSigned,
  encodeSubjectKeyId,
  encodeTbs,
  encodeUriConstraint,
  keyIdOf,
} from './certificate-fields.ts';
import { encodeRequest, readRequest } from './csr.ts';
import { DerError, decodeDer } from './der-read.ts';
import { KEY_USAGE } from './extensions.ts';
import { type Issuer, randomSerial } from './issue.ts';
import { buildPath, timeProblem } from './path.ts';
import { derToPem, pemToDer } from './pem.ts';
import { BACKDATE_MS } from './revocation.ts';
import type { SigningKey } from './signing-key.ts';
import type { TrustDomain } from './trust-domain.ts';
import { foreignSigner } from './verify.ts';

/** An authority below another one that its holder asks for, and proves to have the key of. */
export type AuthorityRequest = {
  readonly trustDomain: TrustDomain;
  readonly publicKey: KeyObject;
  /** SubjectPublicKeyInfo. */
  readonly publicKeyDer: Uint8Array;
};

/** What an intermediate is issued for. */
export type IntermediateOptions = {
  readonly issuer: Issuer;
  readonly trustDomain: TrustDomain;
  readonly publicKeyDer: Uint8Array;
  readonly nowMs: number;
  /** From `nowMs`; cut to the issuer's own end. */
  readonly ttlMs: number;
};

/** When, and for whom; `isUnconstrained`: for an authority that only signs intermediates, which are constrained. */
export type LoadOptions = {
  readonly trustDomain: TrustDomain;
  readonly nowMs: number;
  readonly isUnconstrained?: boolean;
};

// SECURITY: somebody else wrote the chain; no deployment is known to need more.
const MAX_CHAIN = 5;
const CLOCK_SKEW_MS = 60_000;

/** A PKCS #10 request for an authority of `trustDomain`, named after its key so that its successors have other names. */
export function createAuthorityCsr(key: SigningKey, trustDomain: TrustDomain): Uint8Array {
  return encodeRequest({ key, uri: `spiffe://${trustDomain}`, subject: nameOf(key, trustDomain) });
}

/** Parses such a request as strictly as `parseCsr`; its subject is not looked at. Never throws. */
export function parseAuthorityCsr(der: Uint8Array): Result<AuthorityRequest, string> {
  return decodeDer(() => {
    const { id, publicKey, publicKeyDer } = readRequest(der, { hasSubject: true });
    if (id.path !== '') throw new DerError('the request is for a workload, not for an authority');
    return { trustDomain: id.trustDomain, publicKey, publicKeyDer };
  });
}

/**
 * Issues an intermediate that may vouch for SPIFFE IDs of `trustDomain` alone (RFC 5280 section 4.2.1.10, critical) and
 * for leaves only, and returns its DER. Blocks while the issuer's key signs.
 */
export function issueIntermediate(options: IntermediateOptions): Uint8Array {
  const { issuer, trustDomain, publicKeyDer, nowMs } = options;
  const decoded = decodeCertificate(issuer.certificateDer);
  if (!decoded.ok) throw new RangeError(`the issuer's certificate: ${decoded.error}`);
  const above = decoded.value;
  const { subjectKeyId } = above.extensions;
  const keyId = subjectKeyId === undefined ? keyIdOf(above.spki) : Buffer.from(subjectKeyId, 'hex');
  const { key } = issuer;
  const tbs = encodeTbs({
    serial: randomSerial(),
    signatureAlgorithm: key.algorithm,
    issuer: above.subject,
    notBefore: Math.max(nowMs - BACKDATE_MS, above.notBefore),
    expiresAt: Math.min(nowMs + options.ttlMs, above.expiresAt),
    subject: nameOf({ publicKeyDer }, trustDomain),
    spki: publicKeyDer,
    extensions: [
      encodeCaConstraints(0),
      CA_KEY_USAGE,
      encodeUriConstraint(trustDomain),
      encodeAltNames({ uris: [`spiffe://${trustDomain}`], dns: [] }, false),
      encodeSubjectKeyId(keyIdOf(publicKeyDer)),
      encodeAuthorityKeyId(keyId),
    ],
  });
  return encodeSigned(tbs, key.algorithm, key.sign(tbs));
}

/** An intermediate's serial number and end, as the issuance log names them. */
export function decodeSerial(der: Uint8Array): {
  readonly serial: string;
  readonly expiresAtMs: number;
} {
  const decoded = decodeCertificate(der);
  if (!decoded.ok) throw new RangeError(`an intermediate of our own making: ${decoded.error}`);
  return { serial: decoded.value.serial, expiresAtMs: decoded.value.expiresAt };
}

/**
 * The authority that a chain (PEM: the intermediate of `key` first, the self-signed root last) makes of `key`. Fails
 * unless the path is valid now and some certificate below the root is constrained to SPIFFE IDs of the trust domain.
 */
export function loadIntermediate(
  chainPem: string,
  key: SigningKey,
  about: LoadOptions,
): Result<Issuer, string> {
  const chain = decodeChain(chainPem);
  if (!chain.ok) return chain;
  const [own] = chain.value;
  const root = chain.value.at(-1);
  if (own === undefined || root === undefined) return fail('the chain is empty');
  if (!Buffer.from(key.publicKeyDer).equals(own.spki)) {
    return fail("the first certificate is not of this authority's key");
  }
  const problem = authorityProblem(own) ?? pathProblem(chain.value, about);
  if (problem !== undefined) return fail(problem);
  // SECURITY: without this our key could speak for every trust domain that trusts the same root.
  const below = chain.value.slice(0, -1);
  const isConstrained = below.some((each) => isConstrainedTo(each, about.trustDomain));
  if (!isConstrained && about.isUnconstrained !== true) {
    return fail(
      `no intermediate is constrained to \`${about.trustDomain}\`: sign it with a critical nameConstraints of permitted;URI:${about.trustDomain}`,
    );
  }
  return ok({
    certificateDer: own.der,
    certificatePem: derToPem(own.der),
    key,
    intermediates: below.map(({ der }) => der),
    rootDer: root.der,
    startsAt: own.notBefore,
    expiresAt: Math.min(...chain.value.map(({ expiresAt }) => expiresAt)),
  });
}

function decodeChain(pem: string): Result<readonly Certificate[], string> {
  const ders = pemToDer(pem);
  if (ders.length < 2 || ders.length > MAX_CHAIN) {
    return fail(
      `2 to ${MAX_CHAIN} certificates are expected: the intermediate first, the root last`,
    );
  }
  const chain: Certificate[] = [];
  for (const der of ders) {
    const decoded = decodeCertificate(der);
    if (!decoded.ok) return fail(`certificate ${chain.length + 1}: ${decoded.error}`);
    chain.push(decoded.value);
  }
  return ok(chain);
}

function authorityProblem({ extensions }: Certificate): string | undefined {
  const { basicConstraints, keyUsage = 0, unknownCritical } = extensions;
  if (basicConstraints?.ca !== true || (keyUsage & KEY_USAGE.keyCertSign) === 0) {
    return 'the first certificate may not sign certificates';
  }
  return unknownCritical.length > 0 ? 'an unknown critical extension' : undefined;
}

/** The intermediate is checked as a verifier will: as a signer of something below it, and all those above it. */
function pathProblem(
  chain: readonly Certificate[],
  { trustDomain, nowMs }: { readonly trustDomain: TrustDomain; readonly nowMs: number },
): string | undefined {
  const [own, ...above] = chain;
  const root = above.at(-1);
  if (own === undefined || root === undefined) return 'the chain is empty';
  if (!root.subject.equals(root.issuer)) return 'the last certificate is not a self-signed root';
  const anchor = anchorOf(new X509Certificate(root.der));
  if (anchor === undefined) return 'the root has no usable key';
  const validity = { nowMs, clockSkewMs: CLOCK_SKEW_MS };
  const refuseSigner = (signer: Certificate) => foreignSigner(signer, trustDomain);
  const ownProblem = timeProblem(own, 'the intermediate', validity)?.message ?? refuseSigner(own);
  if (ownProblem !== undefined) return ownProblem;
  const rest = { leaf: own, intermediates: above.slice(0, -1), roots: [anchor] };
  const path = buildPath({ ...rest, ...validity, refuseSigner });
  if (!path.ok) return path.error.message;
  // RFC 5280 6.1.4 (l): the path above counted nothing below this intermediate, yet SVIDs will stand below it.
  const isTooShort = path.value.some(
    ({ extensions }, index) => (extensions.basicConstraints?.pathLength ?? 0) < index + 1,
  );
  return !isTooShort ? undefined : 'a certificate above allows only a shorter chain';
}

function isConstrainedTo({ extensions }: Certificate, trustDomain: TrustDomain): boolean {
  const uris = extensions.nameConstraints?.permitted.uris ?? [];
  return uris.length === 1 && uris[0] === trustDomain;
}

function nameOf({ publicKeyDer }: Pick<SigningKey, 'publicKeyDer'>, trustDomain: string): Buffer {
  const keyId = keyIdOf(publicKeyDer).toString('hex').slice(0, 16);
  return encodeCommonName(`Palisade authority ${keyId} of ${trustDomain}`);
}
