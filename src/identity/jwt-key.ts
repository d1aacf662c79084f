import type { JsonWebKey } from 'node:crypto';
import { createPublicKey, hash, type KeyObject, sign, verify } from 'node:crypto';

/** The signature algorithms of JWT-SVIDs (JWT-SVID section 2.1); no other is ever accepted. */
export type JwtAlgorithm = keyof typeof ALGORITHMS;

/** A public key that JWT-SVIDs are verified with. */
export type JwtKey = {
  /** Names the key within its bundle (JWT-SVID section 6.1). */
  readonly kid: string;
  readonly publicKey: KeyObject;
  /** Those a key of this type can make; the one its JWK names, where it names one. */
  readonly algorithms: readonly JwtAlgorithm[];
};

/** A key that signs JWT-SVIDs: always ES256. */
export type JwtSigningKey = { readonly kid: string; readonly privateKey: KeyObject };

type Algorithm = {
  readonly digest: string;
  readonly padding?: 'pkcs1' | 'pss';
  /** For ECDSA: the curve, and the bytes of r and s together (RFC 7518 section 3.4). */
  readonly curve?: string;
  readonly signatureBytes?: number;
};

const ALGORITHMS = {
  ES256: { digest: 'sha256', curve: 'prime256v1', signatureBytes: 64 },
  ES384: { digest: 'sha384', curve: 'secp384r1', signatureBytes: 96 },
  ES512: { digest: 'sha512', curve: 'secp521r1', signatureBytes: 132 },
  RS256: { digest: 'sha256', padding: 'pkcs1' },
  RS384: { digest: 'sha384', padding: 'pkcs1' },
  RS512: { digest: 'sha512', padding: 'pkcs1' },
  PS256: { digest: 'sha256', padding: 'pss' },
  PS384: { digest: 'sha384', padding: 'pss' },
  PS512: { digest: 'sha512', padding: 'pss' },
} as const satisfies Record<string, Algorithm>;

const PSS_PADDING = 6;
// RFC 7518 section 3.5: the salt is as long as the digest.
const SALT_IS_DIGEST = -1;
const MAX_KID = 256;
// SECURITY: a longer modulus would let a foreign bundle buy seconds of our CPU with each token.
const RSA_BITS = { least: 2048, most: 8192 };

/** Whether `name` is one of the accepted algorithms; neither `none` nor any HMAC is. */
export function isJwtAlgorithm(name: unknown): name is JwtAlgorithm {
  return typeof name === 'string' && Object.hasOwn(ALGORITHMS, name);
}

/**
 * The public key of a JWK (RFC 7517) of a SPIFFE bundle; undefined where it has no `kid`, is private or of a kind that
 * signs no JWT-SVIDs. What its `use` has to be is the caller's to say.
 */
export function parseJwk(jwk: Readonly<Record<string, unknown>>): JwtKey | undefined {
  const { kid, alg, key_ops: operations } = jwk;
  if (typeof kid !== 'string' || kid === '' || kid.length > MAX_KID) return undefined;
  // SECURITY: a symmetric key would be everybody's who reads the bundle; private parts are nobody's to publish.
  if ((jwk['kty'] !== 'EC' && jwk['kty'] !== 'RSA') || 'd' in jwk || 'k' in jwk) return undefined;
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) {
    return undefined;
  }
  const publicKey = importJwk(jwk);
  if (publicKey === undefined) return undefined;
  const able = algorithmsOf(publicKey);
  const algorithms = alg === undefined ? able : able.filter((name) => name === alg);
  return algorithms.length === 0 ? undefined : { kid, publicKey, algorithms };
}

/** A P-256 public key as a bundle names it: its `kid` is its thumbprint (RFC 7638). */
export function jwtKeyOf(publicKey: KeyObject): JwtKey {
  const { kty, crv, x, y } = publicKey.export({ format: 'jwk' });
  const kid = hash('sha256', JSON.stringify({ crv, kty, x, y }), 'base64url');
  return { kid, publicKey, algorithms: ['ES256'] };
}

/** A key as a JWK, with the given `use`; for OpenID Connect also with its algorithm, which some clouds ask for. */
export function jwkOf(key: JwtKey, use: 'jwt-svid' | 'sig'): Record<string, unknown> {
  const [alg, ...others] = key.algorithms;
  const named = use === 'sig' && others.length === 0 ? { alg } : {};
  return { ...key.publicKey.export({ format: 'jwk' }), kid: key.kid, use, ...named };
}

/** Signs with ES256: r and s behind one another (RFC 7518 section 3.4). */
export function signEs256(bytes: Uint8Array, { privateKey }: JwtSigningKey): Buffer {
  // Asked for r and s as they are, Node.js takes twice as long as for the SEQUENCE of the two that OpenSSL makes.
  const der = sign('sha256', bytes, privateKey);
  const signature = Buffer.alloc(64);
  // SEQUENCE { INTEGER r, INTEGER s }: no length of them is above 127 on P-256.
  const end = copyInteger(der, 2, signature.subarray(0, 32));
  copyInteger(der, end, signature.subarray(32));
  return signature;
}

/** Copies the DER INTEGER at `at` as a number of 32 bytes, and answers where the next one begins. */
function copyInteger(der: Buffer, at: number, into: Buffer): number {
  const end = at + 2 + (der[at + 1] ?? 0);
  // A zero in front keeps a number positive; a small number has fewer bytes than its place.
  const start = Math.max(at + 2, end - into.length);
  into.set(der.subarray(start, end), into.length - (end - start));
  return end;
}

/** Whether `signature` over `bytes` was made by `key` with `name`; never throws. */
export function verifyJwtSignature(
  name: JwtAlgorithm,
  bytes: Uint8Array,
  signature: Uint8Array,
  key: JwtKey,
): boolean {
  // SECURITY: the key decides which algorithms it is for, never the token: RFC 8725 section 3.1.
  if (!key.algorithms.includes(name)) return false;
  const { digest, padding, signatureBytes }: Algorithm = ALGORITHMS[name];
  if (signatureBytes !== undefined && signature.length !== signatureBytes) return false;
  try {
    return verify(digest, bytes, { key: key.publicKey, ...parametersOf(padding) }, signature);
  } catch {
    // A signature that OpenSSL cannot read is a bad one.
    return false;
  }
}

function parametersOf(padding: Algorithm['padding']): object {
  if (padding === undefined) return { dsaEncoding: 'ieee-p1363' };
  return padding === 'pss' ? { padding: PSS_PADDING, saltLength: SALT_IS_DIGEST } : {};
}

function importJwk(jwk: Readonly<Record<string, unknown>>): KeyObject | undefined {
  try {
    return createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' });
  } catch {
    // Not a key: a point off its curve, a missing member, a value of another type.
    return undefined;
  }
}

function algorithmsOf(key: KeyObject): JwtAlgorithm[] {
  const names = Object.keys(ALGORITHMS) as JwtAlgorithm[];
  const { namedCurve, modulusLength = 0 } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType === 'ec') {
    return names.filter((name) => (ALGORITHMS[name] as Algorithm).curve === namedCurve);
  }
  if (modulusLength < RSA_BITS.least || modulusLength > RSA_BITS.most) return [];
  return names.filter((name) => (ALGORITHMS[name] as Algorithm).padding !== undefined);
}
