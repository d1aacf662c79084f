import { constants, type KeyObject, verify } from 'node:crypto';

type Algorithm = {
  /** Undefined for EdDSA, which hashes by itself. */
  readonly digest: string | undefined;
  readonly keyType: 'ec' | 'rsa' | 'ed25519';
  readonly curve?: string;
  /** ECDSA: r and s, each as long as the curve's order (RFC 7518 section 3.4). */
  readonly signatureBytes?: number;
  readonly padding?: 'pss';
};

// SECURITY: neither `none` nor any HMAC stands here, so no public key can be taken for a secret.
const ALGORITHMS = {
  ES256: { digest: 'sha256', keyType: 'ec', curve: 'prime256v1', signatureBytes: 64 },
  ES384: { digest: 'sha384', keyType: 'ec', curve: 'secp384r1', signatureBytes: 96 },
  ES512: { digest: 'sha512', keyType: 'ec', curve: 'secp521r1', signatureBytes: 132 },
  RS256: { digest: 'sha256', keyType: 'rsa' },
  RS384: { digest: 'sha384', keyType: 'rsa' },
  RS512: { digest: 'sha512', keyType: 'rsa' },
  PS256: { digest: 'sha256', keyType: 'rsa', padding: 'pss' },
  PS384: { digest: 'sha384', keyType: 'rsa', padding: 'pss' },
  PS512: { digest: 'sha512', keyType: 'rsa', padding: 'pss' },
  EdDSA: { digest: undefined, keyType: 'ed25519', signatureBytes: 64 },
  // RFC 9864: the name that says the curve.
  Ed25519: { digest: undefined, keyType: 'ed25519', signatureBytes: 64 },
} as const satisfies Record<string, Algorithm>;

/** A signature algorithm that tokens may be signed with. */
export type TokenAlgorithm = keyof typeof ALGORITHMS;

/** Every accepted algorithm. */
export const TOKEN_ALGORITHMS: readonly TokenAlgorithm[] = Object.keys(
  ALGORITHMS,
) as TokenAlgorithm[];

/** Whether `name` is an accepted algorithm. */
export function isTokenAlgorithm(name: unknown): name is TokenAlgorithm {
  return typeof name === 'string' && Object.hasOwn(ALGORITHMS, name);
}

/** The algorithms that a public key can verify: its type and curve decide, never the token. */
export function algorithmsFor(key: KeyObject): readonly TokenAlgorithm[] {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  // SECURITY: 2048 bits at least (RFC 7518 section 3.3); a giant modulus would sell our CPU by the token.
  const bits = details?.modulusLength ?? 0;
  if (type === 'rsa' && (bits < 2048 || bits > 8192)) return [];
  return TOKEN_ALGORITHMS.filter((name) => {
    const algorithm: Algorithm = ALGORITHMS[name];
    return algorithm.keyType === type && (type !== 'ec' || algorithm.curve === details?.namedCurve);
  });
}

/** Whether `signature` over `signed` is the key's; never throws. */
export function verifySignature(
  algorithm: TokenAlgorithm,
  key: KeyObject,
  signed: Uint8Array,
  signature: Uint8Array,
): boolean {
  const { digest, signatureBytes, padding }: Algorithm = ALGORITHMS[algorithm];
  if (signatureBytes !== undefined && signature.length !== signatureBytes) return false;
  try {
    return verify(
      digest,
      signed,
      padding === 'pss'
        ? {
            key,
            padding: constants.RSA_PKCS1_PSS_PADDING,
            // RFC 7518 section 3.5: the salt is as long as the digest.
            saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
          }
        : { key, dsaEncoding: 'ieee-p1363' },
      signature,
    );
  } catch {
    // A signature that OpenSSL cannot even read is none.
    return false;
  }
}
