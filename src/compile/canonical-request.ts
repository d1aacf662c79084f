import { fail, ok, type Result } from '#lib';

/**
 * The path that policy judges for a request target: without query and fragment, escapes of
 * unreserved characters decoded, characters that no URI holds literally escaped; other escapes stay
 * as they are. The error says why proxies refuse the target before policy: servers read it in
 * several ways. `#protocol` does the same on bytes; this is for targets as people type them.
 */
export function canonicalPath(target: string): Result<string, string> {
  const end = target.search(/[?#]/);
  const raw = end < 0 ? target : target.slice(0, end);
  if (!raw.startsWith('/')) return fail('it does not begin with /');
  if (raw.includes('\\')) return fail('it holds a backslash');
  if (/%(?![0-9A-Fa-f]{2})/.test(raw)) return fail('a percent sign is not followed by two digits');
  if (!isUtf8(raw)) return fail('its escapes are not UTF-8');
  const control = /%(?:[01][0-9A-Fa-f]|7[Ff]|2[Ff]|5[Cc])/.exec(raw);
  if (control !== null) return fail(`it holds the escape ${control[0]}`);
  const escaped = raw
    .toWellFormed()
    .replace(/[^!-~]|[|"^<>{}`]/gu, (character) => encodeURIComponent(character));
  // RFC 3986, section 6.2.2.2: escapes of unreserved characters are the same as the characters.
  const decoded = escaped.replace(/%[0-9A-Fa-f]{2}/g, (escape) => {
    const character = String.fromCharCode(Number.parseInt(escape.slice(1), 16));
    return /[A-Za-z0-9\-._~]/.test(character) ? character : escape;
  });
  if (decoded.includes('//')) return fail('it holds //');
  if (/\/\.\.?(?:[/;]|%3B|$)/i.test(decoded)) return fail('it holds a dot segment');
  return ok(decoded);
}

/** The host that policy judges: lower case, no trailing dot, and no port that is the Service's own. */
export function canonicalHost(host: string, port: number): string {
  const [, name = '', written] = /^(.*?)(?::(\d+))?$/s.exec(host.toLowerCase()) ?? [];
  const bare = name.endsWith('.') ? name.slice(0, -1) : name;
  return written === undefined || Number(written) === port ? bare : `${bare}:${written}`;
}

function isUtf8(path: string): boolean {
  try {
    decodeURIComponent(path);
    return true;
  } catch {
    // A run of escapes that is no character; the caller says so.
    return false;
  }
}
