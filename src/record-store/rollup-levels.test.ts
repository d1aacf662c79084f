import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type KeptFrom,
  keptAfter,
  ROLLUP_LEVELS,
  rollUpLevels,
  sliceRollups,
  stepOfLevel,
  tooOld,
} from './rollup-levels.ts';
import { emptyRollup } from './rollups.ts';

const SECOND = 1_000;
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const ALL: KeptFrom = ROLLUP_LEVELS.map(() => 0);

function down(ms: number, step: number): number {
  return Math.floor(ms / step) * step;
}

test('each level’s step is a whole part of the next one’s, and is kept no longer', () => {
  for (const [level, { stepMs, keptMs }] of ROLLUP_LEVELS.slice(0, -1).entries()) {
    const next = ROLLUP_LEVELS[level + 1];
    assert.equal((next?.stepMs ?? 0) % stepMs, 0);
    assert.ok((next?.keptMs ?? 0) > keptMs);
  }
});

test('a question reads the coarsest level that fits, and its ends out of finer ones', () => {
  const read = (stepMs: number, fromMs: number, untilMs: number, kept = ALL) =>
    sliceRollups({ stepMs, fromMs, untilMs }, kept).map(
      (slice) => `${slice.level} ${slice.fromMs / SECOND}-${slice.untilMs / SECOND}`,
    );
  const day = 24 * HOUR;
  assert.deepEqual(read(HOUR, 0, day), ['3 0-86400']);
  assert.deepEqual(read(5 * MINUTE, 0, day), ['2 0-86400']);
  assert.deepEqual(read(15 * MINUTE, 0, day), ['2 0-86400']);
  assert.deepEqual(read(90 * SECOND, 0, HOUR), ['0 0-3600']);
  assert.deepEqual(read(7 * MINUTE, 0, HOUR), ['1 0-3600']);
  assert.deepEqual(read(HOUR, 3 * HOUR - 61_000, 4 * HOUR + 301_500), [
    '0 10739-10740',
    '1 10740-10800',
    '3 10800-14400',
    '2 14400-14700',
    '0 14700-14701.5',
  ]);
  // Minutes are gone before two o'clock, seconds before three.
  const kept = [3 * HOUR, 2 * HOUR, 0, 0];
  assert.deepEqual(read(SECOND, HOUR, 4 * HOUR, kept), [
    '2 3600-7200',
    '1 7200-10800',
    '0 10800-14400',
  ]);
  assert.deepEqual(read(HOUR, 0, 1), ['0 0-0.001']);
  assert.deepEqual(read(HOUR, 5, 5), []);
});

test('whatever is asked of whatever is kept, each call is read once, at the time of its finest sum', () => {
  const border = (step: number) =>
    fc.integer({ min: 0, max: (30 * HOUR) / step }).map((n) => n * step);
  const question = fc.record({
    stepMs: fc.constantFrom(1, 7, 60, 90, 300, 900, 3_600, 7_200).map((s) => s * SECOND),
    fromMs: fc.integer({ min: 0, max: 30 * HOUR }),
    untilMs: fc.integer({ min: 0, max: 30 * HOUR }),
    borders: fc.tuple(border(MINUTE), border(5 * MINUTE), border(HOUR)),
    calls: fc.array(fc.integer({ min: 0, max: 30 * HOUR }), { minLength: 20, maxLength: 60 }),
  });
  fc.assert(
    fc.property(question, ({ borders: [a, b, c], calls, ...query }) => {
      const kept = [Math.max(a, b, c), Math.max(b, c), c, 0];
      const slices = sliceRollups(query, kept);
      for (const call of calls) {
        const times = slices.flatMap(({ level, fromMs, untilMs }) => {
          const row = down(call, stepOfLevel(level));
          const isThere = row >= (kept[level] ?? 0) && row >= fromMs && row < untilMs;
          return isThere ? [down(row, query.stepMs)] : [];
        });
        const finest = ROLLUP_LEVELS.findIndex((_, level) => call >= (kept[level] ?? 0));
        const row = down(call, stepOfLevel(finest));
        const isAsked = row >= query.fromMs && row < query.untilMs;
        assert.deepEqual(times, isAsked ? [down(row, query.stepMs)] : [], `${call}`);
      }
    }),
  );
});

test('what goes leaves a border that the next level can fill up to, and goes no further than what there was', () => {
  const now = 1_000 * HOUR + 123_456;
  for (let level = 0; level < ROLLUP_LEVELS.length - 1; level++) {
    const before = tooOld(level, now);
    const step = stepOfLevel(level + 1);
    assert.equal(before % step, 0);
    assert.ok(now - before >= (ROLLUP_LEVELS[level]?.keptMs ?? 0));
    assert.equal(keptAfter(level, before - 1), before);
    assert.equal(keptAfter(level, 0), step);
  }
});

test('sums of each level are those of the seconds', () => {
  const second = (timeMs: number, requests: number) => {
    const rollup = emptyRollup(timeMs, 'web', 'shop/orders');
    rollup.requests = requests;
    rollup.durations[3] = requests;
    return rollup;
  };
  const seconds = [second(0, 1), second(59_000, 2), second(60_000, 4), second(HOUR, 8)];
  const levels = rollUpLevels(seconds).map((sums) =>
    sums.map(({ timeMs, requests, durations }) => [timeMs, requests, durations[3]]),
  );
  const later = [HOUR, 8, 8];
  assert.deepEqual(levels.slice(1), [
    [[0, 3, 3], [MINUTE, 4, 4], later],
    [[0, 7, 7], later],
    [[0, 7, 7], later],
  ]);
  assert.deepEqual(
    seconds.map(({ requests }) => requests),
    [1, 2, 4, 8],
    'they are not changed',
  );
});
