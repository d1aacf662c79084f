import { fail, ok, type Result } from '#lib';

/**
 * A request path as policy and application see it: query and fragment dropped, escaped unreserved
 * characters decoded, characters no URI has escaped, `\` read as `/`, dot segments resolved. `//`,
 * `%2F` and the case of hexadecimal digits stay. An error names what makes the path unreadable.
 */
export function canonicalPath(target: string): Result<string, string> {
  const end = target.search(/[?#]/);
  const raw = end < 0 ? target : target.slice(0, end);
  if (!raw.startsWith('/')) return fail('a path begins with /');
  if (PLAIN.test(raw)) return ok(raw);
  // RFC 3986, section 2.1: a percent sign is only ever followed by two hexadecimal digits.
  if (/%(?![0-9A-Fa-f]{2})/.test(raw)) return fail('a percent sign is not followed by two digits');
  if (/%00/.test(raw)) return fail('a path holds an escaped NUL');
  const escaped = raw
    .toWellFormed()
    .replace(/[^!-~]|[|"^<>{}]/gu, (character) => encodeURIComponent(character));
  // RFC 3986, section 6.2.2.2: escapes of unreserved characters are the same as the characters.
  const decoded = escaped.replace(/%[0-9A-Fa-f]{2}/g, (escape) => {
    const character = String.fromCharCode(Number.parseInt(escape.slice(1), 16));
    return /[A-Za-z0-9\-._~]/.test(character) ? character : escape;
  });
  return resolveDots(decoded.replaceAll('\\', '/'));
}

// Nothing to do: no escape, no dot segment, nothing that needs an escape.
const PLAIN = /^(?:\/(?!\.)[A-Za-z0-9\-._~!$&'()*+,=:@]*)+$/;

/** RFC 3986, section 5.2.4, but a path that climbs above its root is an error rather than the root. */
function resolveDots(path: string): Result<string, string> {
  const out: string[] = [];
  const segments = path.slice(1).split('/');
  for (const [index, segment] of segments.entries()) {
    // SECURITY: some servers drop `;x` before they resolve dots, so `..;x` counts as `..`.
    const up = segment === '..' || segment.startsWith('..;');
    if (up && out.pop() === undefined) return fail('a path climbs above its root');
    if (!up && segment !== '.') out.push(segment);
    else if (index === segments.length - 1) out.push('');
  }
  return ok(`/${out.join('/')}`);
}
