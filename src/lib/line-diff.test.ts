import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { lineDiff } from './line-diff.ts';

const line = fc.constantFrom('a', 'b', 'c', 'd');

test('the difference holds both sides, and no line is changed twice for nothing', () => {
  fc.assert(
    fc.property(
      fc.array(line, { maxLength: 12 }),
      fc.array(line, { maxLength: 12 }),
      (before, after) => {
        const diff = lineDiff(before, after);
        const side = (sign: string) =>
          diff.filter((part) => part.sign !== sign).map((part) => part.text);
        assert.deepEqual(side('+'), before);
        assert.deepEqual(side('-'), after);
      },
    ),
  );
  const same = lineDiff(['a', 'b'], ['a', 'b']);
  assert.ok(same.every((part) => part.sign === ' '));
  assert.deepEqual(
    lineDiff(['a', 'b', 'c'], ['a', 'x', 'c']).map((part) => part.sign + part.text),
    [' a', '-b', '+x', ' c'],
  );
});
