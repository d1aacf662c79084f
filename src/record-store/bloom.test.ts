import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BITS_OF_A_WORD, BITS_OF_AN_ID, encodeBloom, mayHold } from './bloom.ts';

const TERMS = new Set(Array.from({ length: 4_000 }, (_, i) => `term ${i * 7919}`));

function mistakes(bitsPerTerm: number): number {
  const filter = encodeBloom(TERMS, bitsPerTerm);
  for (const term of TERMS) assert.ok(mayHold(filter, term), term);
  let count = 0;
  for (let i = 0; i < 100_000; i++) if (mayHold(filter, `other ${i}`)) count += 1;
  return count;
}

test('what was put in is found, and little else: ids are mistaken for others far more rarely than words', () => {
  const [words, ids] = [mistakes(BITS_OF_A_WORD), mistakes(BITS_OF_AN_ID)];
  assert.ok(words < 1_500, `${words} of 100000`);
  assert.ok(ids < 120, `${ids} of 100000`);
});

test('a filter that knows nothing says no to nothing', () => {
  assert.ok(mayHold(Buffer.alloc(0), 'anything'));
  assert.ok(!mayHold(encodeBloom(new Set(), BITS_OF_A_WORD), 'anything'));
});
