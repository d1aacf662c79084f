import { fail, ok, type Result } from '#lib';
import { isTokenAlgorithm, type TokenAlgorithm } from './algorithms.ts';
import type { TokenProblem } from './problem.ts';

/** A JWS in compact serialization (RFC 7515 section 7.1), read but not verified. */
export type DecodedJws = {
  readonly algorithm: TokenAlgorithm;
  readonly kid: string | undefined;
  readonly header: Readonly<Record<string, unknown>>;
  readonly payload: Buffer;
  /** What the signature is over. */
  readonly signed: Buffer;
  readonly signature: Buffer;
};

/** The same with claims as its payload (RFC 7519). */
export type DecodedToken = Omit<DecodedJws, 'payload'> & {
  readonly payload: Readonly<Record<string, unknown>>;
};

// SECURITY: a token is read before anybody is known; real ones take up to a few kilobytes.
const MAX_TOKEN = 16 * 1024;
const MAX_PARTS = 3;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Reads a token; never throws. */
export function decodeToken(token: string): Result<DecodedToken, TokenProblem> {
  const jws = decodeJws(token);
  if (!jws.ok) return jws;
  const payload = parseObject(jws.value.payload);
  return payload === undefined ? fail('malformed') : ok({ ...jws.value, payload });
}

/** Reads a JWS, whatever its payload; never throws. */
export function decodeJws(token: string): Result<DecodedJws, TokenProblem> {
  if (token.length > MAX_TOKEN) return fail('token_too_large');
  const parts = token.split('.', MAX_PARTS + 1);
  const [head = '', body = '', last = ''] = parts;
  if (parts.length !== MAX_PARTS) return fail('malformed');
  const [headBytes, payload, signature] = [head, body, last].map(decodeBase64url);
  const header = headBytes === undefined ? undefined : parseObject(headBytes);
  if (header === undefined || payload === undefined || signature === undefined) {
    return fail('malformed');
  }
  const { alg, kid, crit, b64 } = header;
  if (!isTokenAlgorithm(alg)) return fail('unsupported_algorithm');
  // RFC 7515 section 4.1.11: what `crit` names must be understood; none of it is here. RFC 7797 counts among it.
  if (crit !== undefined || b64 !== undefined) return fail('unsupported_header');
  if (kid !== undefined && typeof kid !== 'string') return fail('malformed');
  const signed = Buffer.from(token.slice(0, head.length + 1 + body.length), 'latin1');
  return ok({ algorithm: alg, kid, header, payload, signed, signature });
}

function parseObject(bytes: Buffer): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(utf8.decode(bytes));
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    return value as Record<string, unknown>;
  } catch {
    // Neither UTF-8 nor JSON: which, concerns nobody.
    return undefined;
  }
}

/** RFC 7515 section 2: base64url without padding; and in one spelling, so that a token has no twins. */
function decodeBase64url(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url');
  return bytes.toString('base64url') === text ? bytes : undefined;
}
