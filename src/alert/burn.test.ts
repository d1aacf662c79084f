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

/** A series that was looked at for four days, though nothing happened, until so many minutes ago. */
function quiet(minutes: number) {
  const series = createBudgetSeries();
  for (let ago = 4 * DAY; ago >= minutes * MINUTE; ago -= MINUTE) series.look(NOON - ago);
  return series;
}

/** A month of 1,000 a minute with this share of bad ones since `sinceMs` ago until `untilMs` ago. */
function month(badShare: number, sinceMs: number, untilMs = 0) {
  const series = createBudgetSeries();
  for (let ago = 30 * DAY; ago > 7 * HOUR; ago -= MINUTE) {
    series.add({ good: 1_000, total: 1_000 }, NOON - ago);
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
  // A thousand each half hour is one in a hundred of those minutes.
  const burnt = (days: number) => {
    const series = createBudgetSeries();
    for (let ago = days * DAY; ago > 0; ago -= MINUTE) {
      series.look(NOON - ago);
      if (ago % (30 * MINUTE) === 0) series.add({ good: 998, total: 1_000 }, NOON - ago);
    }
    return judgeSlo(slo, series, NOON);
  };
  const three = burnt(3);
  assert.equal(three.burning?.rule.severity, 'ticket');
  assert.ok(Math.abs(three.budgetLeftRatio - 0.8) < 0.01, `${three.budgetLeftRatio}`);
  const { budgetLeftRatio: left, state } = burnt(20);
  assert.ok(left < 0 && left > -0.4, `${left}`);
  assert.equal(state, 'burning');
});

/** So many good and bad ones in each of the last so many minutes; the first is the oldest. */
type Minutes = readonly (readonly [good: number, bad: number])[];

const each = (minutes: number, good: number, bad: number): Minutes =>
  Array.from({ length: minutes }, () => [good, bad]);

/** The severity of what burns, for an objective, after these minutes of a new mesh or of one that was quiet for days. */
function after(objective: number, minutes: Minutes, before: 'new' | 'quiet') {
  const series = before === 'new' ? createBudgetSeries() : quiet(minutes.length);
  for (const [index, [good, bad]] of minutes.entries()) {
    const at = NOON - (minutes.length - 1 - index) * MINUTE;
    series.look(at);
    series.add({ good, total: good + bad }, at);
  }
  return judgeSlo({ ...slo, objective }, series, NOON);
}

test('few samples are no rate', () => {
  const cases = [
    ['four of four', 0.999, each(4, 0, 1), 'quiet', undefined],
    ['five of five, in three minutes or more', 0.999, each(5, 0, 1), 'quiet', 'page'],
    ['a thousand bad ones within two minutes', 0.999, each(2, 0, 500), 'quiet', undefined],
    ['and within three', 0.999, each(3, 0, 500), 'quiet', 'page'],
    [
      'five slow ones of six, where one in twenty may be',
      0.95,
      [[1, 0], ...each(5, 0, 1)],
      'quiet',
    ],
    ['five a minute, all slow, for three minutes', 0.95, each(3, 0, 5), 'quiet', undefined],
    ['and for ten', 0.95, each(10, 0, 5), 'quiet', 'page'],
  ] as const satisfies readonly Case[];
  for (const one of cases) check(one);
});

test('a new mesh is judged as one that had been well before', () => {
  const cases = [
    ['the first minute, all slow', 0.95, each(1, 0, 100), 'new', undefined],
    ['three minutes of denials, one in thirteen', 0.95, each(3, 120, 10), 'new', undefined],
    ['an hour of them', 0.95, each(60, 120, 10), 'new', undefined],
    ['a start in which a tenth fails', 0.999, each(3, 900, 100), 'new', undefined],
    ['nobody gets in for three minutes', 0.999, each(3, 0, 100), 'new', 'page'],
    ['everything is slow for half an hour', 0.95, each(30, 0, 100), 'new', undefined],
    ['and for three quarters', 0.95, each(45, 0, 100), 'new', 'page'],
  ] as const satisfies readonly Case[];
  for (const one of cases) check(one);
  const young = after(0.95, each(3, 120, 10), 'new');
  assert.equal(young.state, 'ok');
  assert.ok(young.budgetLeftRatio > 0.999 && young.burn1h < 0.1, JSON.stringify(young));
});

type Case = readonly [string, number, Minutes, 'new' | 'quiet', ('page' | 'ticket' | undefined)?];

function check([what, objective, minutes, before, expected]: Case): void {
  assert.equal(after(objective, minutes, before).burning?.rule.severity, expected, what);
}

test('a start after a night away is a start, not a rate', () => {
  const series = createBudgetSeries();
  for (let ago = 24 * HOUR; ago > 12 * HOUR; ago -= MINUTE) series.look(NOON - ago);
  const again = createBudgetSeries(JSON.parse(JSON.stringify(series.save())));
  for (let ago = 3; ago >= 0; ago--) again.add({ good: 5, total: 20 }, NOON - ago * MINUTE);
  const slow = { ...slo, objective: 0.95 };
  assert.equal(judgeSlo(slow, again, NOON).burning, undefined);
  assert.ok(Math.abs(again.stretch(HOUR, NOON).coverage - 4 / 60) < 0.001);
  assert.ok(Math.abs(again.stretch(DAY, NOON).coverage - 0.5) < 0.05);
});

test('an objective without a sample has none to show', () => {
  assert.equal(judgeSlo(slo, createBudgetSeries(), NOON).state, 'no_data');
  assert.equal(judgeSlo(slo, quiet(0), NOON).state, 'no_data');
});

test('what was saved before minutes were kept counts as measured', () => {
  const hour = Math.floor(NOON / HOUR);
  const minute = Math.floor(NOON / MINUTE);
  const old = createBudgetSeries({ minutes: [[minute, 1, 3]], hours: [[hour - 1, 90, 100]] });
  assert.deepEqual(old.stretch(MINUTE, NOON), { good: 1, total: 3, coverage: 1, badMinutes: 1 });
  assert.equal(old.stretch(DAY, NOON).badMinutes, 10);
});

test('counts that cannot be are not counted, and a clock that steps back loses none', () => {
  const series = createBudgetSeries();
  const sum = (windowMs: number, nowMs: number) => {
    const { good, total } = series.stretch(windowMs, nowMs);
    return { good, total };
  };
  for (const [good, total] of [
    [-1, 5],
    [5, 0],
    [1, Number.POSITIVE_INFINITY],
    [Number.NaN, 5],
  ] as const) {
    series.add({ good, total }, NOON);
  }
  assert.deepEqual(sum(HOUR, NOON), { good: 0, total: 0 });
  series.add({ good: 50, total: 5 }, NOON);
  assert.deepEqual(sum(HOUR, NOON), { good: 5, total: 5 });
  series.add({ good: 1, total: 2 }, NOON - DAY);
  assert.deepEqual(sum(HOUR, NOON - DAY), { good: 6, total: 7 });
  assert.deepEqual(sum(HOUR, NOON + 2 * HOUR), { good: 0, total: 0 });
  assert.deepEqual(sum(30 * DAY, NOON + 2 * HOUR), { good: 6, total: 7 });
  assert.deepEqual(sum(30 * DAY, NOON + 40 * DAY), { good: 0, total: 0 });
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
