import { hash } from 'node:crypto';
import type { SpiffeId } from './spiffe-id.ts';

/** What a revocation looks at in a credential: an X.509-SVID, or a JWT-SVID with its `jti` and `iat`. */
export type Revocable = {
  readonly id: SpiffeId;
  /** Lower-case hex for certificates. */
  readonly serial: string;
  /** Milliseconds since 1970. */
  readonly notBefore: number;
  /** `requesterTag` of the agent that asked for it; undefined where the certificate does not say. */
  readonly requester?: string | undefined;
  /** Serial numbers of the certificates between it and its root, which can be revoked as well. */
  readonly signers?: readonly string[] | undefined;
};

/** Why a credential counts no more: `revoked`, and a sentence for the log. */
export type Revoked = {
  readonly code: string;
  readonly message: string;
  /** When somebody revoked it, milliseconds since 1970. */
  readonly since?: number;
};

/** Asks the revocations of now; undefined: none is against it. `nowMs` since 1970, for those that end by themselves. */
export type RevocationCheck = (svid: Revocable, nowMs: number) => Revoked | undefined;

/** How far before its issuance a certificate of ours begins, for peers whose clocks run behind. */
export const BACKDATE_MS = 60_000;

/** Nothing is revoked. */
export const nothingRevoked: RevocationCheck = () => undefined;

/** How a certificate names the agent that asked for it: half of the SHA-256 of its SPIFFE ID, lower-case hex. */
export function requesterTag(spiffeId: string): string {
  return hash('sha256', `palisade requester\n${spiffeId}`, 'hex').slice(0, 32);
}
