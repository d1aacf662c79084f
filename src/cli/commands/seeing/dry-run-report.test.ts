import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type DryRunTally, dryRunText, summarizeDryRun } from './dry-run-report.ts';

function tally(over: Partial<DryRunTally>): DryRunTally {
  return {
    policy: 'default/p',
    source: 'web',
    sourceId: null,
    destination: 'default/orders',
    verdict: 'allow',
    would: 'allow',
    count: 1,
    first: '',
    last: '',
    sample: { method: 'GET', path: '/a', traceId: null },
    ...over,
  };
}

const OPTIONS = { since: '1h', idle: [], paint: (_style: string, text: string) => text };

/** Checks the text for some tallies. */
function check(name: string, tallies: readonly DryRunTally[], text: string, idle: string[] = []) {
  test(name, () => {
    assert.equal(dryRunText(summarizeDryRun(tallies), { ...OPTIONS, idle }), text);
  });
}

check('nothing in dry-run', [], 'no policy is in dry-run');
check('without a call', [], 'default/q in dry-run saw no call in the last 1h', ['default/q']);
check('no difference', [tally({ count: 5 })], 'default/p would change nothing of 5 in the last 1h');
check(
  'calls that would be denied, by caller, most first',
  [
    tally({ count: 60 }),
    tally({ would: 'deny', count: 7, source: 'batch' }),
    tally({ would: 'deny', count: 30 }),
  ],
  'default/p would deny 37 calls of 97 in the last 1h\n' +
    '  30 × web → default/orders: allow would be deny, e.g. GET /a\n' +
    '  7 × batch → default/orders: allow would be deny, e.g. GET /a',
);
check(
  'attack: a path that would command the terminal',
  [tally({ would: 'deny', sample: { method: 'GET', path: '/\u001b[2J', traceId: null } })],
  'default/p would deny 1 call of 1 in the last 1h\n' +
    '  1 × web → default/orders: allow would be deny, e.g. GET /\ufffd[2J',
);
