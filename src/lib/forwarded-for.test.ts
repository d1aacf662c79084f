import assert from 'node:assert/strict';
import { test } from 'node:test';
import { originalAddress } from './forwarded-for.ts';

const PEER = '127.0.0.1';

/** Lines of `x-forwarded-for`, trusted hops, and the address that counts. */
const CASES: readonly (readonly [readonly string[], number, string])[] = [
  [[], 0, PEER],
  [['1.1.1.1'], 0, '1.1.1.1'],
  [['1.1.1.1, 2.2.2.2'], 0, '2.2.2.2'],
  [['1.1.1.1,2.2.2.2'], 1, '1.1.1.1'],
  [['1.1.1.1', '2.2.2.2'], 0, '2.2.2.2'],
  [['1.1.1.1, 2.2.2.2', '3.3.3.3'], 1, '2.2.2.2'],
  [['1.1.1.1, 2.2.2.2', '3.3.3.3'], 2, '1.1.1.1'],
  // Too few entries: the caller came around the proxies.
  [['1.1.1.1'], 1, PEER],
  [['1.1.1.1'], 16, PEER],
  [['unknown'], 0, PEER],
  [['1.1.1.1, '], 0, PEER],
  [[''], 0, PEER],
  [['1.1.1.1:80'], 0, PEER],
  [['2001:db8::1'], 0, '2001:db8::1'],
];

for (const [lines, hops, wanted] of CASES) {
  test(`x-forwarded-for ${JSON.stringify(lines)} behind ${hops} trusted hops is ${wanted}`, () => {
    assert.equal(originalAddress(lines, hops, PEER), wanted);
  });
}
