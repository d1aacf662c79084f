import { randomBytes } from 'node:crypto';
import { fail, ok, type Result } from '#lib';
import type { Evidence } from './node-attestor.ts';

/** How much of a certificate chain a host may show. */
export const CHAIN_LIMITS = { maxItems: 6, maxBytes: 16 * 1024 } as const;
/** No signature is longer: RSA of 8,192 bits. */
export const MAX_SIGNATURE_BYTES = 1024;

const NONCE_BYTES = 32;

/** A fresh nonce. */
export function createNonce(): Buffer {
  return randomBytes(NONCE_BYTES);
}

/** The bytes of a base64 member of evidence; fails if it is missing, malformed or longer than `maxBytes`. */
export function bytesOf(
  evidence: Evidence,
  name: string,
  maxBytes: number,
): Result<Buffer, string> {
  const text = evidence[name];
  if (typeof text !== 'string' || text.length > maxBytes * 2) return fail(`\`${name}\` is missing`);
  const bytes = Buffer.from(text, 'base64');
  const isBase64 = bytes.toString('base64') === text && bytes.length > 0;
  return isBase64 && bytes.length <= maxBytes ? ok(bytes) : fail(`\`${name}\` is not base64`);
}

/** The same of a list. */
export function listOfBytes(
  evidence: Evidence,
  name: string,
  limits: { readonly maxItems: number; readonly maxBytes: number },
): Result<readonly Buffer[], string> {
  const list = evidence[name];
  if (!Array.isArray(list) || list.length === 0 || list.length > limits.maxItems) {
    return fail(`\`${name}\` is not a list of 1 to ${limits.maxItems}`);
  }
  const read = list.map((item: unknown) => bytesOf({ [name]: item }, name, limits.maxBytes));
  const bad = read.find((item) => !item.ok);
  return bad ?? ok(read.flatMap((item) => (item.ok ? [item.value] : [])));
}
