import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRateLimit } from './rate-limit.ts';

test('a burst passes, then so many a second, for each key by itself', () => {
  let nowMs = 0;
  const limit = createRateLimit({ burst: 3, perSecond: 2, clock: () => nowMs });
  const passes = (key: string, times: number) =>
    Array.from({ length: times }, () => limit.take(key)).filter(Boolean).length;
  assert.equal(passes('a', 5), 3);
  assert.equal(passes('b', 5), 3);
  nowMs = 1000;
  assert.equal(passes('a', 5), 2);
  nowMs = 100_000;
  assert.equal(passes('a', 5), 3, 'no more than the burst is saved up');
  nowMs = 0;
  assert.equal(passes('a', 5), 0, 'a clock set back gives nothing');
});
