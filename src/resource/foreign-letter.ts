import type { Problem } from './diagnostic.ts';
import { quote } from './schema.ts';

/**
 * The problem of a value that no request can carry, since what requests are compared by is ASCII: a letter of another
 * script that only looks like the right one, or one that travels in another form.
 * SECURITY: a DENY rule with such a letter would deny nothing, and no eye would see why.
 */
export function foreignLetter(
  value: string,
  what: 'method' | 'path' | 'host',
): Problem | undefined {
  const letter = /[^\0-\x7F]/u.exec(value)?.[0];
  if (letter === undefined) return undefined;
  const code = (letter.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0');
  return {
    code: 'never_matches',
    message: `${quote(value)} never matches: its ${quote(letter)} is U+${code}, and a ${what} has only ASCII`,
    help: HELP[what](value),
  };
}

const HELP: Readonly<Record<'method' | 'path' | 'host', (value: string) => string>> = {
  method: () => 'type it again with the letters A to Z',
  path: (value) =>
    `type it again if it only looks right; if it is meant, write it as it travels: ${quote(escaped(value))}`,
  host(value) {
    const name = URL.parse(`http://${value.replaceAll('*', '')}/`)?.hostname;
    return name === undefined
      ? 'type it again if it only looks right'
      : `type it again if it only looks right; if it is meant, write it as it travels: ${quote(name)}`;
  },
};

/** RFC 3986 section 2.5: the bytes of its UTF-8, escaped. */
function escaped(value: string): string {
  return value.replaceAll(/[^\0-\x7F]+/gu, (letters) =>
    [...new TextEncoder().encode(letters)]
      .map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`)
      .join(''),
  );
}
