import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { dayRollups } from './day-rollups.ts';
import { DAY_SCHEMA } from './day-schema.ts';
import { emptyRollup, type RollupQuery } from './rollups.ts';

const MINUTE_MS = 60_000;

test('what is read is added up by step and group already', () => {
  const db = new DatabaseSync(':memory:');
  db.exec(DAY_SCHEMA);
  const rollups = dayRollups(db);
  for (const [timeMs, source, destination] of [
    [1_000, 'web', 'shop/orders'],
    [59_000, 'web', 'shop/orders'],
    [59_000, 'cart', 'shop/orders'],
    [60_000, 'web', 'shop/orders'],
    [60_000, 'web', 'shop/stock'],
  ] as const) {
    rollups.add([{ ...emptyRollup(timeMs, source, destination), requests: 1 }]);
  }
  const read = (group: RollupQuery['group'], metrics: RollupQuery['metrics'] = ['requests']) =>
    rollups
      .read({ stepMs: MINUTE_MS, fromMs: 0, untilMs: 2 * MINUTE_MS, group, metrics })
      .map(({ timeMs, source, destination, requests, durations }) =>
        [timeMs, source, destination, requests, durations.length].join(' '),
      );
  assert.deepEqual(read('edge'), [
    '0 web shop/orders 2 0',
    '0 cart shop/orders 1 0',
    '60000 web shop/orders 1 0',
    '60000 web shop/stock 1 0',
  ]);
  assert.deepEqual(read('service'), [
    '0  shop/orders 3 0',
    '60000  shop/orders 1 0',
    '60000  shop/stock 1 0',
  ]);
  assert.deepEqual(read('total', ['requests', 'p95_us']), ['0   3 24', '60000   2 24']);
  assert.deepEqual(read('total', ['p95_us']), ['0   0 24', '60000   0 24']);
  db.close();
});
