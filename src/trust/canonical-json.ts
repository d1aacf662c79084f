import { fail, ok, type Result } from '#lib';
import { TrustPromiseError } from './errors.ts';

// Deeper than any resource; shallow enough that neither a hostile document nor a cycle exhausts the stack.
const MAX_DEPTH = 64;

/**
 * The canonical JSON text of `value` (RFC 8785): one text for one value, so that it can be hashed and signed.
 * Throws `TrustPromiseError` for what JSON cannot say; use `encodeCanonicalJson` for values from elsewhere.
 */
export function canonicalJson(value: unknown): string {
  const encoded = encodeCanonicalJson(value);
  if (!encoded.ok) throw new TrustPromiseError('malformed', encoded.error);
  return encoded.value;
}

/** As `canonicalJson`, with the reason as a value where there is no such text. */
export function encodeCanonicalJson(value: unknown): Result<string, string> {
  try {
    return ok(encode(value, 0));
  } catch (error) {
    if (error instanceof NotJson) return fail(error.message);
    throw error;
  }
}

/** Reads bytes that must be the canonical JSON of what they say: no duplicate key, no other spelling. */
export function decodeCanonicalJson(bytes: Uint8Array): Result<unknown, string> {
  const parsed = decodeJson(bytes);
  if (!parsed.ok) return parsed;
  const again = encodeCanonicalJson(parsed.value.value);
  if (!again.ok) return again;
  // SECURITY: two readers of a duplicate key, an odd number or another spelling could see different values
  // under one signature; the canonical text has exactly one reading.
  if (again.value !== parsed.value.text) return fail('not in canonical form (RFC 8785)');
  return ok(parsed.value.value);
}

/** Reads JSON of any spelling, for envelopes, whose own bytes nobody signs. */
export function decodeJson(bytes: Uint8Array): Result<{ text: string; value: unknown }, string> {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    return ok({ text, value: JSON.parse(text) });
  } catch {
    // Whatever is wrong with the bytes, it is not JSON in UTF-8, and their sender needs no more.
    return fail('not JSON in UTF-8');
  }
}

class NotJson extends Error {}

function encode(value: unknown, depth: number): string {
  if (depth > MAX_DEPTH) throw new NotJson(`nested deeper than ${MAX_DEPTH} levels`);
  if (value === null || typeof value === 'boolean') return String(value);
  if (typeof value === 'number') return encodeNumber(value);
  if (typeof value === 'string') return encodeString(value);
  if (Array.isArray(value)) {
    return `[${Array.from(value, (item) => encode(item, depth + 1)).join(',')}]`;
  }
  if (isPlainObject(value)) return encodeObject(value, depth);
  throw new NotJson(`JSON has no ${typeof value}`);
}

// RFC 8785 section 3.2.2.3: numbers as ECMAScript writes them; -0 is 0.
function encodeNumber(value: number): string {
  if (!Number.isFinite(value)) throw new NotJson('JSON has no number that is not finite');
  return JSON.stringify(value);
}

// RFC 8785 section 3.2.2.2: JSON.stringify escapes exactly what it asks for; lone surrogates are errors.
function encodeString(value: string): string {
  if (!value.isWellFormed()) throw new NotJson('a string holds a lone surrogate');
  return JSON.stringify(value);
}

// RFC 8785 section 3.2.3: sorted by UTF-16 code units, which is what `sort` without a function does.
function encodeObject(value: Readonly<Record<string, unknown>>, depth: number): string {
  const members = Object.keys(value)
    .sort()
    .map((key) => `${encodeString(key)}:${encode(value[key], depth + 1)}`);
  return `{${members.join(',')}}`;
}

function isPlainObject(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
