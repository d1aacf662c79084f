import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeContext } from './fake-context.ts';
import { type FakeControlPlane, startFakeControlPlane } from './fake-control-plane.ts';
import { timesText } from './nothing-found.ts';
import { runCli } from './program.ts';

const NOW = Date.parse('2026-11-22T12:00:00Z');

test('the times of a search are told as instants', () => {
  for (const [asked, expected] of [
    [{}, 'of any time'],
    [{ since: '5m' }, 'from 2026-11-22T11:55:00.000Z until now'],
    [
      { since: '2026-11-01T00:00:00Z', until: '1h' },
      'from 2026-11-01T00:00:00.000Z until 2026-11-22T11:00:00.000Z',
    ],
    [{ until: '2026-11-01' }, 'of any time until 2026-11-01T00:00:00.000Z'],
    [{ since: 'y\u001b[2J' }, 'from y\ufffd[2J until now'],
  ] as const) {
    assert.equal(timesText(asked, NOW), expected);
  }
});

/** What a control plane without records, alerts and identities answers. */
const EMPTY = {
  'GET /audit?action=policy.commit&since=24h&log=control&limit=50': {
    items: [],
    next_cursor: null,
  },
  'GET /audit?text=x&log=ca&limit=50': { items: [], next_cursor: null },
  'GET /records?to=orders&since=1h&order=desc&limit=1000': { items: [], next: null },
  'GET /alerts?state=firing&limit=1000': { items: [], next: null },
  'GET /alerts?state=resolved&severity=page&limit=1000': { items: [], next: null },
  'GET /silences?limit=1000': { items: [], next: null },
  'GET /identities?limit=1000': { items: [], next: null },
  'GET /identities?current=true&limit=1000': { items: [], next: null },
  'GET /sinks': { items: [], next: null },
};

test('a search or a list that finds nothing says so, ends with 0, and prints no line that a program would take', async () => {
  const control = await startFakeControlPlane(EMPTY);
  try {
    for (const [words, expected] of [
      [
        'audit search --action policy.commit --since 24h',
        /^no record of the control log matched, from \S+Z until now$/,
      ],
      ['audit search --text x --log ca', /^no record of the ca log matched, of any time$/],
      ['log --to orders --since 1h', /^no call matched, from \S+Z until now$/],
    ] as const) {
      const { status, printed, complained } = await run(control, words);
      assert.deepEqual([status, printed.trim()], [0, ''], words);
      assert.match(complained.trim(), expected);
    }
    for (const [words, expected] of [
      ['alerts list', 'nothing needs a person'],
      ['alerts list --state resolved --severity page', 'no page is resolved'],
      ['alerts silences', 'no alert is silenced'],
      ['identity list', 'nobody has an identity'],
      ['identity list --all', 'no certificate is in the log'],
      ['sink list', 'no sinks: apply a resource of kind Sink in palisade-system'],
    ] as const) {
      const { status, printed } = await run(control, words);
      assert.deepEqual([status, printed.trim()], [0, expected], words);
    }
    const json = await run(control, 'audit search --text x --log ca -o json');
    assert.deepEqual(JSON.parse(json.printed), []);
  } finally {
    control.close();
  }
});

async function run({ dataDir }: FakeControlPlane, words: string) {
  const context = createFakeContext();
  const status = await runCli(['--data', dataDir, ...words.split(' ')], context);
  return { status, printed: context.printed(), complained: context.complained() };
}
