import { fail, type Result } from '#lib';

/** Why signed configuration was refused, by stable code. The key is the code, the value what it means to an operator. */
export const TRUST_ERRORS = {
  malformed: 'not the bytes or shape that signed configuration has',
  too_large: 'more bytes, resources or signatures than this side accepts',
  wrong_trust_domain: 'signed for another trust domain',
  wrong_namespace: 'belongs to another namespace than the one it came for',
  signature_threshold: 'too few valid signatures by different policy keys',
  key_not_allowed: 'validly signed, but by keys that may not sign for this namespace',
  version_rollback: 'older than what is already enforced',
  fork: 'contradicts the history that is already enforced',
  gap: 'does not continue from what is already enforced',
  root_mismatch: 'the resources are not those that were signed',
  expired: 'past its expiry and never renewed',
  trust_root_invalid: 'the trust root contradicts itself or its predecessor',
  proof_invalid: 'the proof does not lead to the signed root',
} as const;

/** The codes of `TRUST_ERRORS`. */
export type TrustErrorCode = keyof typeof TRUST_ERRORS;

/** A refusal: a stable code, a sentence, and which commit it was about where that is known. */
export type TrustError = {
  readonly code: TrustErrorCode;
  readonly message: string;
  readonly number?: number;
  /** Commit hash, lower-case hex. */
  readonly hash?: string;
};

/** A refusal as a result. */
export function refuse(
  code: TrustErrorCode,
  message: string,
  about: { readonly number?: number; readonly hash?: string } = {},
): Result<never, TrustError> {
  return fail({
    code,
    message,
    ...(about.number === undefined ? {} : { number: about.number }),
    ...(about.hash === undefined ? {} : { hash: about.hash }),
  });
}

/** Thrown where our own code breaks a promise of this layer, e.g. signs what is not JSON; never by hostile input. */
export class TrustPromiseError extends Error {
  readonly code: TrustErrorCode;
  constructor(code: TrustErrorCode, message: string) {
    super(message);
    this.name = 'TrustPromiseError';
    this.code = code;
  }
}
