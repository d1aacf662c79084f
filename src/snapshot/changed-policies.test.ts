import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ExceptionIr, PolicyIr } from '#policy';
import { changedPolicies } from './changed-policies.ts';

function policy(name: string, more: Partial<PolicyIr> = {}): PolicyIr {
  return {
    id: `shop/${name}`,
    namespace: 'shop',
    name,
    action: 'ALLOW',
    dryRun: false,
    rules: [],
    origin: { labels: {}, annotations: {}, matchLabels: undefined, targets: [] },
    ...more,
  };
}

const A = policy('a');
const EXCEPTION: ExceptionIr = { id: 'shop/for-now', expiresAt: 1, rules: [] };
const EXCEPTED = policy('a', { exceptions: [EXCEPTION] });

function check(
  name: string,
  [before, after]: readonly [readonly PolicyIr[], readonly PolicyIr[]],
  expected: readonly string[],
): void {
  test(name, () => assert.deepEqual([...changedPolicies(before, after)], expected));
}

check('the same policies', [[A], [A]], []);
check('the same written anew', [[A], [policy('a')]], []);
check('a new one', [[A], [A, policy('b')]], ['shop/b']);
check('one that does something else', [[A], [policy('a', { action: 'DENY' })]], ['shop/a']);
check('one that leaves dry-run', [[policy('a', { dryRun: true })], [A]], ['shop/a']);
check('one that is gone', [[A, policy('b')], [A]], []);
check('a new exception', [[A], [EXCEPTED]], ['shop/a', 'shop/for-now']);
check(
  'one exception of two that changes',
  [
    [policy('a', { exceptions: [EXCEPTION, { ...EXCEPTION, id: 'shop/other' }] })],
    [policy('a', { exceptions: [EXCEPTION, { ...EXCEPTION, id: 'shop/other', expiresAt: 2 }] })],
  ],
  ['shop/a', 'shop/other'],
);
