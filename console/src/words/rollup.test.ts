import assert from 'node:assert/strict';
import { test } from 'node:test';
import { alignSeries, emptyWords, instantMs, troubledEdges } from './rollup.ts';

test('an instant is read however it is written', () => {
  const ms = Date.parse('2026-03-02T10:00:00.000Z');
  for (const written of ['2026-03-02T10:00:00.000Z', ms, ms / 1000]) {
    assert.equal(instantMs(written), ms);
  }
  assert.ok(Number.isNaN(instantMs('soon')));
});

test('steps without a point count nothing, points outside are left out, several series add up', () => {
  const options = { fromMs: 60_000, untilMs: 240_000, stepMs: 60_000, metrics: 2 };
  const series = [
    { key: {}, points: [[60_000_000_000, 9, 9]] as const },
    { key: {}, points: [[60, 1, null]] as const },
    { key: {}, points: [['1970-01-01T00:01:30.000Z', 2, 1] as const, [180, 5] as const] },
  ];
  assert.deepEqual(alignSeries(series, options), {
    instants: [60_000, 120_000, 180_000, 240_000],
    values: [
      [3, 0, 5, 0],
      [1, 0, 0, 0],
    ],
  });
});

test('a strip that begins empty says since when calls are on record', () => {
  const of = (...calls: number[]) =>
    emptyWords({ instants: [10, 20, 30], values: [calls, [0, 0, 0]] }, String);
  assert.equal(of(0, 0, 4), 'No call is on record before 30.');
  assert.equal(of(1, 0, 4), '');
  assert.equal(of(0, 0, 0), 'No call of this time is on record.');
});

test('edges with trouble come first, those without are left out', () => {
  const edge = (source: string, ...points: [number, number, number, number][]) => ({
    key: { source, destination: 'shop/orders' },
    points,
  });
  const sums = troubledEdges({
    series: [
      edge('fine', [1, 9, 0, 0]),
      edge('some', [1, 9, 1, 0]),
      edge('most', [1, 4, 1, 0], [2, 4, 0, 2]),
    ],
  });
  assert.deepEqual(
    sums.map(({ source, calls, denied, errors }) => [source, calls, denied, errors]),
    [
      ['most', 8, 1, 2],
      ['some', 9, 1, 0],
    ],
  );
});
