import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LogVerification } from '../../api/audit-event.ts';
import type { SourceHour } from '../../api/completeness.ts';
import type { Sink } from '../../api/sink.ts';
import { evidenceSentence, sumSources } from './evidence-state.ts';

function hour(source: string, changes: Partial<SourceHour>): SourceHour {
  const counts = { issued: 100, arrived: 100, sampled: 0, ratio: 1 };
  return { source, service: 'web', hour: '2026-03-02T10:00:00.000Z', ...counts, ...changes };
}

function log(state: LogVerification['state']): LogVerification {
  return { name: 'control', size: 7, state };
}

function sink(state: Sink['state']): Sink {
  return { name: 'siem', state } as Sink;
}

test('a source is summed over its hours, and the least complete comes first', () => {
  const gap = { from_seq: 40, until_seq: 43, why: 'spool full' };
  const sums = sumSources([
    hour('a', {}),
    hour('b', { arrived: 60, sampled: 30, dropped: { allow: 6, deny: 0 }, gaps: [gap] }),
    hour('b', {}),
  ]);
  assert.deepEqual(
    sums.map(({ source, missing, ratio, dropped }) => [source, missing, ratio, dropped]),
    [
      ['b', 4, 0.95, { allow: 6 }],
      ['a', 0, 1, {}],
    ],
  );
  assert.deepEqual(sums[0]?.gaps, [gap]);
});

test('a source that issued nothing is not incomplete', () => {
  assert.equal(sumSources([hour('a', { issued: 0, arrived: 0 })])[0]?.ratio, null);
});

test('the sentence says the worst of each, and nothing of what is not known', () => {
  const unknown = { verification: undefined, completeness: undefined, sinks: undefined };
  const check = (known: Partial<Parameters<typeof evidenceSentence>[0]>, expected: string) =>
    assert.equal(evidenceSentence({ ...unknown, ...known }), expected);
  check({}, 'The control plane has not said yet what it can prove.');
  check(
    { verification: { logs: [log('verified')], witnesses: [] } },
    '7 audit events, all verified.',
  );
  check(
    { verification: { logs: [log('unverified')], witnesses: [] } },
    '1 log is not verified yet.',
  );
  check(
    {
      verification: { logs: [log('failed')], witnesses: [] },
      sinks: [sink('ok'), sink('failing')],
    },
    'The control log does not verify; 1 of 2 sinks not delivering.',
  );
  check(
    { completeness: { ratio: 0.981, sources: [hour('a', { arrived: 90 })] }, sinks: [sink('ok')] },
    '98.1 % of records accounted for; 1 sink is delivering.',
  );
});
