import assert from 'node:assert/strict';
import { test } from 'node:test';
import { workloadSpiffeId } from '#identity';
import { compileProgram, type PolicyIr, type Question } from '#policy';
import type { CallerBudget } from '#snapshot';
import { CallerAccounts } from './caller-budget.ts';
import { createFakeMesh, fakePolicy } from './fake-mesh.ts';

const { trustDomain } = createFakeMesh();

function budgetOf(units: number, priced: readonly (readonly [PolicyIr, number])[] = []) {
  const budget: CallerBudget = {
    units,
    perMs: 1_000,
    defaultCost: 1,
    costs: new Map(priced.map(([policy, cost]) => [policy.id, cost])),
    program: compileProgram(
      priced.map(([policy]) => policy),
      { defaultAction: 'deny' },
    ),
  };
  return budget;
}

function question(caller: string | undefined, path = '/'): Question {
  const id = caller === undefined ? undefined : workloadSpiffeId(trustDomain, 'default', caller);
  return {
    source: { id, ip: '127.0.0.1' },
    connection: { tls: id !== undefined, sni: undefined },
    request: { method: 'GET', host: 'orders', path },
    destination: { port: 80 },
    nowMs: 0,
  };
}

/** How many of `tries` requests are taken. */
function taken(
  accounts: CallerAccounts,
  budget: CallerBudget,
  asked: Question,
  tries = 20,
): number {
  let count = 0;
  for (let i = 0; i < tries; i++) if (accounts.charge(budget, asked) === undefined) count++;
  return count;
}

test('a caller gets its units and no more, others have their own, and they come back evenly', () => {
  let now = 5_000;
  const accounts = new CallerAccounts(() => now);
  const budget = budgetOf(10);
  assert.equal(taken(accounts, budget, question('web')), 10);
  assert.equal(taken(accounts, budget, question('batch')), 10);
  now += 300;
  assert.equal(taken(accounts, budget, question('web')), 3);
  now += 99;
  assert.equal(taken(accounts, budget, question('web')), 0);
  now += 60_000;
  assert.equal(taken(accounts, budget, question('web')), 10, 'what is not spent does not add up');
  const refused = accounts.charge(budget, question('web'));
  assert.deepEqual(refused, { kind: 'rate_limited', detail: 'caller_budget' });
});

test('a request costs what the first rule that matches says', () => {
  const budget = budgetOf(100, [
    [fakePolicy('ALLOW', 'free', { path: ['/health'] }), 0],
    [fakePolicy('ALLOW', 'dear', { path: ['/reports/*'] }), 40],
    [fakePolicy('ALLOW', 'all', { path: ['/*'] }), 2],
  ]);
  const accounts = new CallerAccounts(() => 0);
  assert.equal(taken(accounts, budget, question('web', '/health'), 1_000), 1_000);
  assert.equal(taken(accounts, budget, question('web', '/reports/year')), 2);
  // What is too dear is not taken, and what is left is still there for what is not.
  assert.equal(taken(accounts, budget, question('web', '/other')), 10);
  assert.equal(taken(accounts, budget, question('web', '*')), 0);
  assert.equal(taken(accounts, budget, question('else', '*'), 200), 100);
});

test('what a request costs and cannot be told is as dear as can be', () => {
  const budget = budgetOf(100, [[fakePolicy('ALLOW', 'cheap', { 'header:x': ['a'] }), 1]]);
  const accounts = new CallerAccounts(() => 0);
  assert.equal(taken(accounts, budget, question('web')), 1);
});

test('a new budget counts what was spent under the old one', () => {
  let now = 0;
  const accounts = new CallerAccounts(() => now);
  assert.equal(taken(accounts, budgetOf(10), question('web')), 10);
  assert.equal(taken(accounts, budgetOf(15), question('web')), 5);
  assert.equal(taken(accounts, budgetOf(5), question('web')), 0);
  now += 10_000;
  assert.equal(taken(accounts, budgetOf(5), question('web')), 5);
});

test('attack: callers without identity are one, however many they are', () => {
  const accounts = new CallerAccounts(() => 0);
  const budget = budgetOf(10);
  const from = (ip: string): Question => ({
    ...question(undefined),
    source: { id: undefined, ip },
  });
  const each = ['10.0.0.1', '10.0.0.2', '10.0.0.3'].map((ip) => taken(accounts, budget, from(ip)));
  assert.deepEqual(each, [10, 0, 0]);
});

test('attack: more callers than there is room for forget nobody who spent', () => {
  let now = 0;
  const accounts = new CallerAccounts(() => now);
  const budget = budgetOf(2);
  assert.equal(taken(accounts, budget, question('spender'), 3), 2);
  let passed = 0;
  for (let i = 0; i < 10_100; i++) passed += taken(accounts, budget, question(`c${i}`), 1);
  assert.equal(accounts.size, 10_001);
  assert.equal(passed, 9_999 + 2, 'who found no room shared one account');
  assert.equal(taken(accounts, budget, question('spender'), 3), 0);
  // Once what was spent is back, room is made.
  now += 2_000;
  assert.equal(taken(accounts, budget, question('newcomer'), 3), 2);
  assert.ok(accounts.size <= 2, `${accounts.size}`);
});
