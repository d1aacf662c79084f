import assert from 'node:assert/strict';
import { test } from 'node:test';
import { patchQuery } from './query.ts';
import { encodeTimeRange, parseTimeRange, rangeMs, rangeQuery, stepOf } from './time-range.ts';

const NOON = '2026-03-02T12:00:00.000Z';
const ONE = '2026-03-02T13:00:00.000Z';
const cases: { query: string; asked: object; step: string; address: string }[] = [
  { query: '', asked: { since: '1h' }, step: '1m', address: '' },
  { query: '?since=15m', asked: { since: '15m' }, step: '10s', address: '?since=15m' },
  { query: '?since=7d', asked: { since: '7d' }, step: '1h', address: '?since=7d' },
  { query: '?since=soon', asked: { since: '1h' }, step: '1m', address: '' },
  {
    query: `?since=${NOON}&until=${ONE}`,
    asked: { since: NOON, until: ONE },
    step: '1m',
    address: patchQuery('', { since: NOON, until: ONE }),
  },
  { query: `?since=${ONE}&until=${NOON}`, asked: { since: '1h' }, step: '1m', address: '' },
];

for (const { query, asked, step, address } of cases) {
  test(`the range of \`${query}\``, () => {
    const range = parseTimeRange(new URLSearchParams(query), '1h');
    assert.deepEqual(rangeQuery(range), asked);
    assert.equal(stepOf(range), step);
    assert.equal(patchQuery('', encodeTimeRange(range, '1h')), address);
  });
}

test('a span ends now, a range between two instants where it says', () => {
  const last = parseTimeRange(new URLSearchParams('?since=10m'), '1h');
  assert.deepEqual(rangeMs(last, 1_000_000), { fromMs: 400_000, untilMs: 1_000_000 });
  const between = parseTimeRange(new URLSearchParams(`?since=${NOON}&until=${ONE}`), '1h');
  assert.equal(rangeMs(between, 5).untilMs, Date.parse(ONE));
});
