import { fail } from '#lib';

/** Why a certificate chain is not accepted, as a stable code. */
export type VerifyErrorCode =
  | 'no_certificate'
  | 'malformed'
  | 'expired'
  | 'not_yet_valid'
  | 'untrusted'
  | 'bad_leaf'
  | 'bad_chain'
  | 'bad_spiffe_id'
  | 'wrong_trust_domain';

/** Why a certificate chain is not accepted. `message` is for our own log, never for the peer. */
export type VerifyError = { readonly code: VerifyErrorCode; readonly message: string };

/** The failed result of a verification. */
export function refuse(
  code: VerifyErrorCode,
  message: string,
): { readonly ok: false; readonly error: VerifyError } {
  return fail({ code, message });
}
