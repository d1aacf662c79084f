import { createPublicKey, hash, type JsonWebKey, type KeyObject } from 'node:crypto';
import { fail, ok, type Result } from '#lib';
import { algorithmsFor, verifySignature } from './algorithms.ts';
import { decodeToken } from './compact.ts';
import type { TokenProblem } from './problem.ts';

/** What a DPoP proof is held against (RFC 9449 section 4.3). */
export type DpopRequest = {
  readonly method: string;
  /** Authority as the caller wrote it, and the path without query. */
  readonly host: string;
  readonly path: string;
  /** The access token, and the thumbprint of the key that it is bound to (`cnf.jkt`). */
  readonly token: string;
  readonly boundTo: unknown;
  readonly nowMs: number;
  readonly clockSkewMs: number;
};

/** A proof that holds, once: `id` must not come again before `forgetAtMs`. */
export type DpopProof = { readonly id: string; readonly forgetAtMs: number };

// RFC 9449 section 11.1: a proof is good for a short time only.
const PROOF_LIFE_MS = 60_000;
const MAX_JTI = 256;

/** Checks a `DPoP` header field against the request; the caller remembers `id`, so that no proof serves twice. */
export function verifyDpop(proof: string, request: DpopRequest): Result<DpopProof, TokenProblem> {
  const decoded = decodeToken(proof);
  if (!decoded.ok) return fail('dpop_invalid');
  const { header, payload, algorithm, signed, signature } = decoded.value;
  if (header['typ'] !== 'dpop+jwt') return fail('dpop_invalid');
  const holder = readHolder(header['jwk']);
  if (holder === undefined || !algorithmsFor(holder.key).includes(algorithm)) {
    return fail('dpop_invalid');
  }
  // RFC 9449 section 6.1: the token names the key by which it may be used.
  if (typeof request.boundTo !== 'string' || holder.thumbprint !== request.boundTo) {
    return fail('dpop_invalid');
  }
  if (!isFor(payload, request)) return fail('dpop_invalid');
  const issuedAtMs = Number(payload['iat']) * 1000;
  const { nowMs, clockSkewMs } = request;
  if (!(Math.abs(nowMs - issuedAtMs) <= PROOF_LIFE_MS + clockSkewMs)) return fail('dpop_invalid');
  if (!verifySignature(algorithm, holder.key, signed, signature)) return fail('dpop_invalid');
  const id = hash('sha256', `${holder.thumbprint} ${String(payload['jti'])}`, 'base64url');
  return ok({ id, forgetAtMs: issuedAtMs + PROOF_LIFE_MS + clockSkewMs });
}

function isFor(payload: Readonly<Record<string, unknown>>, request: DpopRequest): boolean {
  const { htm, htu, iat, jti, ath } = payload;
  if (typeof iat !== 'number' || typeof jti !== 'string' || typeof htu !== 'string') return false;
  if (jti === '' || jti.length > MAX_JTI || htm !== request.method) return false;
  if (ath !== hash('sha256', request.token, 'base64url')) return false;
  return isSameTarget(htu, request);
}

/** RFC 9449 section 4.3: without query and fragment. A sidecar cannot tell which scheme its caller wrote. */
function isSameTarget(htu: string, { host, path }: DpopRequest): boolean {
  const [, authority = '', target = ''] = /^https?:\/\/([^/?#]+)([^?#]*)/i.exec(htu) ?? [];
  return authority.toLowerCase() === host.toLowerCase() && (target === '' ? '/' : target) === path;
}

type Holder = { readonly key: KeyObject; readonly thumbprint: string };

/** The members that make a key's thumbprint, in their order (RFC 7638 section 3.2, RFC 8037 section 2). */
const MEMBERS: Readonly<Record<string, readonly string[]>> = {
  EC: ['crv', 'kty', 'x', 'y'],
  OKP: ['crv', 'kty', 'x'],
  RSA: ['e', 'kty', 'n'],
};

function readHolder(value: unknown): Holder | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const jwk = value as Record<string, unknown>;
  const members = MEMBERS[String(jwk['kty'])];
  // SECURITY: a private key in a proof is one that everybody has read on the way.
  if (members === undefined || 'd' in jwk || 'k' in jwk) return undefined;
  const kept = Object.fromEntries(members.map((name) => [name, jwk[name]]));
  if (Object.values(kept).some((member) => typeof member !== 'string')) return undefined;
  try {
    const key = createPublicKey({ key: kept as JsonWebKey, format: 'jwk' });
    return { key, thumbprint: hash('sha256', JSON.stringify(kept), 'base64url') };
  } catch {
    // Not a key.
    return undefined;
  }
}
