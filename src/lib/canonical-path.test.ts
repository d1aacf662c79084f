import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { canonicalPath, PATH_NORMALIZATIONS, type PathNormalization } from './canonical-path.ts';

/** What each mode makes of a path, in the order of the modes; a word without `/` is the problem. */
type Row = readonly [
  path: string,
  strict: string,
  none: string,
  base: string,
  merge: string,
  decode: string,
];

const ROWS: readonly Row[] = [
  ['/', '/', '/', '/', '/', '/'],
  ['/a/b.c', '/a/b.c', '/a/b.c', '/a/b.c', '/a/b.c', '/a/b.c'],
  ['/%61%7e', '/a~', '/%61%7e', '/a~', '/a~', '/a~'],
  ['/a|b', '/a%7Cb', '/a|b', '/a%7Cb', '/a%7Cb', '/a%7Cb'],
  ['/%c3%a9', '/%c3%a9', '/%c3%a9', '/%c3%a9', '/%c3%a9', '/%c3%a9'],
  ['/%252e%252e/', '/%252e%252e/', '/%252e%252e/', '/%252e%252e/', '/%252e%252e/', '/%252e%252e/'],
  ['/a//b', 'repeated_slash', '/a//b', '/a//b', '/a/b', '/a/b'],
  ['//a', 'repeated_slash', '//a', '//a', '/a', '/a'],
  ['/a///', 'repeated_slash', '/a///', '/a///', '/a/', '/a/'],
  ['/a/../b', 'dot_segment', '/a/../b', '/b', '/b', '/b'],
  ['/a/..', 'dot_segment', '/a/..', '/', '/', '/'],
  ['/a/b/.', 'dot_segment', '/a/b/.', '/a/b/', '/a/b/', '/a/b/'],
  ['/../../x', 'dot_segment', '/../../x', '/x', '/x', '/x'],
  ['/a/%2e%2E/b', 'dot_segment', '/a/%2e%2E/b', '/b', '/b', '/b'],
  // The dots are resolved before slashes are merged, as in Envoy.
  ['/a//../b', 'repeated_slash', '/a//../b', '/a/b', '/a/b', '/a/b'],
  ['/a%2Fb', 'escaped_slash', '/a%2Fb', '/a%2Fb', '/a%2Fb', '/a/b'],
  ['/a%2f%2Fb', 'escaped_slash', '/a%2f%2Fb', '/a%2f%2Fb', '/a%2f%2Fb', '/a/b'],
  ['/a%5cb', 'escaped_slash', '/a%5cb', '/a%5cb', '/a%5cb', '/a/b'],
  ['/a\\b', 'backslash', '/a\\b', '/a/b', '/a/b', '/a/b'],
  ['/a%2f..%2fb', 'escaped_slash', '/a%2f..%2fb', '/a%2f..%2fb', '/a%2f..%2fb', '/b'],
  ['/a\\..\\b', 'backslash', '/a\\..\\b', '/b', '/b', '/b'],
  ['/a/..;x/b', 'dot_segment', '/a/..;x/b', 'dot_segment', 'dot_segment', 'dot_segment'],
  ['/a/..%3Bx/b', 'dot_segment', '/a/..%3Bx/b', 'dot_segment', 'dot_segment', 'dot_segment'],
  ['/a%2f..;/b', 'escaped_slash', '/a%2f..;/b', '/a%2f..;/b', '/a%2f..;/b', 'dot_segment'],
];

const REFUSED: readonly (readonly [path: string, problem: string])[] = [
  ['', 'not_absolute'],
  ['a', 'not_absolute'],
  ['*', 'not_absolute'],
  ['/a b', 'illegal_character'],
  ['/\u00e9', 'illegal_character'],
  ['/a\u007f', 'illegal_character'],
  ['/a#b', 'illegal_character'],
  ['/a?b', 'illegal_character'],
  ['/a%', 'bad_escape'],
  ['/a%2', 'bad_escape'],
  ['/a%zz', 'bad_escape'],
  ['/a%00', 'escaped_control'],
  ['/a%0d%0a', 'escaped_control'],
  ['/a%7f', 'escaped_control'],
  // Overlong `/` and `.`, a lone continuation, a surrogate, past the last character, cut short.
  ['/%c0%af', 'not_utf8'],
  ['/%e0%80%af', 'not_utf8'],
  ['/%c0%ae%c0%ae/', 'not_utf8'],
  ['/%80', 'not_utf8'],
  ['/%ed%a0%80', 'not_utf8'],
  ['/%f4%90%80%80', 'not_utf8'],
  ['/%e2%82', 'not_utf8'],
  ['/%ff', 'not_utf8'],
];

for (const [path, ...wanted] of ROWS) {
  test(`every mode's form of ${path}`, () => {
    for (const [index, mode] of PATH_NORMALIZATIONS.entries())
      check(path, mode, wanted[index] ?? '');
  });
}

for (const [path, problem] of REFUSED) {
  test(`refused in every mode as ${problem}: ${path}`, () => {
    for (const mode of PATH_NORMALIZATIONS) check(path, mode, problem);
  });
}

function check(path: string, mode: PathNormalization, wanted: string): void {
  const found = canonicalPath(path, mode);
  assert.equal(found.ok ? found.value : found.error, wanted, `${mode} ${path}`);
}

const PIECES =
  '/ // a . .. ; % | " ` [ { ~ * \\ ^ %2e %2F %5c %41 %7f %00 %25 %3B %ff %c3%a9 %e2%82 %C0%AF'.split(
    ' ',
  );
const path = fc
  .array(fc.constantFrom(...PIECES), { maxLength: 12 })
  .map((all) => `/${all.join('')}`);

test('a canonical path is its own canonical form, in its mode', () => {
  fc.assert(
    fc.property(path, fc.constantFrom(...PATH_NORMALIZATIONS), (text, mode) => {
      const once = canonicalPath(text, mode);
      if (once.ok) assert.deepEqual(canonicalPath(once.value, mode), once);
    }),
    { numRuns: 5_000 },
  );
});

test('what STRICT accepts, every mode that changes anything leaves as STRICT has it', () => {
  fc.assert(
    fc.property(
      path,
      fc.constantFrom('BASE', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES'),
      (text, mode) => {
        const strict = canonicalPath(text, 'STRICT');
        if (strict.ok) assert.deepEqual(canonicalPath(text, mode as PathNormalization), strict);
      },
    ),
    { numRuns: 5_000 },
  );
});

test('no path trick survives DECODE_AND_MERGE_SLASHES: no dots, no doubles, no hidden slashes', () => {
  fc.assert(
    fc.property(path, (text) => {
      const found = canonicalPath(text, 'DECODE_AND_MERGE_SLASHES');
      if (found.ok) assert.doesNotMatch(found.value, /\/\/|\/\.\.?(?:\/|;|$)|%2f|%5c|\\|%2e/i);
    }),
    { numRuns: 5_000 },
  );
});
