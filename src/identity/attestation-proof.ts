import { hash } from 'node:crypto';

/**
 * What a host signs to prove a key to the authority: the attestor's name, the authority's nonce, and the key that is to
 * be certified (SubjectPublicKeyInfo), so that a proof is good for one attestor, one attempt and one agent.
 */
export function attestationProof(
  attestor: string,
  nonce: Uint8Array,
  publicKeyDer: Uint8Array,
): Buffer {
  const domain = `palisade node attestation ${attestor}\n`;
  return Buffer.concat([Buffer.from(domain), nonce, hash('sha256', publicKeyDer, 'buffer')]);
}
