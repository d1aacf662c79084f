import { KeyObject } from 'node:crypto';
import type { JWK } from 'jose';
import { fail, ok, type Result } from '#lib';
import { algorithmsFor, isTokenAlgorithm, type TokenAlgorithm } from './algorithms.ts';

/** A public key of an issuer. */
export type TokenKey = {
  readonly kid: string | undefined;
  readonly key: KeyObject;
  readonly algorithms: readonly TokenAlgorithm[];
};

/** An issuer's keys as its JWKS names them; what could not be read is counted in `unusable`. */
export type KeySet = { readonly keys: readonly TokenKey[]; readonly unusable: number };

/** Bounds of a JWKS: half a mebibyte of text, 256 keys. */
export const MAX_JWKS_BYTES = 512 * 1024;
const MAX_KEYS = 256;
const MAX_KID = 512;

/**
 * Reads a JWKS (RFC 7517 section 5). Keys of other kinds and uses are left aside, as section 5 asks;
 * a set without any that verifies tokens is an error, so that it never replaces a good one.
 */
export async function parseJwks(text: string): Promise<Result<KeySet, string>> {
  if (text.length > MAX_JWKS_BYTES) return fail(`the JWKS is larger than ${MAX_JWKS_BYTES} bytes`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return fail('the JWKS is not JSON');
  }
  const members = isRecord(value) ? value['keys'] : undefined;
  if (!Array.isArray(members)) return fail('the JWKS has no list `keys`');
  if (members.length > MAX_KEYS) return fail(`the JWKS has more than ${MAX_KEYS} keys`);
  const keys: TokenKey[] = [];
  for (const member of members) {
    const key = isRecord(member) ? await parseKey(member) : undefined;
    if (key !== undefined) keys.push(key);
  }
  if (keys.length === 0) return fail('the JWKS has no key that verifies tokens');
  return ok({ keys, unusable: members.length - keys.length });
}

/** The public key of a JWK; undefined where it is symmetric, private, or for something else than signatures. */
export async function parseKey(
  jwk: Readonly<Record<string, unknown>>,
): Promise<TokenKey | undefined> {
  const { kid, alg, use, key_ops: operations } = jwk;
  // SECURITY: a symmetric key verifies what anybody signs who reads the set; a private part is nobody's to publish.
  if (!KEY_TYPES.has(String(jwk['kty'])) || 'k' in jwk || 'd' in jwk) return undefined;
  if (use !== undefined && use !== 'sig') return undefined;
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) {
    return undefined;
  }
  if (kid !== undefined && (typeof kid !== 'string' || kid.length > MAX_KID)) return undefined;
  if (alg !== undefined && !isTokenAlgorithm(alg)) return undefined;
  const key = await importKey(jwk);
  if (key === undefined) return undefined;
  const able = algorithmsFor(key);
  const algorithms = alg === undefined ? able : able.filter((name) => name === alg);
  return algorithms.length === 0 ? undefined : { kid, key, algorithms };
}

const KEY_TYPES: ReadonlySet<string> = new Set(['RSA', 'EC', 'OKP']);
const ALG_BY_CURVE: Readonly<Record<string, string>> = {
  'P-256': 'ES256',
  'P-384': 'ES384',
  'P-521': 'ES512',
  Ed25519: 'Ed25519',
};

async function importKey(jwk: Readonly<Record<string, unknown>>): Promise<KeyObject | undefined> {
  const alg = jwk['kty'] === 'RSA' ? 'RS256' : ALG_BY_CURVE[String(jwk['crv'])];
  if (alg === undefined) return undefined;
  // Loaded where tokens are used only: it costs a sidecar several megabytes.
  const { importJWK } = await import('jose/key/import');
  try {
    const { kty, n, e, crv, x, y } = jwk;
    const members = { kty, n, e, crv, x, y } as JWK;
    const imported = await importJWK(members, alg, { extractable: true });
    return imported instanceof Uint8Array ? undefined : KeyObject.from(imported);
  } catch {
    // Not a point of its curve, a modulus that is none: counted as unusable.
    return undefined;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
