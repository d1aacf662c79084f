// An issuer of users' tokens for tests and benchmarks.
import {
  createHash,
  generateKeyPairSync,
  type KeyObject,
  sign,
  X509Certificate,
} from 'node:crypto';
import type { TokenRule } from '#token';

/** One issuer with one P-256 key. */
export type FakeIssuer = {
  readonly issuer: string;
  readonly jwks: string;
  readonly token: (claims?: object, header?: object) => string;
  /** A proof that whoever sends `token` holds this issuer's key, as if it were the client's. */
  readonly proof: (claims: object) => string;
  readonly thumbprint: string;
};

/** Creates an issuer; `kid` names its key. */
export function createFakeIssuer(issuer = 'https://id.example.com', kid = 'k1'): FakeIssuer {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { kty, crv, x, y } = publicKey.export({ format: 'jwk' });
  const jwk = { kty, crv, x, y };
  const thumbprint = createHash('sha256')
    .update(JSON.stringify({ crv, kty, x, y }))
    .digest('base64url');
  return {
    issuer,
    jwks: JSON.stringify({ keys: [{ ...jwk, kid, use: 'sig' }] }),
    thumbprint,
    token(claims = {}, header = {}) {
      const payload = {
        iss: issuer,
        sub: 'ada',
        exp: Math.floor(Date.now() / 1000) + 3600,
        ...claims,
      };
      return signJws({ alg: 'ES256', kid, ...header }, payload, privateKey);
    },
    proof: (claims) => signJws({ alg: 'ES256', typ: 'dpop+jwt', jwk }, claims, privateKey),
  };
}

/** A rule for an issuer with its keys inline; `more` is what differs from the defaults. */
export function fakeTokenRule(from: FakeIssuer, more: Partial<TokenRule> = {}): TokenRule {
  return {
    policy: 'default/users',
    issuer: from.issuer,
    audiences: [],
    keys: { kind: 'inline', jwks: from.jwks },
    locations: [
      { kind: 'header', name: 'authorization', prefix: 'Bearer ' },
      { kind: 'param', name: 'access_token' },
    ],
    forwardOriginalToken: false,
    payloadHeader: undefined,
    claimHeaders: [],
    spaceDelimitedClaims: [],
    clockSkewMs: 60_000,
    dpop: 'off',
    certificateBound: false,
    ...more,
  };
}

/** `x5t#S256` of a certificate in DER (RFC 8705 section 3.1). */
export function certificateThumbprint(der: Uint8Array): string {
  return Buffer.from(new X509Certificate(der).fingerprint256.replaceAll(':', ''), 'hex').toString(
    'base64url',
  );
}

function signJws(header: object, payload: object, key: KeyObject): string {
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${encode(header)}.${encode(payload)}`;
  const signature = sign('sha256', Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' });
  return `${signed}.${signature.toString('base64url')}`;
}
