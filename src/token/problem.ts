/**
 * Why a token is refused. Stable: they are counted and logged, and the caller hears of none but that
 * the token is invalid.
 */
export const TOKEN_PROBLEMS = [
  'malformed',
  'token_too_large',
  'unsupported_algorithm',
  'unsupported_header',
  'unknown_issuer',
  'unknown_key',
  'bad_signature',
  'expired',
  'not_yet_valid',
  'wrong_audience',
  'bad_claims',
  'repeated_token',
  'certificate_mismatch',
  'dpop_missing',
  'dpop_invalid',
  'dpop_replayed',
] as const;

/** One of `TOKEN_PROBLEMS`. */
export type TokenProblem = (typeof TOKEN_PROBLEMS)[number];
