import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createBudgetSeries } from './budget-series.ts';
import { BURN_RULES, burnThreshold, judgeSlo } from './burn.ts';
import { createDenialWatch } from './denial-watch.ts';
import { NOON } from './fake-facts.ts';
import { builtInSlo, DEFAULT_SLOS } from './slo.ts';
import { createSloTracker } from './slo-tracker.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const slo = builtInSlo('authentication_success', 0.999);

test('over thirty days the rules are the burn rates of the workbook', () => {
  const rates = BURN_RULES.map((rule) => Number(burnThreshold(slo, rule).toFixed(3)));
  assert.deepEqual(rates, [14.4, 6, 3, 1]);
});

/** A month of 1,000 a minute with this share of bad ones since `sinceMs` ago until `untilMs` ago. */
function month(badShare: number, sinceMs: number, untilMs = 0) {
  const series = createBudgetSeries();
  for (let ago = 30 * DAY; ago > 0; ago -= 30 * MINUTE) {
    const tally = { good: 30_000, total: 30_000 };
    if (ago > 7 * HOUR) series.add(tally, NOON - ago);
  }
  for (let ago = 7 * HOUR; ago > 0; ago -= MINUTE) {
    const isBad = ago <= sinceMs && ago > untilMs;
    series.add({ good: isBad ? 1_000 * (1 - badShare) : 1_000, total: 1_000 }, NOON - ago);
  }
  return judgeSlo(slo, series, NOON);
}

test('fast burns page, slow ones open a ticket, and what is over does neither', () => {
  const cases = [
    ['nothing bad', month(0, 0), undefined],
    ['2 % bad for an hour', month(0.02, HOUR), 'page'],
    ['2 % bad for an hour, over for ten minutes', month(0.02, HOUR, 10 * MINUTE), undefined],
    ['0.8 % bad for six hours', month(0.008, 6 * HOUR), 'page'],
    ['0.8 % bad for twenty minutes', month(0.008, 20 * MINUTE), undefined],
    ['0.05 % bad, half of what is allowed', month(0.0005, 7 * HOUR), undefined],
  ] as const;
  for (const [what, status, expected] of cases) {
    assert.equal(status.burning?.rule.severity, expected, what);
  }
  const { budgetLeftRatio, burn1h, state } = month(0.02, HOUR);
  assert.ok(Math.abs(burn1h - 20) < 0.5, `${burn1h}`);
  assert.ok(budgetLeftRatio > 0.97 && budgetLeftRatio < 0.98, `${budgetLeftRatio}`);
  assert.equal(state, 'burning');
});

test('a slow burn of days opens a ticket, and a spent budget says so', () => {
  const series = createBudgetSeries();
  for (let ago = 3 * DAY; ago > 0; ago -= 30 * MINUTE) {
    series.add({ good: 998, total: 1_000 }, NOON - ago);
  }
  const status = judgeSlo(slo, series, NOON);
  assert.equal(status.burning?.rule.severity, 'ticket');
  assert.ok(status.budgetLeftRatio < 0);
});

test('a few failures among few calls are no rate', () => {
  const series = createBudgetSeries();
  series.add({ good: 0, total: 4 }, NOON);
  assert.equal(judgeSlo(slo, series, NOON).burning, undefined);
  assert.equal(judgeSlo(slo, createBudgetSeries(), NOON).state, 'no_data');
});

test('counts that cannot be are not counted, and a clock that steps back loses none', () => {
  const series = createBudgetSeries();
  for (const [good, total] of [
    [-1, 5],
    [5, 0],
    [1, Number.POSITIVE_INFINITY],
    [Number.NaN, 5],
  ] as const) {
    series.add({ good, total }, NOON);
  }
  assert.deepEqual(series.sum(HOUR, NOON), { good: 0, total: 0 });
  series.add({ good: 50, total: 5 }, NOON);
  assert.deepEqual(series.sum(HOUR, NOON), { good: 5, total: 5 });
  series.add({ good: 1, total: 2 }, NOON - DAY);
  assert.deepEqual(series.sum(HOUR, NOON - DAY), { good: 6, total: 7 });
  assert.deepEqual(series.sum(HOUR, NOON + 2 * HOUR), { good: 0, total: 0 });
  assert.deepEqual(series.sum(30 * DAY, NOON + 2 * HOUR), { good: 6, total: 7 });
  assert.deepEqual(series.sum(30 * DAY, NOON + 40 * DAY), { good: 0, total: 0 });
});

test('budgets outlive a restart, and an objective that changed keeps what was counted', () => {
  const first = createSloTracker([slo]);
  first.count('authentication_success', { namespace: 'a' }, { good: 90, total: 100 }, NOON);
  const saved = JSON.parse(JSON.stringify(first.save()));
  const second = createSloTracker([{ ...slo, objective: 0.9 }], saved);
  const [status] = second.statuses(NOON + MINUTE);
  assert.deepEqual([status?.good, status?.total], [90, 100]);
  second.setSlos([{ ...slo, namespace: 'a' }]);
  assert.equal(second.statuses(NOON)[0]?.total, 0, 'another scope counts something else');
});

test('an objective of a namespace counts that namespace, one of a service that service', () => {
  const of = (namespace: string, service?: string) => ({
    ...slo,
    name: `${namespace}${service}`,
    namespace,
    service,
  });
  const tracker = createSloTracker([slo, of('shop'), of('shop', 'orders')]);
  const count = (namespace: string, service: string) =>
    tracker.count('authentication_success', { namespace, service }, { good: 1, total: 1 }, NOON);
  count('shop', 'orders');
  count('shop', 'web');
  count('bank', 'orders');
  assert.deepEqual(
    tracker.statuses(NOON).map(({ total }) => total),
    [3, 2, 1],
  );
  assert.equal(DEFAULT_SLOS.length, 9);
});

test('denials burst when they are many and not the usual, and until they calm down', () => {
  const watch = createDenialWatch();
  const edge = { source: 'default/web', destination: 'default/orders' };
  const minute = (n: number, denied: number) => {
    watch.count({ ...edge, denied }, NOON + n * MINUTE);
    return watch.bursts(NOON + n * MINUTE).map((burst) => burst.denied);
  };
  assert.deepEqual(minute(0, 19), []);
  assert.deepEqual(minute(1, 1), [20]);
  assert.deepEqual(minute(30, 5), [5], 'it goes on while there are some');
  assert.deepEqual(minute(40, 4), []);
  const usual = createDenialWatch();
  for (let n = 0; n < 55; n++) usual.count({ ...edge, denied: 10 }, NOON + n * MINUTE);
  usual.bursts(NOON);
  assert.deepEqual(usual.bursts(NOON + 54 * MINUTE), [], 'ten a minute is what this edge does');
});
