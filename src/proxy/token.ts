import { hash } from 'node:crypto';
import { type Claims, normalizeClaims } from '#policy';
import {
  decodeToken,
  type KeySet,
  outputHeaders,
  type TokenProblem,
  type TokenRule,
  verifyDpop,
  verifyToken,
  writtenHeaders,
} from '#token';
import type { HeaderChanges, RequestFacts } from './http-call.ts';
import type { Failure } from './respond.ts';
import type { TokenKeys } from './token-keys.ts';
import { findToken, placesOf, type TokenPlace } from './token-places.ts';

/**
 * What became of a request's tokens: `claims` are those of the first one, none without a token;
 * `headers` are what the application gets otherwise. `wait` means that keys are on their way: ask
 * again when `ready` is done, which it is within the time-out of fetching them.
 */
export type TokenOutcome =
  | {
      readonly kind: 'pass';
      readonly claims: Claims | undefined;
      readonly headers: HeaderChanges | undefined;
      /** By which rule the claims count. */
      readonly rule: TokenRule | undefined;
    }
  | { readonly kind: 'refuse'; readonly failure: Failure }
  | { readonly kind: 'wait'; readonly ready: Promise<void> };

/** A request whose tokens are all valid, or that has none. */
export type PassedUser = Extract<TokenOutcome, { readonly kind: 'pass' }>;

/** What a request's tokens are held against. */
export type TokenCheck = {
  readonly head: RequestFacts;
  /** The caller's certificate in DER; undefined where it showed none. */
  readonly certificate: Uint8Array | undefined;
  readonly nowMs: number;
};

/** Nobody is behind a request. */
export const NO_USER: PassedUser = {
  kind: 'pass',
  claims: undefined,
  headers: undefined,
  rule: undefined,
};

/** The user's claims under `rules`: none once the issuer that they are of counts no more. */
export function claimsNow(
  user: PassedUser | undefined,
  rules: readonly TokenRule[],
): Claims | undefined {
  if (user?.rule === undefined) return undefined;
  const { issuer, policy } = user.rule;
  const isThere = rules.some((rule) => rule.issuer === issuer && rule.policy === policy);
  return isThere ? user.claims : undefined;
}

/**
 * The stage between authenticate and authorize, for workloads with a RequestAuthentication: every
 * token that a request carries has to be valid, whatever policy says; policy judges the claims.
 */
export class TokenStage {
  readonly #keys: TokenKeys;
  #rules: readonly TokenRule[] = [];
  #text = '[]';
  #places: readonly Place[] = [];
  #outputs: readonly string[] = [];
  readonly #proofs = new Map<string, number>();

  constructor(keys: TokenKeys) {
    this.#keys = keys;
  }

  /** Checks a request under `rules`, which are the snapshot's. */
  check(rules: readonly TokenRule[], request: TokenCheck): TokenOutcome {
    if (rules !== this.#rules) this.#prepare(rules);
    if (this.#places.length === 0) return NO_USER;
    let first: Verified | undefined;
    const spent: string[] = [];
    for (const place of this.#places) {
      const found = findToken(place.location, request.head);
      if (found.kind === 'none') continue;
      if (found.kind === 'several') return refused('repeated_token', undefined);
      const outcome = this.#verify(place, found.token, request);
      if (outcome.kind !== 'verified') return outcome.kind === 'wait' ? outcome : outcome.answer;
      first ??= outcome.verified;
      // SECURITY: of two users policy would judge one, and the application might believe the other.
      if (first.rule.issuer !== outcome.verified.rule.issuer) {
        return refused('repeated_token', undefined);
      }
      if (place.location.kind !== 'header' || outcome.verified.rule.forwardOriginalToken) continue;
      spent.push(place.location.name);
      if (outcome.verified.rule.dpop === 'require') spent.push('dpop');
    }
    if (first === undefined && this.#outputs.length === 0) return NO_USER;
    // SECURITY: what only a token may write is taken from every request, with a token or without.
    const remove = [...this.#outputs, ...spent];
    const headers = { remove, add: first?.headers ?? [] };
    return { kind: 'pass', claims: first?.claims, headers, rule: first?.rule };
  }

  #prepare(rules: readonly TokenRule[]): void {
    this.#rules = rules;
    const text = JSON.stringify(rules);
    // Most changes of policy leave the rules as they are, and with them what was verified.
    if (text === this.#text) return;
    this.#text = text;
    this.#places = placesOf(rules).map((place) => ({ ...place, cache: new Map() }));
    this.#outputs = outputHeaders(rules);
    this.#keys.retain(rules.map((rule) => rule.keys));
  }

  #verify(place: Place, token: string, request: TokenCheck): Step {
    const key = hash('sha256', token, 'base64');
    const known = place.cache.get(key);
    if (known !== undefined && this.#stillHolds(known, request.nowMs)) {
      return this.#bind(known, token, request);
    }
    const verified = this.#verifyAnew(place, token, request);
    if (verified.kind !== 'verified') return verified;
    if (place.cache.size >= MAX_CACHED) forgetOldest(place.cache);
    place.cache.set(key, verified.verified);
    return this.#bind(verified.verified, token, request);
  }

  // Keys that were taken back take along what they verified.
  #stillHolds({ rule, keys, validUntilMs }: Verified, nowMs: number): boolean {
    return nowMs < validUntilMs && this.#keys.of(rule.keys).keys === keys;
  }

  #verifyAnew({ rules }: TokenPlace, token: string, { nowMs }: TokenCheck): Step {
    const decoded = decodeToken(token);
    if (!decoded.ok) return refuse(decoded.error, rules[0]);
    const { iss } = decoded.value.payload;
    const rule = rules.find(({ issuer }) => issuer === iss);
    if (rule === undefined) return refuse('unknown_issuer', rules[0]);
    const { keys, busy } = this.#keys.of(rule.keys);
    if (keys === undefined) {
      if (busy !== undefined) return { kind: 'wait', ready: busy };
      // Nobody can tell whether it is valid: that is no reason to have a user sign in again.
      const failure: Failure = { kind: 'cannot_decide', detail: 'jwks_unavailable' };
      return { kind: 'refuse', answer: { kind: 'refuse', failure } };
    }
    const verified = verifyToken(decoded.value, rule, keys, nowMs);
    if (!verified.ok) {
      const fetching =
        verified.error === 'unknown_key' ? this.#keys.askAgain(rule.keys, nowMs) : undefined;
      return fetching === undefined
        ? refuse(verified.error, rule)
        : { kind: 'wait', ready: fetching };
    }
    const { claims, validUntilMs } = verified.value;
    const payload = token.slice(token.indexOf('.') + 1, token.lastIndexOf('.'));
    const headers = writtenHeaders(rule, claims, payload);
    return {
      kind: 'verified',
      verified: {
        rule,
        keys,
        validUntilMs,
        headers,
        claims: normalizeClaims(claims, rule.spaceDelimitedClaims),
      },
    };
  }

  /** What binds a token to its holder is checked with every request, not with the token. */
  #bind(verified: Verified, token: string, request: TokenCheck): Step {
    const { rule, claims } = verified;
    const cnf = claims['cnf'];
    const bound = typeof cnf === 'object' && cnf !== null ? (cnf as Record<string, unknown>) : {};
    if (rule.certificateBound && !isBoundTo(request.certificate, bound['x5t#S256'])) {
      return refuse('certificate_mismatch', rule);
    }
    if (rule.dpop === 'require') {
      const problem = this.#checkProof(rule, token, bound['jkt'], request);
      if (problem !== undefined) return refuse(problem, rule);
    }
    return { kind: 'verified', verified };
  }

  #checkProof(
    { clockSkewMs }: TokenRule,
    token: string,
    boundTo: unknown,
    { head, nowMs }: TokenCheck,
  ): TokenProblem | undefined {
    const [proof, ...more] = head.fields.values('dpop');
    // RFC 9449 section 4.3: exactly one.
    if (proof === undefined || more.length > 0) return 'dpop_missing';
    const { method, host, path } = head;
    const checked = verifyDpop(proof, { method, host, path, token, boundTo, nowMs, clockSkewMs });
    if (!checked.ok) return checked.error;
    const { id, forgetAtMs } = checked.value;
    if ((this.#proofs.get(id) ?? 0) > nowMs) return 'dpop_replayed';
    if (this.#proofs.size >= MAX_PROOFS) this.#forgetProofs(nowMs);
    // SECURITY: a full memory refuses new proofs instead of forgetting old ones, which could be replayed.
    if (this.#proofs.size >= MAX_PROOFS) return 'dpop_replayed';
    this.#proofs.set(id, forgetAtMs);
    return undefined;
  }

  #forgetProofs(nowMs: number): void {
    for (const [id, forgetAtMs] of this.#proofs) if (forgetAtMs <= nowMs) this.#proofs.delete(id);
  }
}

// With tokens of the largest size, 32 MiB; with usual ones, two.
const MAX_CACHED = 2_048;
const MAX_PROOFS = 100_000;

type Verified = {
  readonly rule: TokenRule;
  readonly keys: KeySet;
  readonly validUntilMs: number;
  readonly claims: Claims;
  readonly headers: HeaderChanges['add'];
};

type Place = TokenPlace & { readonly cache: Map<string, Verified> };

type Step =
  | { readonly kind: 'verified'; readonly verified: Verified }
  | { readonly kind: 'refuse'; readonly answer: TokenOutcome }
  | { readonly kind: 'wait'; readonly ready: Promise<void> };

function forgetOldest(cache: Map<string, Verified>): void {
  // A map keeps the order in which its keys came.
  for (const key of cache.keys()) {
    cache.delete(key);
    return;
  }
}

function refuse(problem: TokenProblem, rule: TokenRule | undefined): Step {
  return { kind: 'refuse', answer: refused(problem, rule) };
}

/** RFC 6750 section 3, RFC 9449 section 7.1. SECURITY: what exactly is wrong stays here. */
function refused(problem: TokenProblem, rule: TokenRule | undefined): TokenOutcome {
  const isProof = problem.startsWith('dpop_');
  const scheme = rule?.dpop === 'require' ? 'DPoP' : 'Bearer';
  const challenge = `${scheme} error="${isProof ? 'invalid_dpop_proof' : 'invalid_token'}"`;
  return {
    kind: 'refuse',
    failure: { kind: 'token_invalid', detail: `token_${problem}`, challenge },
  };
}

/** RFC 8705 section 3.1: the SHA-256 of the certificate, base64url. */
function isBoundTo(certificate: Uint8Array | undefined, thumbprint: unknown): boolean {
  return certificate !== undefined && hash('sha256', certificate, 'base64url') === thumbprint;
}
