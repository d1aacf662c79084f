import { createHash, hash, timingSafeEqual } from 'node:crypto';
import { attestationProof } from '#identity';
import { fail, ok } from '#lib';
import type { AttestationContext, AttestedHost, NodeAttestor } from './node-attestor.ts';
import { bytesOf, createNonce } from './proof.ts';
import {
  decodeSshCertificate,
  type SshCertificate,
  SshReader,
  sshString,
  verifySshSignature,
} from './ssh-wire.ts';

const MAX_BYTES = 16 * 1024;
const MAGIC = 'SSHSIG';
/** The namespace that the proof is signed in, so that no signature for another use is one. */
const NAMESPACE = 'palisade-node-attestation';

/** An OpenSSH host certificate, and a signature of the host's key as `ssh-keygen -Y sign` makes it (PROTOCOL.sshsig). */
export const sshpop: NodeAttestor = {
  strength: 'token',
  begin(evidence, context) {
    const blob = bytesOf(evidence, 'certificate', MAX_BYTES);
    if (!blob.ok) return blob;
    const certificate = decodeSshCertificate(blob.value);
    if (!certificate.ok) return certificate;
    const problem = certificateProblem(certificate.value, context);
    if (problem !== undefined) return fail(problem);
    const nonce = createNonce();
    const message = attestationProof('sshpop', nonce, context.publicKeyDer);
    return ok({
      kind: 'challenge',
      challenge: { nonce: nonce.toString('base64') },
      verify(answer) {
        const signature = bytesOf(answer, 'signature', MAX_BYTES);
        if (!signature.ok) return signature;
        return isProof(signature.value, certificate.value.keyBlob, message)
          ? ok(hostOf(certificate.value))
          : fail("the proof of the host's key is wrong");
      },
    });
  },
};

function certificateProblem(
  certificate: SshCertificate,
  { specs, nowMs }: AttestationContext,
): string | undefined {
  const { authorityBlob, signed, signature, validAfter, validBefore } = certificate;
  const authorities = specs.flatMap(({ sshpop: spec }) => spec?.authorities ?? []);
  if (authorities.length === 0) return 'no NodeAttestor with `sshpop` is applied';
  const isKnown = authorities.some((line) => blobOf(line).equals(authorityBlob));
  if (!isKnown || !verifySshSignature(authorityBlob, signed, signature)) {
    return 'the certificate is not signed by an authority of a NodeAttestor';
  }
  if (!certificate.isHost) return "the certificate is a user's, not a host's";
  if (certificate.principals.length === 0) return 'the certificate names no host';
  // PROTOCOL.certkeys: an option that is critical and unknown means refusal, and none is defined for hosts.
  if (certificate.criticalOptions > 0) return 'the certificate has an unknown critical option';
  const now = BigInt(Math.floor(nowMs / 1000));
  if (now + 60n < validAfter) return 'the certificate is not valid yet: is a clock wrong?';
  return now - 60n >= validBefore ? 'the certificate is expired' : undefined;
}

function isProof(bytes: Buffer, keyBlob: Buffer, message: Buffer): boolean {
  try {
    const reader = new SshReader(bytes);
    if (reader.bytes(MAGIC.length).toString('latin1') !== MAGIC || reader.uint32() !== 1)
      return false;
    const signer = reader.string();
    const namespace = reader.text();
    const reserved = reader.string();
    const algorithm = reader.text();
    const signature = reader.string();
    if (!reader.atEnd || namespace !== NAMESPACE || !/^sha(?:256|512)$/.test(algorithm))
      return false;
    if (signer.length !== keyBlob.length || !timingSafeEqual(signer, keyBlob)) return false;
    const signed = Buffer.concat([
      Buffer.from(MAGIC),
      sshString(Buffer.from(namespace)),
      sshString(reserved),
      sshString(Buffer.from(algorithm)),
      sshString(hash(algorithm, message, 'buffer')),
    ]);
    return verifySshSignature(keyBlob, signed, signature);
  } catch {
    // Cut off: no proof.
    return false;
  }
}

function hostOf({ keyBlob, keyId, principals }: SshCertificate): AttestedHost {
  const fingerprint = createHash('sha256').update(keyBlob).digest('hex');
  return {
    agent: `sshpop/${fingerprint}`,
    isFirstUseOnly: false,
    selectors: [
      `sshpop:fingerprint:${fingerprint}`,
      `sshpop:key-id:${keyId}`,
      ...principals.map((name) => `sshpop:host:${name}`),
    ],
  };
}

function blobOf(line: string): Buffer {
  return Buffer.from(line.split(' ')[1] ?? '', 'base64');
}
