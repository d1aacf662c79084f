import { fail, ok, type Result } from '#lib';
import { verifySignature } from './algorithms.ts';
import type { DecodedToken } from './compact.ts';
import type { KeySet, TokenKey } from './jwks.ts';
import type { TokenProblem } from './problem.ts';
import type { TokenRule } from './rule.ts';

/** A token whose signature, times, issuer and audience hold. */
export type VerifiedToken = {
  readonly claims: Readonly<Record<string, unknown>>;
  /** Milliseconds since 1970 from which on it is expired, the skew included; infinite without `exp`. */
  readonly validUntilMs: number;
};

/** Verifies a decoded token against one issuer's rule and keys. Its issuer has to be the rule's. */
export function verifyToken(
  token: DecodedToken,
  rule: Pick<TokenRule, 'issuer' | 'audiences' | 'clockSkewMs'>,
  keys: KeySet,
  nowMs: number,
): Result<VerifiedToken, TokenProblem> {
  const { payload } = token;
  if (payload['iss'] !== rule.issuer) return fail('unknown_issuer');
  const candidates = keysFor(token, keys);
  if (candidates.length === 0) return fail('unknown_key');
  const { algorithm, signed, signature } = token;
  if (!candidates.some(({ key }) => verifySignature(algorithm, key, signed, signature))) {
    return fail('bad_signature');
  }
  return checkClaims(payload, rule, nowMs);
}

// A set without `kid`s is tried key by key, but not without end.
const MOST_TRIED = 8;

/** Those with the token's `kid`, if it has one and the set knows it; those without any may be it too. */
function keysFor({ algorithm, kid }: DecodedToken, { keys }: KeySet): readonly TokenKey[] {
  const able = keys.filter(({ algorithms }) => algorithms.includes(algorithm));
  const named = able.filter((key) => key.kid === kid);
  if (kid !== undefined && named.length > 0) return named.slice(0, MOST_TRIED);
  const open = kid === undefined ? able : able.filter((key) => key.kid === undefined);
  return open.slice(0, MOST_TRIED);
}

/** Checks times and audience of claims whose signature holds, or is taken to hold. */
export function checkClaims(
  claims: Readonly<Record<string, unknown>>,
  { audiences, clockSkewMs }: Pick<TokenRule, 'audiences' | 'clockSkewMs'>,
  nowMs: number,
): Result<VerifiedToken, TokenProblem> {
  const { exp, nbf, aud, sub } = claims;
  if (!isOptionalTime(exp) || !isOptionalTime(nbf) || !isOptionalTime(claims['iat'])) {
    return fail('bad_claims');
  }
  if (sub !== undefined && typeof sub !== 'string') return fail('bad_claims');
  const validUntilMs = exp === undefined ? Number.POSITIVE_INFINITY : exp * 1000 + clockSkewMs;
  // RFC 7519 section 4.1.4: on or after `exp` it must not be accepted.
  if (nowMs >= validUntilMs) return fail('expired');
  if (nbf !== undefined && nowMs + clockSkewMs < nbf * 1000) return fail('not_yet_valid');
  const named = typeof aud === 'string' ? [aud] : (aud ?? []);
  if (!Array.isArray(named) || named.some((one) => typeof one !== 'string')) {
    return fail('bad_claims');
  }
  const isMeant =
    audiences.length === 0 ||
    audiences.some((one) => named.some((other) => bare(other) === bare(one)));
  return isMeant ? ok({ claims, validUntilMs }) : fail('wrong_audience');
}

/** As Envoy compares audiences: neither the scheme of a URL nor a slash at its end counts. */
function bare(audience: string): string {
  return audience.replace(/^https?:\/\//, '').replace(/\/$/, '');
}

/** RFC 7519 section 2: a NumericDate is a number; an infinite one would never end. */
function isOptionalTime(value: unknown): value is number | undefined {
  return value === undefined || (typeof value === 'number' && Number.isFinite(value) && value >= 0);
}
