import { createHash, createPrivateKey, type KeyObject, sign } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { attestationProof, pemToDer } from '#identity';
import type { StoredIdentity } from '../issued-svid.ts';
import { challengeBytes, type Evidence, type EvidenceSource } from './evidence-source.ts';

/** A certificate that the machine has already, with its key; both files are read at each attempt, since they are renewed. */
export function x509popEvidence(certificateFile: string, keyFile: string): EvidenceSource {
  const readChain = async () => pemToDer(await readFile(certificateFile, 'utf8'));
  return {
    attestor: 'x509pop',
    async agent() {
      const [leaf] = await readChain();
      if (leaf === undefined) throw new Error(`\`${certificateFile}\` holds no certificate in PEM`);
      return `x509pop/${createHash('sha256').update(leaf).digest('hex')}`;
    },
    evidence: async () => evidenceOf(await readChain()),
    async answer(challenge, publicKeyDer) {
      const key = readKey(await readFile(keyFile, 'utf8'), keyFile);
      return prove('x509pop', key, challenge, publicKeyDer);
    },
  };
}

/** The agent's own last certificate, for one that slept past its life. */
export function ownCertificateEvidence(own: StoredIdentity, agent: string): EvidenceSource {
  return {
    attestor: 'svid',
    agent: async () => agent,
    evidence: async () => evidenceOf(pemToDer(own.chainPem)),
    answer: async (challenge, publicKeyDer) =>
      prove('svid', readKey(own.privateKeyPem, 'the stored key'), challenge, publicKeyDer),
  };
}

function evidenceOf(chain: readonly Uint8Array[]): Evidence {
  return { certificates: chain.map((der) => Buffer.from(der).toString('base64')) };
}

function prove(
  attestor: string,
  key: KeyObject,
  challenge: Evidence,
  publicKeyDer: Uint8Array,
): Evidence {
  const bytes = attestationProof(attestor, challengeBytes(challenge, 'nonce'), publicKeyDer);
  const digest = key.asymmetricKeyType === 'ed25519' ? null : 'sha256';
  return { signature: sign(digest, bytes, key).toString('base64') };
}

function readKey(pem: string, where: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch {
    // SECURITY: OpenSSL's reason could quote the key.
    throw new Error(`\`${where}\` is not a private key in PEM`);
  }
}
