import { verify, X509Certificate } from 'node:crypto';
import { attestationProof, type PeerSvid, verifyX509Svid } from '#identity';
import { fail, formatDuration, ok, type Result } from '#lib';
import { meshRole } from '../mesh-identity.ts';
import type { AttestationContext, NodeAttestor } from './node-attestor.ts';
import { bytesOf, CHAIN_LIMITS, createNonce, listOfBytes, MAX_SIGNATURE_BYTES } from './proof.ts';

// A laptop's holiday; after that the host has to prove itself as a new one does.
const MAX_SLEEP_MS = 30 * 24 * 3_600_000;

/**
 * The lane for agents that slept past their certificate's life: the last certificate they got, and proof of its key.
 * It changes nothing of what is known of the host.
 */
export const ownCertificate: NodeAttestor = {
  strength: 'none',
  begin(evidence, context) {
    const chain = listOfBytes(evidence, 'certificates', CHAIN_LIMITS);
    if (!chain.ok) return chain;
    const svid = verifySleeper(chain.value, context);
    if (!svid.ok) return svid;
    const { id, serial, leafDer } = svid.value;
    const known = context.hosts.find(id);
    // SECURITY: only the newest: an older one may be a copy that somebody took along.
    if (known?.serial !== serial) return fail('it is not the last certificate of this agent');
    const nonce = createNonce();
    const signed = attestationProof('svid', nonce, context.publicKeyDer);
    return ok({
      kind: 'challenge',
      challenge: { nonce: nonce.toString('base64') },
      verify(answer) {
        const signature = bytesOf(answer, 'signature', MAX_SIGNATURE_BYTES);
        if (!signature.ok) return signature;
        const { publicKey } = new X509Certificate(leafDer);
        if (!verify('sha256', signed, publicKey, signature.value)) {
          return fail("the proof of the certificate's key is wrong");
        }
        const agent = id.path.slice('/palisade/agent/'.length);
        return ok({ agent, selectors: known.selectors, isFirstUseOnly: false, kept: known });
      },
    });
  },
};

function verifySleeper(
  chain: readonly Uint8Array[],
  { bundle, revoked, nowMs }: AttestationContext,
): Result<PeerSvid, string> {
  const [leaf] = chain;
  const expiresAt = leaf === undefined ? Number.NaN : expiryOf(leaf);
  if (Number.isNaN(expiresAt)) return fail('the certificate is malformed');
  if (nowMs - expiresAt > MAX_SLEEP_MS) {
    return fail(
      `the certificate expired ${formatDuration(nowMs - expiresAt)} ago, more than 30 days: attest anew`,
    );
  }
  // Judged as of its last moment, so that everything but its age is held against it.
  const svid = verifyX509Svid(chain, bundle, Math.min(nowMs, expiresAt));
  if (!svid.ok) return fail(svid.error.message);
  // SECURITY: revoked after it expired, too: this lane would give it new life.
  const problem = revoked(svid.value, nowMs);
  if (problem !== undefined) return fail(problem.message);
  return meshRole(svid.value.id) === 'agent' ? svid : fail("the certificate is not an agent's");
}

function expiryOf(der: Uint8Array): number {
  try {
    return new X509Certificate(der).validToDate.getTime();
  } catch {
    // Not a certificate.
    return Number.NaN;
  }
}
