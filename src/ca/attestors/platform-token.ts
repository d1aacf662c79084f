import {
  decodeCompact,
  type JwtKey,
  parseJsonObject,
  parseJwk,
  verifyJwtSignature,
} from '#identity';
import { fail, ok, type Result } from '#lib';

/** Claims of a platform's token whose signature, audience and time are good. */
export type PlatformClaims = Readonly<Record<string, unknown>>;

/** What a platform's token must be. */
export type PlatformTokenQuestion = {
  /** JWKS text of the platform. */
  readonly jwks: string;
  readonly audience: string;
  readonly nowMs: number;
};

const CLOCK_SKEW_MS = 60_000;
// Azure names its key by thumbprint too.
const TOLERATED = ['x5t', 'x5t#S256'];

/** Verifies a JWT that a platform gave one of its machines; the issuer's name is the caller's to compare. */
export function verifyPlatformToken(
  token: unknown,
  { jwks, audience, nowMs }: PlatformTokenQuestion,
): Result<PlatformClaims, string> {
  if (typeof token !== 'string') return fail('`token` is missing');
  const jws = decodeCompact(token, TOLERATED);
  if (!jws.ok) return jws;
  const { algorithm, signed, signature, kid } = jws.value;
  const key = keysOf(jwks).find((each) => each.kid === kid);
  // SECURITY: the key is found by the name the token gives, but never brought by the token.
  if (key === undefined) return fail("no key of the platform is the token's");
  if (!verifyJwtSignature(algorithm, signed, signature, key)) return fail('the signature is wrong');
  const claims = parseJsonObject(jws.value.payload);
  if (claims === undefined) return fail('the claims are not a JSON object');
  const problem = timeProblem(claims, nowMs);
  if (problem !== undefined) return fail(problem);
  const { aud } = claims;
  const isForUs = Array.isArray(aud) ? aud.includes(audience) : aud === audience;
  return isForUs ? ok(claims) : fail(`the token is not for the audience \`${audience}\``);
}

/** A claim that is text; undefined otherwise. */
export function textClaim(claims: unknown, ...path: readonly string[]): string | undefined {
  let value = claims;
  for (const name of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name))
      return undefined;
    value = (value as Record<string, unknown>)[name];
  }
  return typeof value === 'string' ? value : undefined;
}

function timeProblem({ exp, nbf }: PlatformClaims, nowMs: number): string | undefined {
  if (typeof exp !== 'number' || !Number.isFinite(exp)) return 'the token has no expiry';
  if (nowMs - CLOCK_SKEW_MS >= exp * 1000) return 'the token is expired';
  const isEarly = typeof nbf === 'number' && nbf * 1000 > nowMs + CLOCK_SKEW_MS;
  return isEarly ? 'the token is not valid yet: is a clock wrong?' : undefined;
}

function keysOf(jwks: string): readonly JwtKey[] {
  const set = parseJsonObject(Buffer.from(jwks));
  const list: unknown = set?.['keys'];
  if (!Array.isArray(list)) return [];
  return list.flatMap((jwk: unknown) =>
    typeof jwk === 'object' && jwk !== null ? (parseJwk(jwk as Record<string, unknown>) ?? []) : [],
  );
}
