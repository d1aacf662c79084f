import { verify } from 'node:crypto';
import {
  attestationProof,
  type ForeignCertificate,
  parseAuthorities,
  verifyForeignCertificate,
} from '#identity';
import { fail, ok, type Result } from '#lib';
import type { AttestationContext, AttestedHost, NodeAttestor } from './node-attestor.ts';
import { bytesOf, CHAIN_LIMITS, createNonce, listOfBytes, MAX_SIGNATURE_BYTES } from './proof.ts';

/** A certificate that the host has already, from an authority the operator names, and proof of its key. */
export const x509pop: NodeAttestor = {
  strength: 'token',
  begin(evidence, context) {
    const chain = listOfBytes(evidence, 'certificates', CHAIN_LIMITS);
    if (!chain.ok) return chain;
    const verified = verifyAgainstAny(chain.value, context);
    if (!verified.ok) return verified;
    const nonce = createNonce();
    const signed = attestationProof('x509pop', nonce, context.publicKeyDer);
    return ok({
      kind: 'challenge',
      challenge: { nonce: nonce.toString('base64') },
      verify(answer) {
        const signature = bytesOf(answer, 'signature', MAX_SIGNATURE_BYTES);
        if (!signature.ok) return signature;
        const key = verified.value.certificate.publicKey;
        const digest = key.asymmetricKeyType === 'ed25519' ? null : 'sha256';
        const isGood = verify(digest, signed, key, signature.value);
        return isGood
          ? ok(hostOf(verified.value))
          : fail("the proof of the certificate's key is wrong");
      },
    });
  },
};

function verifyAgainstAny(
  chain: readonly Uint8Array[],
  { specs, nowMs }: AttestationContext,
): Result<ForeignCertificate, string> {
  const authorities = specs.flatMap(({ x509pop: spec }) => {
    const parsed = spec === undefined ? undefined : parseAuthorities(spec.roots);
    return parsed?.ok === true ? parsed.value : [];
  });
  return authorities.length === 0
    ? fail('no NodeAttestor with `x509pop` is applied')
    : verifyForeignCertificate(chain, authorities, nowMs);
}

function hostOf({ fingerprint, commonName, dnsNames }: ForeignCertificate): AttestedHost {
  return {
    agent: `x509pop/${fingerprint}`,
    isFirstUseOnly: false,
    selectors: [
      `x509pop:fingerprint:${fingerprint}`,
      ...(commonName === undefined ? [] : [`x509pop:subject:cn:${commonName}`]),
      ...dnsNames.map((name) => `x509pop:san:dns:${name}`),
    ],
  };
}
