import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { lineDiff } from './line-diff.ts';

const cases: { name: string; before: string; after: string; expected: string }[] = [
  { name: 'nothing changed', before: 'a\nb\n', after: 'a\nb\n', expected: '' },
  { name: 'a new text', before: '', after: 'a\nb\n', expected: '+a\n+b' },
  { name: 'a text that is gone', before: 'a\nb\n', after: '', expected: '-a\n-b' },
  { name: 'one line', before: 'a\nb\nc', after: 'a\nx\nc', expected: ' a\n-b\n+x\n c' },
  {
    name: 'far from the change',
    before: '1\n2\n3\n4\n5\n6\n7',
    after: '1\n2\n3\n4\n5\n6\n8',
    expected: '@@ 3 lines the same\n 4\n 5\n 6\n-7\n+8',
  },
];

for (const { name, before, after, expected } of cases) {
  test(`a difference in lines: ${name}`, () => {
    assert.equal(lineDiff(before, after), expected);
  });
}

test('any two texts: what is kept and removed is the old one, kept and added the new one', () => {
  // Within six lines nothing is far enough from a change to be left out.
  const text = fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 4 });
  fc.assert(
    fc.property(text, text, (before, after) => {
      const diff = lineDiff(before.join('\n'), after.join('\n'));
      const lines = diff === '' ? before.map((line) => ` ${line}`) : diff.split('\n');
      const side = (signs: string): string[] =>
        lines.filter((line) => signs.includes(line.charAt(0))).map((line) => line.slice(1));
      assert.deepEqual(side(' -'), before);
      assert.deepEqual(side(' +'), after);
    }),
  );
});

test('texts too long to compare are shown whole', () => {
  const before = Array.from({ length: 2001 }, (_, index) => index).join('\n');
  assert.match(lineDiff(before, 'x'), /^-0\n-1\n[^]*\n\+x$/);
});
