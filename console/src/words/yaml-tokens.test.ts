import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { diffKind, yamlTokens } from './yaml-tokens.ts';

const cases: { line: string; expected: string }[] = [
  { line: 'kind: AuthorizationPolicy', expected: 'key:kind mark:: string:AuthorizationPolicy' },
  { line: '  - from:', expected: 'mark:- key:from mark::' },
  {
    line: 'ports: ["80", 443]',
    expected: 'key:ports mark:: mark:[ string:"80" mark:, literal:443 mark:]',
  },
  { line: 'strict: true # always', expected: 'key:strict mark:: literal:true comment:# always' },
  { line: 'path: /a#b', expected: 'key:path mark:: string:/a#b' },
  { line: '---', expected: 'mark:---' },
  { line: 'id: spiffe://td/ns/a/sa/b', expected: 'key:id mark:: string:spiffe://td/ns/a/sa/b' },
];

for (const { line, expected } of cases) {
  test(`colours of \`${line}\``, () => {
    const tokens = yamlTokens(line).filter((token) => token.text.trim() !== '');
    assert.equal(tokens.map((token) => `${token.kind}:${token.text}`).join(' '), expected);
  });
}

test('any line: the pieces joined are the line', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (line) => {
      assert.equal(
        yamlTokens(line)
          .map((token) => token.text)
          .join(''),
        line,
      );
    }),
  );
});

test('lines of a diff are told apart', () => {
  assert.deepEqual(['@@ -1 +1 @@', '+ a', '- b', '  c', '--- old', '+++ new'].map(diffKind), [
    'place',
    'added',
    'removed',
    'same',
    'place',
    'place',
  ]);
});
