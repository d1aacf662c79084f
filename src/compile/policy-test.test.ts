import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PolicyTestCase } from '#resource';
import { measureCoverage } from './policy-coverage.ts';
import { runPolicyTest } from './policy-test.ts';
import { policyYaml, serviceYaml, setsFrom, TRUST_DOMAIN } from './testing/resources.ts';

const YAML =
  serviceYaml('shop', 'orders') +
  policyYaml(
    'shop',
    'read',
    '{selector: {matchLabels: {app: orders}}, rules: [{from: [{source: {serviceAccounts: [web]}}], to: [{operation: {methods: [GET]}}]}, {to: [{operation: {paths: [/open]}}]}]}',
  ) +
  policyYaml('shop', 'unused', '{selector: {matchLabels: {app: nobody}}, rules: [{}]}');

const INPUT = { sets: setsFrom(YAML), trustDomain: TRUST_DOMAIN, nowMs: 0 };

function run(...cases: Omit<PolicyTestCase, 'name'>[]) {
  const named = cases.map((one, index) => ({ name: `case ${index}`, ...one }));
  return runPolicyTest({ metadata: { name: 't', namespace: 'shop' }, cases: named }, INPUT);
}

/** Checks the problems of one case. */
function check(name: string, one: Omit<PolicyTestCase, 'name'>, problems: readonly string[]): void {
  test(name, () => {
    const [result] = run(one);
    assert.deepEqual(result?.problems, problems);
    assert.equal(result?.passed, problems.length === 0);
  });
}

const GET = { method: 'GET', path: '/' };

check(
  'a name without namespace is of the test’s own',
  {
    from: 'web',
    to: 'orders',
    request: GET,
    expect: { verdict: 'allow', policy: 'read', rule: 0 },
  },
  [],
);
check(
  'what differs is said field by field',
  {
    from: 'else/web',
    to: 'orders',
    request: GET,
    expect: { verdict: 'allow', policy: 'shop/read' },
  },
  ['verdict: expected `allow`, got `deny`', 'policy: expected `shop/read`, got `none`'],
);
check(
  'a caller that is none fails the case',
  { from: 'a/b/c', to: 'orders', expect: { verdict: 'deny' } },
  ['`a/b/c` names no caller: write web, shop/web or a SPIFFE ID'],
);
check(
  'an ambiguous path is denied before policy',
  {
    from: 'web',
    to: 'orders',
    request: { path: '/open/../admin' },
    expect: { verdict: 'deny', reason: 'cannot_decide' },
  },
  [],
);

test('coverage names the rules that no case matched and the conditions that never fell one way', () => {
  const results = run(
    { from: 'web', to: 'orders', request: GET, expect: { verdict: 'allow' } },
    { from: 'api', to: 'orders', request: GET, expect: { verdict: 'deny' } },
  );
  const coverage = measureCoverage(
    INPUT.sets,
    results.flatMap(({ explanation }) => explanation ?? []),
  );
  assert.deepEqual(coverage.rules, { covered: 1, all: 3 });
  const [read, unused] = coverage.policies;
  assert.deepEqual(read?.unmatchedRules, [1]);
  assert.deepEqual(read?.gaps, [
    'rule 0, to[0]: method never failed',
    'rule 1, to[0]: path never held',
  ]);
  assert.deepEqual(unused?.gaps, ['no case is about a workload of it']);
});
