import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Alert } from '../../api/alert.ts';
import { alertsSentence, groupAlerts, matchAlerts, runbookName } from './alert-order.ts';

function alert(name: string, changes: Partial<Alert> = {}): Alert {
  return {
    id: name,
    name,
    severity: 'ticket',
    state: 'firing',
    starts_at: '2026-03-02T10:00:00.000Z',
    ends_at: null,
    summary: `${name} happens`,
    labels: { service: 'orders' },
    ...changes,
  };
}

const cases: { name: string; alerts: Alert[]; order: string; sentence: string }[] = [
  { name: 'nothing', alerts: [], order: '//', sentence: 'Nothing is firing that wants a person.' },
  {
    name: 'a page comes before an older ticket',
    alerts: [
      alert('old', { starts_at: '2026-03-02T08:00:00.000Z' }),
      alert('urgent', { severity: 'page' }),
    ],
    order: 'urgent old//',
    sentence: '1 page and 1 ticket are firing.',
  },
  {
    name: 'what is silenced or expected steps back, even a page',
    alerts: [
      alert('known', { severity: 'page', silenced_by: 'ann' }),
      alert('rollout', { inhibited_by: 'rollout shop@8' }),
      alert('new'),
    ],
    order: 'new/known rollout/',
    sentence: '1 ticket is firing. 2 alerts are silenced or expected.',
  },
  {
    name: 'what is over, the latest first',
    alerts: [
      alert('a', { state: 'resolved', ends_at: '2026-03-02T11:00:00.000Z' }),
      alert('b', { state: 'resolved', ends_at: '2026-03-02T12:00:00.000Z' }),
    ],
    order: '//b a',
    sentence: 'Nothing is firing that wants a person.',
  },
];

for (const { name, alerts, order, sentence } of cases) {
  test(`alerts: ${name}`, () => {
    const groups = groupAlerts(alerts);
    const named = (list: readonly Alert[]): string => list.map((one) => one.name).join(' ');
    assert.equal([groups.open, groups.quiet, groups.resolved].map(named).join('/'), order);
    assert.equal(alertsSentence(groups), sentence);
  });
}

test('alerts are found by name, words and labels', () => {
  const alerts = [alert('one'), alert('two', { labels: { service: 'web' } })];
  const found = (text: string): number => matchAlerts(alerts, text).length;
  assert.deepEqual(['', 'HAPPENS', 'orders', 'two', 'none'].map(found), [2, 2, 1, 1, 0]);
});

test('attack: a runbook that leads elsewhere', () => {
  assert.equal(runbookName('docs/runbooks/stale-policy.md'), 'stale-policy');
  for (const path of ['docs/runbooks/../x.md', 'https://evil/docs/runbooks/a.md', '', null]) {
    assert.equal(runbookName(path), undefined);
  }
});
