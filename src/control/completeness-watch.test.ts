import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SourceHour } from '#record-store';
import { createCompletenessWatch } from './completeness-watch.ts';

function hour(changes: Partial<SourceHour> = {}): SourceHour {
  return {
    source: 'shop/orders/1',
    service: 'shop/orders',
    hour: '2026-01-15T12:00:00.000Z',
    dropped: {},
    ratio: 1,
    issued: 100,
    arrived: 40,
    sampled: 60,
    missing: 0,
    gaps: [],
    ...changes,
  };
}

test('each look counts what is new, and what was dropped or is missing is bad', () => {
  const watch = createCompletenessWatch();
  const tally = (one: SourceHour) => watch.look([one]);
  const of = { namespace: 'shop', service: 'orders' };
  assert.deepEqual(tally(hour()), [], 'of before the start');
  assert.deepEqual(tally(hour()), []);
  assert.deepEqual(tally(hour({ issued: 150, arrived: 80 })), [{ ...of, good: 40, total: 50 }]);
  assert.deepEqual(tally(hour({ issued: 150, arrived: 90 })), [], 'late ones give no budget back');
});

test('a source that comes later counts from its first record on', () => {
  const watch = createCompletenessWatch();
  assert.deepEqual(watch.look([]), []);
  const other = hour({ source: 'shop/web/1' });
  watch.look([other]);
  const [tally] = watch.look([other, hour()]);
  assert.deepEqual([tally?.good, tally?.total], [100, 100]);
});
