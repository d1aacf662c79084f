import assert from 'node:assert/strict';
import { test } from 'node:test';
import { holdOrder } from './hold-order.ts';

const cases: { name: string; before: string[]; rows: string[]; expected: string[] }[] = [
  { name: 'nothing before', before: [], rows: ['b', 'a'], expected: ['b', 'a'] },
  { name: 'order kept', before: ['a', 'b'], rows: ['b', 'a'], expected: ['a', 'b'] },
  { name: 'new rows last', before: ['b'], rows: ['a', 'b', 'c'], expected: ['b', 'a', 'c'] },
  { name: 'gone rows leave', before: ['a', 'b', 'c'], rows: ['c', 'a'], expected: ['a', 'c'] },
];

for (const { name, before, rows, expected } of cases) {
  test(`rows under the pointer hold still: ${name}`, () => {
    assert.deepEqual(
      holdOrder(before, rows, (row) => row),
      expected,
    );
  });
}
