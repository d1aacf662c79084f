import { hash } from 'node:crypto';

/** Remembers which signatures of certificates have verified. */
export type SignatureMemory = {
  /** Whether `verify` says so, or said so before of the same certificate under the same key (both DER). */
  readonly holds: (
    signed: { readonly certificateDer: Uint8Array; readonly keyDer: Uint8Array },
    verify: () => boolean,
  ) => boolean;
};

/**
 * A memory of the last `limit` signatures that verified, 90 bytes each. That bytes were signed by a key stays true, unlike
 * all else that is asked of a certificate, so times, names, roots and revocations are judged anew each time.
 * SECURITY: what failed is not remembered, so that nobody fills it with what is worth nothing.
 */
export function createSignatureMemory(limit: number): SignatureMemory {
  const verified = new Set<string>();
  return {
    holds({ certificateDer, keyDer }, verify) {
      // Each says by itself where it ends (X.690), so that no other pair has the same bytes.
      const digest = hash('sha256', Buffer.concat([keyDer, certificateDer]), 'base64');
      if (verified.has(digest)) return true;
      if (!verify()) return false;
      const [oldest] = verified;
      if (verified.size >= limit && oldest !== undefined) verified.delete(oldest);
      verified.add(digest);
      return true;
    },
  };
}
