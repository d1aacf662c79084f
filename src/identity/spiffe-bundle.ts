import { X509Certificate } from 'node:crypto';
import { fail, ok, type Result } from '#lib';
import { type Bundle, parseBundle } from './bundle.ts';
import { parseJsonObject } from './jwt-compact.ts';
import { type JwtKey, jwkOf, parseJwk } from './jwt-key.ts';
import type { JwtBundle } from './jwt-svid.ts';
import { derToPem } from './pem.ts';
import type { TrustDomain } from './trust-domain.ts';

/**
 * A trust domain's bundle document (SPIFFE_Trust_Domain_and_Bundle section 4). INVARIANT: it speaks for `trustDomain`
 * alone, which the document itself does not name.
 */
export type SpiffeBundle = {
  readonly trustDomain: TrustDomain;
  /** Undefined where the document says none. */
  readonly sequence: number | undefined;
  readonly refreshHintMs: number | undefined;
  /** Undefined where it has no X.509 root. */
  readonly x509: Bundle | undefined;
  readonly jwt: JwtBundle;
};

// SECURITY: a foreign operator's document; real ones have a handful of keys.
const MAX_BYTES = 1024 * 1024;
const MAX_KEYS = 256;

/** Parses a bundle document; elements of unknown use or type are ignored (4.1.3), one without any key is refused. */
export function parseSpiffeBundle(
  trustDomain: TrustDomain,
  document: Uint8Array,
): Result<SpiffeBundle, string> {
  if (document.length > MAX_BYTES) return fail(`the bundle has more than ${MAX_BYTES} bytes`);
  const json = parseJsonObject(document);
  if (json === undefined) return fail('the bundle is not a JSON object');
  const { keys, spiffe_sequence: sequence, spiffe_refresh_hint: hint } = json;
  if (!Array.isArray(keys) || keys.length > MAX_KEYS) {
    return fail(`the bundle's \`keys\` are not a list of at most ${MAX_KEYS}`);
  }
  // Some count nanoseconds, which JSON's numbers hold to within a few hundred: enough to tell later from earlier.
  if (sequence !== undefined && !isCount(sequence)) {
    return fail('`spiffe_sequence` is not a whole number');
  }
  if (hint !== undefined && !isCount(hint)) {
    return fail('`spiffe_refresh_hint` is not a whole number');
  }
  const jwks = keys.filter((key) => typeof key === 'object' && key !== null);
  const x509 = readRoots(trustDomain, jwks);
  if (!x509.ok) return x509;
  const jwt = { trustDomain, keys: readJwtKeys(jwks) };
  if (x509.value === undefined && jwt.keys.size === 0) return fail('the bundle holds no key');
  const refreshHintMs = hint === undefined ? undefined : hint * 1000;
  return ok({ trustDomain, sequence, refreshHintMs, x509: x509.value, jwt });
}

/** A bundle document of X.509 roots (DER) and JWT keys. */
export function encodeSpiffeBundle(options: {
  readonly x509Roots: readonly Uint8Array[];
  readonly jwtKeys: readonly JwtKey[];
  readonly sequence: number;
  readonly refreshHintSeconds: number;
}): string {
  return JSON.stringify({
    keys: [
      ...options.x509Roots.map(rootJwk),
      ...options.jwtKeys.map((key) => jwkOf(key, 'jwt-svid')),
    ],
    spiffe_sequence: options.sequence,
    spiffe_refresh_hint: options.refreshHintSeconds,
  });
}

/** JWT keys as the Workload API hands them out, or, with `sig`, as OpenID Connect does. */
export function encodeJwks(keys: readonly JwtKey[], use: 'jwt-svid' | 'sig' = 'jwt-svid'): string {
  return JSON.stringify({ keys: keys.map((key) => jwkOf(key, use)) });
}

function readRoots(
  trustDomain: TrustDomain,
  jwks: readonly Readonly<Record<string, unknown>>[],
): Result<Bundle | undefined, string> {
  const x509Roots: X509Certificate[] = [];
  for (const { use, kty, x5c } of jwks) {
    if (use !== 'x509-svid' || (kty !== 'EC' && kty !== 'RSA' && kty !== 'OKP')) continue;
    // X509-SVID 6.1: exactly one certificate, the root itself.
    const [root, ...more] = Array.isArray(x5c) ? x5c : [];
    if (typeof root !== 'string' || more.length > 0) {
      return fail(`an X.509 key of \`${trustDomain}\` has not exactly one certificate in \`x5c\``);
    }
    // Keys of a kind that we verify nothing with are no roots of ours; the others still are.
    const parsed = parseBundle(trustDomain, derToPem(Buffer.from(root, 'base64')));
    if (parsed.ok) x509Roots.push(...parsed.value.x509Roots);
  }
  return ok(x509Roots.length === 0 ? undefined : { trustDomain, x509Roots });
}

/** JWT-SVID 6.2: an element without `kid` is ignored, as is one of a type that signs none. */
function readJwtKeys(
  jwks: readonly Readonly<Record<string, unknown>>[],
): ReadonlyMap<string, JwtKey> {
  const keys = new Map<string, JwtKey>();
  for (const jwk of jwks) {
    const key = jwk['use'] === 'jwt-svid' ? parseJwk(jwk) : undefined;
    if (key !== undefined) keys.set(key.kid, key);
  }
  return keys;
}

function rootJwk(der: Uint8Array): Record<string, unknown> {
  const jwk = new X509Certificate(der).publicKey.export({ format: 'jwk' });
  return { ...jwk, use: 'x509-svid', x5c: [Buffer.from(der).toString('base64')] };
}

function isCount(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0;
}
