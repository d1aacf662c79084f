import { fail, ok, type Result } from './result.ts';

/**
 * What is done to a path before policy judges it, Istio's `pathNormalization` by the same names, and
 * `STRICT`, which refuses instead of repairing.
 */
export const PATH_NORMALIZATIONS = [
  'STRICT',
  'NONE',
  'BASE',
  'MERGE_SLASHES',
  'DECODE_AND_MERGE_SLASHES',
] as const;

/** One of `PATH_NORMALIZATIONS`. */
export type PathNormalization = (typeof PATH_NORMALIZATIONS)[number];

/** Why a path has no canonical form. */
export type PathProblem =
  | 'not_absolute'
  | 'illegal_character'
  | 'bad_escape'
  | 'not_utf8'
  | 'escaped_control'
  | 'escaped_slash'
  | 'backslash'
  | 'repeated_slash'
  | 'dot_segment';

/**
 * The one form of a path (ASCII, without query) that policy judges and the application gets, or why
 * it has none. In every mode, escapes must be UTF-8 and none of a control character; in all but
 * `NONE`, escapes of unreserved characters are decoded and characters that a URI must not hold are
 * escaped (RFC 3986 section 6.2.2); other escapes stay as they are, as in Istio. Then:
 * `STRICT` refuses what servers read in several ways: dot segments, `//`, `\`, escaped `/` and `\`.
 * `BASE` makes `\` to `/` and resolves dot segments; `MERGE_SLASHES` makes `//` to `/` besides;
 * `DECODE_AND_MERGE_SLASHES` decodes escaped `/` and `\` before all that.
 * INVARIANT: what is canonical in a mode is its own canonical form in that mode.
 */
export function canonicalPath(path: string, mode: PathNormalization): Result<string, PathProblem> {
  if (!path.startsWith('/')) return fail('not_absolute');
  let canonical = '';
  for (let at = 0; at < path.length; ) {
    const piece = readPiece(path, at, mode);
    if (!piece.ok) return piece;
    canonical += piece.value.text;
    at += piece.value.length;
  }
  return mode === 'NONE' ? ok(canonical) : resolveSegments(canonical, mode);
}

/** Canonical text for the `length` characters of the path that it stands for. */
type Piece = { readonly text: string; readonly length: number };

function readPiece(path: string, at: number, mode: PathNormalization): Result<Piece, PathProblem> {
  const code = path.charCodeAt(at);
  if (code === 0x25) return readEscape(path, at, mode);
  const text = path[at] as string;
  if (code === 0x5c) {
    if (mode === 'STRICT') return fail('backslash');
    return ok({ text: mode === 'NONE' ? text : '/', length: 1 });
  }
  if (code <= 0x20 || code >= 0x7f || code === 0x23 || code === 0x3f)
    return fail('illegal_character');
  const isKept = mode === 'NONE' || !MUST_BE_ESCAPED.has(text);
  return ok({ text: isKept ? text : `%${code.toString(16).toUpperCase()}`, length: 1 });
}

function readEscape(path: string, at: number, mode: PathNormalization): Result<Piece, PathProblem> {
  const first = escapedByte(path, at);
  if (first < 0) return fail('bad_escape');
  if (first < 0x20 || first === 0x7f) return fail('escaped_control');
  if (first >= 0x80) {
    const length = utf8Length(path, at, first);
    return length === 0 ? fail('not_utf8') : ok({ text: path.slice(at, at + length), length });
  }
  const escape = { text: path.slice(at, at + 3), length: 3 };
  if (first === 0x2f || first === 0x5c) {
    if (mode === 'STRICT') return fail('escaped_slash');
    return ok(mode === 'DECODE_AND_MERGE_SLASHES' ? { text: '/', length: 3 } : escape);
  }
  const character = String.fromCharCode(first);
  return ok(
    mode !== 'NONE' && UNRESERVED.test(character) ? { text: character, length: 3 } : escape,
  );
}

const MUST_BE_ESCAPED = new Set('"<>^`{|}');
const UNRESERVED = /[A-Za-z0-9\-._~]/;
const DOT_SEGMENT = /\/\.\.?(?:\/|$)/;
// SECURITY: to some servers `/..;x/` is a dot segment with a parameter, to others a name.
const DOT_PARAMETER = /\/\.\.?(?:;|%3B)/i;

function resolveSegments(path: string, mode: PathNormalization): Result<string, PathProblem> {
  if (DOT_PARAMETER.test(path)) return fail('dot_segment');
  if (mode === 'STRICT') {
    if (path.includes('//')) return fail('repeated_slash');
    return DOT_SEGMENT.test(path) ? fail('dot_segment') : ok(path);
  }
  const resolved = DOT_SEGMENT.test(path) ? removeDotSegments(path) : path;
  // In this order, as Envoy does it: the dots of `/a//../b` take away the empty segment.
  return ok(mode === 'BASE' ? resolved : resolved.replace(/\/{2,}/g, '/'));
}

// RFC 3986 section 5.2.4; above the root is the root.
function removeDotSegments(path: string): string {
  const kept: string[] = [];
  const segments = path.slice(1).split('/');
  segments.forEach((segment, index) => {
    const isLast = index === segments.length - 1;
    if (segment === '..') kept.pop();
    if (segment !== '.' && segment !== '..') kept.push(segment);
    else if (isLast) kept.push('');
  });
  return `/${kept.join('/')}`;
}

function escapedByte(text: string, at: number): number {
  const digits = text.slice(at, at + 3);
  return /^%[0-9A-Fa-f]{2}$/.test(digits) ? Number.parseInt(digits.slice(1), 16) : -1;
}

// RFC 3629 section 4: no overlong forms, no surrogates, nothing past U+10FFFF. 0 if it is none.
function utf8Length(text: string, at: number, first: number): number {
  const count = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  if (count === 0) return 0;
  const second = escapedByte(text, at + 3);
  const lowest = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
  const highest = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
  if (second < lowest || second > highest) return 0;
  for (let i = 2; i < count; i++) {
    const next = escapedByte(text, at + 3 * i);
    if (next < 0x80 || next > 0xbf) return 0;
  }
  return 3 * count;
}
