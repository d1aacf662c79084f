import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DryRunTally } from '../../api/dry-run.ts';
import { dryRunEffects, effectSentence } from './dry-run-effects.ts';

function tally(over: Partial<DryRunTally>): DryRunTally {
  return {
    policy: 'shop/p',
    source: 'web',
    sourceId: null,
    destination: 'shop/orders',
    verdict: 'allow',
    would: 'allow',
    count: 1,
    first: '',
    last: '',
    sample: { method: 'GET', path: '/' },
    ...over,
  };
}

/** Checks the sentences for some tallies. */
function check(name: string, tallies: readonly DryRunTally[], sentences: readonly string[]): void {
  test(name, () => {
    assert.deepEqual(dryRunEffects(tallies).map(effectSentence), sentences);
  });
}

check('no tallies, no effects', [], []);
check(
  'nothing would change',
  [tally({ count: 3 })],
  ['would change nothing of 3 calls in the last day'],
);
check(
  'those that deny most come first',
  [
    tally({ policy: 'shop/a', would: 'deny' }),
    tally({ would: 'deny', count: 5 }),
    tally({ verdict: 'deny', count: 2 }),
  ],
  [
    'would deny 5 calls and would allow 2 calls now denied of 7 calls in the last day',
    'would deny 1 call of 1 call in the last day',
  ],
);
