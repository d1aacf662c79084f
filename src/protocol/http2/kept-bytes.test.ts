import assert from 'node:assert/strict';
import { test } from 'node:test';
import { forgetBytes, keepBytes } from './kept-bytes.ts';

const LENT = Buffer.alloc(64 * 1024, 1);

test('large pieces are copied into buffers that are used again', () => {
  const first = keepBytes(LENT, 0, 60_000);
  const second = keepBytes(LENT, 5_000, 45_000);
  LENT.fill(2);
  assert.notEqual(first.buffer, second.buffer);
  assert.deepEqual([first.length, second.length], [60_000, 40_000]);
  assert.ok([first, second].every((kept) => kept.every((byte) => byte === 1)));
  forgetBytes(first);
  const third = keepBytes(LENT, 0, LENT.length);
  assert.equal(third.buffer, first.buffer);
  assert.ok(third.every((byte) => byte === 2));
  assert.ok(second.every((byte) => byte === 1));
});

test('small and larger ones are copies of their own, and nobody is given them', () => {
  for (const length of [1, 4_000, 32 * 1024, 64 * 1024 + 1]) {
    const kept = keepBytes(Buffer.alloc(length, 3), 0, length);
    assert.equal(kept.length, length);
    forgetBytes(kept);
    const next = keepBytes(LENT, 0, 50_000);
    assert.notEqual(next.buffer, kept.buffer, `${length} bytes`);
  }
});

test('no more are kept ready than a few', () => {
  const taken = Array.from({ length: 20 }, () => keepBytes(LENT, 0, LENT.length));
  for (const kept of taken) forgetBytes(kept);
  const again = Array.from({ length: 20 }, () => keepBytes(LENT, 0, LENT.length).buffer);
  const known = new Set(taken.map(({ buffer }) => buffer));
  assert.equal(again.filter((buffer) => known.has(buffer)).length, 8);
});
