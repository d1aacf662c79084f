import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fakeTraffic } from './fake-mesh.ts';
import {
  createOutlierRecord,
  eject,
  endInterval,
  isEjected,
  mayEject,
  noteOutcome,
  type OutlierRecord,
  type TryOutcome,
} from './outlier.ts';

const settings = fakeTraffic({
  outlierDetection: {
    consecutiveGatewayErrors: 3,
    consecutiveConnectFailures: 2,
    baseEjectionMs: 1_000,
    maxEjectionMs: 2_500,
    maxEjectionPercent: 50,
    successRate: { minimumHosts: 3, requestVolume: 10, stdevFactor: 1 },
  },
}).outlierDetection;

const LETTERS: Readonly<Record<string, TryOutcome>> = {
  o: 'ok',
  g: 'gateway_error',
  c: 'connect_failed',
};

/** `outcomes` is one letter a try; the last one's verdict is `want`. */
function check(outcomes: string, want: string | undefined, options = settings): void {
  const record = createOutlierRecord();
  const verdicts = [...outcomes].map((letter) =>
    noteOutcome(record, LETTERS[letter] ?? 'ok', options),
  );
  assert.equal(verdicts.at(-1), want, outcomes);
  assert.deepEqual(
    verdicts.slice(0, -1).filter((verdict) => verdict !== undefined),
    [],
    outcomes,
  );
}

test('only failures in a row eject, each kind by its own count', () => {
  check('gg', undefined);
  check('ggg', 'gateway_errors');
  check('ggogg', undefined);
  check('ggoggg', 'gateway_errors');
  check('cc', 'connect_failures');
  check('cocococ', undefined);
  // A failed connection says nothing of answers; an answer says that connections can be made.
  check('ggcg', 'gateway_errors');
  check('cgc', undefined);
  check('gggg', undefined, { ...settings, consecutiveGatewayErrors: 0 });
  check('cccc', undefined, { ...settings, consecutiveConnectFailures: 0 });
});

test('each ejection lasts longer, up to the longest, and good intervals are credited', () => {
  const record = createOutlierRecord();
  const lengths: number[] = [];
  for (let i = 0; i < 4; i++) {
    eject(record, settings, 10_000);
    lengths.push(record.ejectedUntil - 10_000);
  }
  assert.deepEqual(lengths, [1_000, 2_000, 2_500, 2_500]);
  assert.equal(isEjected(record, 12_499), true);
  assert.equal(isEjected(record, 12_500), false);
  endInterval([record], settings, 12_000);
  assert.equal(record.ejections, 4);
  for (let i = 0; i < 5; i++) endInterval([record], settings, 13_000);
  assert.equal(record.ejections, 0);
});

test('never the only endpoint, always at least one of several, never more than the share', () => {
  const may = (total: number, ejected: number, percent = 50): boolean =>
    mayEject(total, ejected, { ...settings, maxEjectionPercent: percent });
  assert.equal(may(1, 0), false);
  assert.equal(may(2, 0), true);
  assert.equal(may(2, 1), false);
  assert.equal(may(3, 0, 10), true);
  assert.equal(may(3, 1, 10), false);
  assert.equal(may(10, 4), true);
  assert.equal(may(10, 5), false);
  assert.equal(may(10, 9, 100), true);
  assert.equal(may(10, 0, 0), false);
});

test('success rate: who is far below the others, if enough answered enough', () => {
  const seen = (successes: number, tries: number): OutlierRecord => ({
    ...createOutlierRecord(),
    successes,
    tries,
  });
  const bad = seen(10, 100);
  assert.deepEqual(endInterval([seen(99, 100), seen(100, 100), seen(98, 100), bad], settings, 0), [
    bad,
  ]);
  assert.equal(bad.tries, 0);
  assert.deepEqual(endInterval([seen(99, 100), seen(1, 100)], settings, 0), []);
  // Nine tries are too few to be judged by.
  assert.deepEqual(
    endInterval([seen(9, 9), seen(100, 100), seen(98, 100), seen(0, 9)], settings, 0),
    [],
  );
  assert.deepEqual(endInterval([seen(5, 10), seen(5, 10), seen(5, 10)], settings, 0), []);
  const off = { ...settings, successRate: undefined };
  assert.deepEqual(
    endInterval([seen(99, 100), seen(100, 100), seen(98, 100), seen(1, 100)], off, 0),
    [],
  );
});
