/** The CLI command that gives the same answer as what is on the screen. */

/** A flag with its value; `true` is a switch, undefined leaves the flag out. */
export type Flag = readonly [name: string, value: string | true | undefined];

/** Joins words and flags into one line that a POSIX shell reads back as typed. */
export function commandLine(words: readonly string[], flags: readonly Flag[] = []): string {
  const parts = ['palisade', ...words.map(quote)];
  for (const [name, value] of flags) {
    if (value === undefined || value === '') continue;
    parts.push(value === true ? `--${name}` : `--${name} ${quote(value)}`);
  }
  return parts.join(' ');
}

/**
 * SECURITY: names and paths come from callers, and this text is pasted into a shell. Whatever is not
 * plainly harmless is put in single quotes.
 */
function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
