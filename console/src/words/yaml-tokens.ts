/** Light colouring of YAML and of unified diffs, for reading only. It never changes the text. */

/** A piece of a line. */
export type Token = {
  readonly kind: 'key' | 'string' | 'literal' | 'comment' | 'mark' | 'plain';
  readonly text: string;
};

type Pattern = {
  readonly kind: Token['kind'];
  readonly pattern: RegExp;
  /** Holds only before the first word of a line, as the dash of a list item does. */
  readonly atStart?: true;
};

/** In order of precedence; the last one matches anything. */
const PATTERNS: readonly Pattern[] = [
  { kind: 'plain', pattern: /^\s+/ },
  { kind: 'mark', pattern: /^(---|\.\.\.|-)(?=\s|$)/, atStart: true },
  { kind: 'key', pattern: /^([\w./$-]+|"[^"]*"|'[^']*')(?=\s*:(\s|$))/ },
  { kind: 'mark', pattern: /^[:[\]{},|>&*]/ },
  { kind: 'string', pattern: /^("([^"\\]|\\.)*"|'([^']|'')*')/ },
  { kind: 'literal', pattern: /^(true|false|null|~|-?\d+(\.\d+)?)(?=\s*(#|,|\]|\}|$))/ },
  { kind: 'string', pattern: /^[^\s,[\]{}]+/ },
  { kind: 'string', pattern: /^[^]/ },
];

/**
 * The pieces of one line, in order; joined they are the line. Lines are read on their own, so text
 * inside block scalars is coloured as if it were YAML.
 */
export function yamlTokens(line: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (at < line.length) {
    const token = nextToken(line.slice(at), tokens);
    tokens.push(token);
    at += token.text.length;
  }
  return tokens;
}

/** What a line of a unified diff is. */
export function diffKind(line: string): 'added' | 'removed' | 'place' | 'same' {
  if (line.startsWith('@@') || line.startsWith('+++') || line.startsWith('---')) return 'place';
  if (line.startsWith('+')) return 'added';
  return line.startsWith('-') ? 'removed' : 'same';
}

function nextToken(rest: string, before: readonly Token[]): Token {
  const last = before.at(-1);
  // A `#` begins a comment only at the start of a line or after white space (YAML 1.2, 6.6).
  if (rest.startsWith('#') && (last === undefined || last.kind === 'plain')) {
    return { kind: 'comment', text: rest };
  }
  const isStart = before.every((token) => token.kind === 'plain' || token.text === '-');
  for (const { kind, pattern, atStart } of PATTERNS) {
    const text = atStart === true && !isStart ? undefined : pattern.exec(rest)?.[0];
    if (text !== undefined) return { kind, text };
  }
  return { kind: 'string', text: rest };
}
