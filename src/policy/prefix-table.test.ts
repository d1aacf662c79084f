import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NumberList } from './number-list.ts';
import { PrefixHashes, PrefixTable } from './prefix-table.ts';
import { createRandom } from './testing/random-policies.ts';
import { createSuffixTrie, createTrie } from './trie.ts';

const ALPHABET = ['a', 'b', '/', 'é', '\u0000'];

/** Random keys and texts over few letters, so that they share beginnings and ends. */
function words(seed: number, count: number): readonly string[] {
  const random = createRandom(seed);
  return Array.from({ length: count }, () =>
    Array.from(
      { length: Math.floor(random() * 9) },
      () => ALPHABET[Math.floor(random() * ALPHABET.length)] ?? '',
    ).join(''),
  );
}

function listed(list: NumberList): readonly number[] {
  return Array.from({ length: list.count }, (_, i) => list.at(i)).sort((a, b) => a - b);
}

test('a prefix table finds exactly the prefixes and the whole of a text', () => {
  for (let seed = 0; seed < 20; seed++) {
    const keys = [...new Set(words(seed, 200))];
    const table = new PrefixTable();
    for (const [number, key] of keys.entries()) {
      if (number % 3 !== 1) table.prefixAt(key, () => number);
      if (number % 3 !== 0) table.exactAt(key, () => number + 1_000);
    }
    const hashes = new PrefixHashes();
    for (const text of words(seed + 1_000, 300)) {
      const out = new NumberList();
      hashes.reset(text);
      table.collect(text, hashes, out);
      const wanted = keys.flatMap((key, number) => [
        ...(number % 3 !== 1 && text.startsWith(key) ? [number] : []),
        ...(number % 3 !== 0 && text === key ? [number + 1_000] : []),
      ]);
      assert.deepEqual(
        listed(out),
        wanted.sort((a, b) => a - b),
        JSON.stringify(text),
      );
    }
  }
});

test('hashes of a text longer than any before are right', () => {
  const table = new PrefixTable();
  const long = 'x'.repeat(5_000);
  table.prefixAt(long, () => 7);
  const hashes = new PrefixHashes();
  for (const [text, count] of [
    [`${long}y`, 1],
    ['short', 0],
    [long, 1],
    [long.slice(1), 0],
  ] as const) {
    const out = new NumberList();
    hashes.reset(text);
    table.collect(text, hashes, out);
    assert.equal(out.count, count);
  }
});

test('tries find exactly the prefixes and suffixes of a text', () => {
  for (let seed = 0; seed < 20; seed++) {
    const keys = [...new Set(words(seed, 100))];
    const prefixes = createTrie<number>();
    const suffixes = createSuffixTrie<number>();
    for (const [number, key] of keys.entries()) {
      prefixes.at(key, () => number);
      suffixes.at(key, () => number);
    }
    for (const text of words(seed + 1_000, 200)) {
      const start = Math.min(2, text.length);
      const before = new NumberList();
      prefixes.collect(text, start, before);
      assert.deepEqual(
        listed(before),
        keys.flatMap((key, number) => (text.startsWith(key, start) ? [number] : [])),
      );
      const after = new NumberList();
      suffixes.collect(text, start, after);
      assert.deepEqual(
        listed(after),
        keys.flatMap((key, number) =>
          text.endsWith(key) && key.length <= text.length - start ? [number] : [],
        ),
      );
    }
  }
});
