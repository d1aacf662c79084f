import { fail, ok, parseIp, type Result } from '#lib';
import { CLASS, HOST_NAME, hexValue, PLAIN_PATH, UNRESERVED } from './characters.ts';
import type { Http1Error } from './messages.ts';

/** An authority in lower case, without trailing dot; `port` where one was given. */
export type Authority = { readonly name: string; readonly port: number | undefined };

/**
 * The one form of a path that policy judges and applications get, or why it has none.
 * Escapes of unreserved characters are decoded, characters that a URI must not hold literally are
 * escaped (RFC 3986 section 6.2.2); other escapes stay as they are, as in Istio.
 * SECURITY: whatever servers read in several ways is refused, not repaired: dot segments, `//`,
 * `\`, escaped slashes, backslashes and NUL, and escapes that are not UTF-8.
 */
export function canonicalPath(path: string): Result<string, Http1Error> {
  if (!path.startsWith('/')) return fail('bad_target');
  let canonical = '';
  for (let at = 0; at < path.length; at++) {
    const code = path.charCodeAt(at);
    if (code === 0x25) {
      const escape = decodeEscape(path, at);
      if (!escape.ok) return escape;
      canonical += escape.value;
      // INVARIANT: an escape run is a whole UTF-8 character; its text is three characters a byte.
      at += escapeLength(path, at) - 1;
    } else if (code === 0x5c) return fail('bad_path');
    else if (code > 0x20 && code < 0x7f && code !== 0x23 && code !== 0x3f) {
      canonical += isPlain(code) ? path[at] : `%${code.toString(16).toUpperCase()}`;
    } else return fail('bad_target');
  }
  return /\/\/|\/\.\.?(?:[/;]|%3B|$)/i.test(canonical) ? fail('bad_path') : ok(canonical);
}

/** Whether `canonicalPath` would return these bytes unchanged; a fast and cautious test. */
export function isPlainPath(bytes: Buffer, start: number, end: number): boolean {
  let previous = 0;
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number;
    if (byte === 0x2f ? previous === 0x2f : byte === 0x2e ? previous === 0x2f : !isPlain(byte)) {
      return false;
    }
    previous = byte;
  }
  return bytes[start] === 0x2f;
}

/**
 * Parses `name`, `name:port`, `1.2.3.4`, `[::1]:80` (RFC 9110 section 7.2, without userinfo and
 * escapes). Stricter than the grammar: an empty name or port is refused.
 */
export function parseAuthority(text: string): Result<Authority, Http1Error> {
  const match = /^(\[[0-9a-fA-F:.]{2,45}\]|[^:[\]]{1,255})(?::(\d{1,5}))?$/.exec(text);
  if (match === null) return fail('bad_host');
  const [, host = '', digits] = match;
  const port = digits === undefined ? undefined : Number(digits);
  if (port !== undefined && (port === 0 || port > 65_535)) return fail('bad_host');
  const name = host.toLowerCase();
  if (name.startsWith('[')) {
    const address = name.slice(1, -1);
    const isIpv6 = address.includes(':') && parseIp(address) !== undefined;
    return isIpv6 ? ok({ name, port }) : fail('bad_host');
  }
  for (let at = 0; at < name.length; at++) {
    if (((CLASS[name.charCodeAt(at)] ?? 0) & HOST_NAME) === 0 || name.charCodeAt(at) > 0x7f) {
      return fail('bad_host');
    }
  }
  if (name.startsWith('.') || name.includes('..')) return fail('bad_host');
  return ok({ name: name.endsWith('.') ? name.slice(0, -1) : name, port });
}

/** `name` or `name:port`. */
export function formatAuthority(authority: Authority): string {
  return authority.port === undefined ? authority.name : `${authority.name}:${authority.port}`;
}

function isPlain(byte: number): boolean {
  return ((CLASS[byte] as number) & PLAIN_PATH) !== 0 || byte === 0x2e || byte === 0x2f;
}

function escapedByte(text: string, at: number): number {
  if (text.charCodeAt(at) !== 0x25) return -1;
  const high = hexValue(text.charCodeAt(at + 1));
  const low = hexValue(text.charCodeAt(at + 2));
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

function escapeLength(text: string, at: number): number {
  return 3 * utf8Length(escapedByte(text, at));
}

function utf8Length(first: number): number {
  if (first < 0x80) return 1;
  if (first < 0xc2) return 0;
  if (first < 0xe0) return 2;
  if (first < 0xf0) return 3;
  return first < 0xf5 ? 4 : 0;
}

function decodeEscape(text: string, at: number): Result<string, Http1Error> {
  const first = escapedByte(text, at);
  if (first < 0) return fail('bad_percent_encoding');
  if (first === 0x2f || first === 0x5c || first < 0x20 || first === 0x7f) return fail('bad_path');
  if (first < 0x80) {
    const unreserved = ((CLASS[first] as number) & UNRESERVED) !== 0;
    return ok(unreserved ? String.fromCharCode(first) : text.slice(at, at + 3));
  }
  const length = utf8Length(first);
  const bytes = [first];
  for (let i = 1; i < length; i++) bytes.push(escapedByte(text, at + 3 * i));
  if (!isUtf8Character(bytes)) return fail('bad_percent_encoding');
  return ok(text.slice(at, at + 3 * length));
}

// RFC 3629 section 4: no overlong forms, no surrogates, nothing past U+10FFFF.
function isUtf8Character(bytes: readonly number[]): boolean {
  const [first = 0, second = 0] = bytes;
  if (bytes.length < 2 || bytes.slice(1).some((byte) => byte < 0x80 || byte > 0xbf)) return false;
  if (first === 0xe0) return second >= 0xa0;
  if (first === 0xed) return second < 0xa0;
  if (first === 0xf0) return second >= 0x90;
  return first !== 0xf4 || second < 0x90;
}
