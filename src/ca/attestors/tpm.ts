import { hash, type KeyObject, randomBytes, timingSafeEqual, verify } from 'node:crypto';
import { attestationProof, parseAuthorities, verifyForeignCertificate } from '#identity';
import { fail, ok, type Result } from '#lib';
import type { AttestationContext, AttestedHost, Evidence, NodeAttestor } from './node-attestor.ts';
import { bytesOf, createNonce, listOfBytes } from './proof.ts';
import {
  decodeQuote,
  decodeTpmPublic,
  isAttestationKey,
  isEndorsementKey,
  makeCredential,
  type TpmPublic,
} from './tpm-wire.ts';

const MAX_PUBLIC = 2048;
const MAX_QUOTE = 4096;
const SECRET_BYTES = 32;
const CERTIFICATES = { maxItems: 4, maxBytes: 8 * 1024 };

/**
 * A TPM 2.0: its endorsement key is known or certified by its maker; credential activation shows that the attestation key
 * lives in the same TPM, and a quote by that key over the proof shows that it is there now.
 */
export const tpm: NodeAttestor = {
  strength: 'tpm',
  begin(evidence, context) {
    const keys = readKeys(evidence);
    if (!keys.ok) return keys;
    const { endorsement, attestation } = keys.value;
    const digest = hash('sha256', endorsement.key.export({ type: 'spki', format: 'der' }), 'hex');
    const problem = endorsementProblem({ evidence, key: endorsement.key, digest }, context);
    if (problem !== undefined) return fail(problem);
    const nonce = createNonce();
    const secret = randomBytes(SECRET_BYTES);
    const credential = makeCredential(endorsement.key, attestation.name, secret);
    const expected = { secret, proof: attestationProof('tpm', nonce, context.publicKeyDer) };
    return ok({
      kind: 'challenge',
      challenge: { nonce: nonce.toString('base64'), credential: credential.toString('base64') },
      verify(answer) {
        const wrong = answerProblem(answer, attestation.key, expected);
        return wrong === undefined ? ok(hostOf(digest)) : fail(wrong);
      },
    });
  },
};

function readKeys(
  evidence: Evidence,
): Result<{ endorsement: TpmPublic; attestation: TpmPublic }, string> {
  const read = (name: string): Result<TpmPublic, string> => {
    const bytes = bytesOf(evidence, name, MAX_PUBLIC);
    return bytes.ok ? decodeTpmPublic(bytes.value) : bytes;
  };
  const endorsement = read('ekPublic');
  if (!endorsement.ok) return endorsement;
  const attestation = read('akPublic');
  if (!attestation.ok) return attestation;
  if (!isEndorsementKey(endorsement.value)) return fail('`ekPublic` is no RSA endorsement key');
  if (!isAttestationKey(attestation.value)) return fail('`akPublic` is no attestation key');
  return ok({ endorsement: endorsement.value, attestation: attestation.value });
}

function endorsementProblem(
  of: { readonly evidence: Evidence; readonly key: KeyObject; readonly digest: string },
  { specs, nowMs }: AttestationContext,
): string | undefined {
  const configured = specs.flatMap(({ tpm: spec }) => (spec === undefined ? [] : [spec]));
  if (configured.length === 0) return 'no NodeAttestor with `tpm` is applied';
  if (configured.some(({ ekSha256 }) => ekSha256.includes(of.digest))) return undefined;
  const roots = configured.flatMap(({ ekRoots }) => {
    const parsed = ekRoots === undefined ? undefined : parseAuthorities(ekRoots);
    return parsed?.ok === true ? parsed.value : [];
  });
  const unknown = `the endorsement key \`${of.digest}\` is not in a NodeAttestor`;
  if (roots.length === 0 || of.evidence['ekCertificates'] === undefined) return unknown;
  const chain = listOfBytes(of.evidence, 'ekCertificates', CERTIFICATES);
  if (!chain.ok) return chain.error;
  const verified = verifyForeignCertificate(chain.value, roots, nowMs, 'keyEncipherment');
  if (!verified.ok) return `the endorsement key's certificate: ${verified.error}`;
  // SECURITY: a good certificate of another TPM proves nothing of this one.
  const isOwn = verified.value.certificate.publicKey.equals(of.key);
  return isOwn ? undefined : 'the certificate is of another endorsement key';
}

function answerProblem(
  answer: Evidence,
  attestationKey: KeyObject,
  { secret, proof }: { readonly secret: Buffer; readonly proof: Buffer },
): string | undefined {
  const activated = bytesOf(answer, 'secret', SECRET_BYTES);
  const quote = bytesOf(answer, 'quote', MAX_QUOTE);
  const signature = bytesOf(answer, 'signature', MAX_QUOTE);
  if (!activated.ok) return activated.error;
  if (!quote.ok) return quote.error;
  if (!signature.ok) return signature.error;
  const isActivated =
    activated.value.length === SECRET_BYTES && timingSafeEqual(activated.value, secret);
  if (!isActivated) return 'the attestation key is not in the TPM of the endorsement key';
  if (!verify('sha256', quote.value, attestationKey, signature.value)) {
    return 'the quote is not signed by the attestation key';
  }
  const decoded = decodeQuote(quote.value);
  if (!decoded.ok) return decoded.error;
  const expected = hash('sha256', proof, 'buffer');
  const { extraData } = decoded.value;
  const isFresh = extraData.length === expected.length && timingSafeEqual(extraData, expected);
  return isFresh ? undefined : 'the quote is not for this attempt';
}

function hostOf(digest: string): AttestedHost {
  return { agent: `tpm/${digest}`, selectors: [`tpm:ek-sha256:${digest}`], isFirstUseOnly: false };
}
