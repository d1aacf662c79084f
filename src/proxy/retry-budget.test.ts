import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RetryBudget } from './retry-budget.ts';

/** How many retries are allowed in a row. */
function taken(
  budget: RetryBudget,
  settings: { readonly percent: number; readonly minPerSecond: number },
): number {
  let count = 0;
  while (count < 10_000 && budget.tryTake(settings)) count++;
  return count;
}

test('retries: a share of the calls of the last ten seconds, and a few a second on top', () => {
  let now = 5_000;
  const budget = new RetryBudget(() => now);
  const settings = { percent: 20, minPerSecond: 1 };
  assert.equal(taken(budget, settings), 10);
  for (let i = 0; i < 100; i++) budget.noteCall();
  assert.equal(taken(budget, settings), 20);
  now += 9_000;
  assert.equal(taken(budget, settings), 0);
  // Calls and retries leave the window together.
  now += 1_000;
  assert.equal(taken(budget, settings), 10);
});

test('retries: a tunnel that breaks fails many calls in one moment, and they are tried again', () => {
  let now = 0;
  const budget = new RetryBudget(() => now);
  for (let i = 0; i < 1_000; i++) {
    now = i * 9;
    budget.noteCall();
  }
  assert.equal(taken(budget, { percent: 20, minPerSecond: 10 }), 300);
});

test('attack: a service that fails everything gets at most its share more, however long', () => {
  let now = 0;
  let retries = 0;
  const budget = new RetryBudget(() => now);
  const calls = 100_000;
  for (let i = 0; i < calls; i++) {
    now += 1;
    budget.noteCall();
    for (let tries = 0; tries < 10; tries++) {
      if (budget.tryTake({ percent: 20, minPerSecond: 0 })) retries++;
    }
  }
  assert.ok(retries <= calls * 0.2 + 1, `${retries}`);
  assert.ok(retries >= calls * 0.19, `${retries}`);
});

test('a clock that stood still for long empties the window once', () => {
  let now = 0;
  const budget = new RetryBudget(() => now);
  for (let i = 0; i < 50; i++) budget.noteCall();
  now += 10 * 365 * 24 * 3_600_000;
  assert.equal(taken(budget, { percent: 100, minPerSecond: 0 }), 0);
});
