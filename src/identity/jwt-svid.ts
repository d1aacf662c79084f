import { fail, formatDuration, ok, type Result } from '#lib';
import { type CompactJws, decodeCompact, parseJsonObject } from './jwt-compact.ts';
import { type JwtKey, type JwtSigningKey, signEs256, verifyJwtSignature } from './jwt-key.ts';
import { BACKDATE_MS, type Revocable } from './revocation.ts';
import { parseSpiffeId, type SpiffeId } from './spiffe-id.ts';
import type { TrustDomain } from './trust-domain.ts';

/** The keys that sign JWT-SVIDs of one trust domain, and of no other. */
export type JwtBundle = {
  readonly trustDomain: TrustDomain;
  /** By `kid`. */
  readonly keys: ReadonlyMap<string, JwtKey>;
};

/** A JWT-SVID that was verified. */
export type JwtSvid = {
  readonly id: SpiffeId;
  readonly audience: readonly string[];
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
  /** The whole payload. */
  readonly claims: Readonly<Record<string, unknown>>;
};

/**
 * The claim that names the agent that asked for a token, as `requesterTag` has it: what a certificate says in an extension.
 * A name of our own, collision-resistant (RFC 7519 section 4.2), which other validators pass over.
 */
const REQUESTER_CLAIM = 'palisade.dev/requester';

/** How revocations know a JWT-SVID: its `jti` is its serial; one without is revoked by its subject alone. */
export function revocableOf(svid: Pick<JwtSvid, 'id' | 'claims'>): Revocable {
  const { jti, iat, [REQUESTER_CLAIM]: requester } = svid.claims;
  return {
    id: svid.id,
    serial: typeof jti === 'string' ? jti : '',
    notBefore: (typeof iat === 'number' ? iat * 1000 : 0) - BACKDATE_MS,
    requester: typeof requester === 'string' ? requester : undefined,
  };
}

/** What `signJwtSvid` signs; times in ms since 1970, cut to seconds. */
export type JwtSvidOptions = {
  readonly key: JwtSigningKey;
  readonly id: SpiffeId;
  readonly audience: readonly string[];
  readonly issuedAt: number;
  readonly expiresAt: number;
  /** Names the token in logs and revocations. */
  readonly jti: string;
  /** For validators that know issuers by OpenID Connect. */
  readonly issuer?: string | undefined;
  /** `requesterTag` of the agent that asks for it, so that all it asked for can be revoked with it. */
  readonly requester?: string | undefined;
};

/** Why a JWT-SVID is not accepted, as a stable code. */
export type JwtErrorCode =
  | 'malformed'
  | 'bad_claims'
  | 'bad_spiffe_id'
  | 'wrong_audience'
  | 'expired'
  | 'not_yet_valid'
  | 'wrong_trust_domain'
  | 'unknown_key'
  | 'bad_signature';

/** Why a JWT-SVID is not accepted. The token itself is never in `message`. */
export type JwtError = { readonly code: JwtErrorCode; readonly message: string };

/** Against what a JWT-SVID is verified. */
export type JwtQuestion = {
  readonly bundles: readonly JwtBundle[];
  /** The audience that the validator identifies with. */
  readonly audience: string;
  readonly nowMs: number;
  /** 60,000 unless told. */
  readonly clockSkewMs?: number;
};

type Claims = Pick<JwtSvid, 'id' | 'audience' | 'expiresAt' | 'claims'>;

// SECURITY: a token without `kid` may be any key's; that many are tried.
const MAX_TRIES = 16;
const headers = new WeakMap<JwtSigningKey, string>();

/** Issues a JWT-SVID. It signs what it is told: whether the subject may have it is decided before. */
export function signJwtSvid(options: JwtSvidOptions): string {
  const { key, id, audience, issuedAt, expiresAt, jti, issuer, requester } = options;
  const claims = {
    aud: audience,
    exp: Math.floor(expiresAt / 1000),
    iat: Math.floor(issuedAt / 1000),
    ...(issuer === undefined ? {} : { iss: issuer }),
    jti,
    sub: id.text,
    ...(requester === undefined ? {} : { [REQUESTER_CLAIM]: requester }),
  };
  const signed = `${headerOf(key)}.${encodeJson(claims)}`;
  return `${signed}.${signEs256(Buffer.from(signed, 'latin1'), key).toString('base64url')}`;
}

/**
 * Validates a JWT-SVID (JWT-SVID section 4 and appendix A) with the keys of its subject's own trust domain. Never
 * throws, whatever the text.
 */
export function verifyJwtSvid(token: string, question: JwtQuestion): Result<JwtSvid, JwtError> {
  const jws = decodeCompact(token);
  if (!jws.ok) return refuse('malformed', jws.error);
  const claims = readClaims(jws.value.payload);
  if (!claims.ok) return claims;
  const problem = claimProblem(claims.value, question);
  if (problem !== undefined) return fail(problem);
  const { trustDomain } = claims.value.id;
  // INVARIANT: a key vouches for the trust domain of its own bundle only.
  const bundle = question.bundles.find((each) => each.trustDomain === trustDomain);
  if (bundle === undefined) {
    return refuse('wrong_trust_domain', `no JWT bundle for trust domain \`${trustDomain}\``);
  }
  return checkSignature(jws.value, bundle) ?? ok(claims.value);
}

function checkSignature(
  jws: CompactJws,
  { keys, trustDomain }: JwtBundle,
): Result<never, JwtError> | undefined {
  const { kid, algorithm, signed, signature } = jws;
  const named = kid === undefined ? undefined : keys.get(kid);
  const candidates = kid === undefined ? [...keys.values()].slice(0, MAX_TRIES) : [];
  if (named !== undefined) candidates.push(named);
  if (candidates.length === 0) {
    return refuse('unknown_key', `no key of \`${trustDomain}\` is the one the token names`);
  }
  const isGood = candidates.some((key) => verifyJwtSignature(algorithm, signed, signature, key));
  return isGood ? undefined : refuse('bad_signature', "the token's signature does not verify");
}

function readClaims(payload: Uint8Array): Result<Claims, JwtError> {
  const claims = parseJsonObject(payload);
  if (claims === undefined) return refuse('malformed', 'the claims are not a JSON object');
  const { sub, aud, exp, nbf, iat } = claims;
  if (typeof sub !== 'string') return refuse('bad_claims', 'the claim `sub` is missing');
  const id = parseSpiffeId(sub);
  if (!id.ok) return refuse('bad_spiffe_id', id.error);
  // X509-SVID 2 and JWT-SVID 3.1: the subject is a workload, and those have a path.
  if (id.value.path === '') return refuse('bad_spiffe_id', 'the subject has no path');
  const audience = typeof aud === 'string' ? [aud] : aud;
  if (!isAudience(audience)) return refuse('bad_claims', 'the claim `aud` is missing or empty');
  if (!isInstant(exp)) return refuse('bad_claims', 'the claim `exp` is missing or no time');
  if ([nbf, iat].some((time) => time !== undefined && !isInstant(time))) {
    return refuse('bad_claims', 'the claim `nbf` or `iat` is no time');
  }
  return ok({ id: id.value, audience, expiresAt: exp * 1000, claims });
}

function claimProblem(claims: Claims, question: JwtQuestion): JwtError | undefined {
  const { audience, nowMs, clockSkewMs = 60_000 } = question;
  if (!claims.audience.includes(audience)) {
    return { code: 'wrong_audience', message: 'the token is for another audience' };
  }
  // RFC 7519 section 4.1.4: on or after `exp` it is not accepted, some leeway aside.
  if (nowMs - clockSkewMs >= claims.expiresAt) {
    const late = formatDuration(nowMs - claims.expiresAt);
    return { code: 'expired', message: `the token expired ${late} ago` };
  }
  const { nbf, iat } = claims.claims as { nbf?: number; iat?: number };
  const from = Math.max(nbf ?? 0, iat ?? 0) * 1000;
  if (from <= nowMs + clockSkewMs) return undefined;
  const early = formatDuration(from - nowMs);
  return {
    code: 'not_yet_valid',
    message: `the token becomes valid in ${early}: is a clock wrong?`,
  };
}

function isAudience(value: unknown): value is readonly string[] {
  return (
    Array.isArray(value) &&
    value.length > 0 &&
    value.every((each) => typeof each === 'string' && each !== '')
  );
}

// Year 9999; what is beyond is not a time in seconds.
const MAX_SECONDS = 253_402_300_799;

function isInstant(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 && value <= MAX_SECONDS;
}

function headerOf(key: JwtSigningKey): string {
  let header = headers.get(key);
  if (header === undefined) {
    header = encodeJson({ alg: 'ES256', kid: key.kid, typ: 'JWT' });
    headers.set(key, header);
  }
  return header;
}

function encodeJson(value: object): string {
  return Buffer.from(JSON.stringify(value), 'utf8').toString('base64url');
}

function refuse(code: JwtErrorCode, message: string): Result<never, JwtError> {
  return fail({ code, message });
}
