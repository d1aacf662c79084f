import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Alert } from '../../api/alert.ts';
import type { Problem } from '../../api/overview.ts';
import { needsOf } from './needs.ts';

function problem(sentence: string, severity: Problem['severity']): Problem {
  return { sentence, severity, command: null };
}

function alert(summary: string, changes: Partial<Alert> = {}): Alert {
  return {
    id: summary,
    name: summary,
    summary,
    severity: 'ticket',
    state: 'firing',
    starts_at: '2026-03-02T10:00:00.000Z',
    ...changes,
  };
}

const cases: { name: string; problems: Problem[]; alerts: Alert[]; expected: string[] }[] = [
  { name: 'nothing', problems: [], alerts: [], expected: [] },
  {
    name: 'the worst first, and of the same severity an alert first',
    problems: [problem('p-info', 'info'), problem('p-ticket', 'ticket'), problem('p-page', 'page')],
    alerts: [alert('a-ticket'), alert('a-page', { severity: 'page' })],
    expected: ['a-page', 'p-page', 'a-ticket', 'p-ticket', 'p-info'],
  },
  {
    name: 'what is over, silenced or expected wants nobody',
    problems: [problem('Silenced', 'page')],
    alerts: [
      alert('over', { state: 'resolved' }),
      alert('silenced', { silenced_by: 'ann' }),
      alert('expected', { inhibited_by: 'rollout' }),
    ],
    expected: [],
  },
  {
    name: 'the same sentence once, with its page',
    problems: [problem('Same', 'ticket')],
    alerts: [alert('same')],
    expected: ['same'],
  },
  {
    name: 'the same sentence once, though its number moved on in between',
    problems: [problem('its budget goes 2.1 times too fast', 'ticket')],
    alerts: [alert('its budget goes 1.9 times too fast')],
    expected: ['its budget goes 1.9 times too fast'],
  },
  {
    name: 'two nodes are two things to do',
    problems: [problem('node 10.0.0.2:80 is late', 'ticket')],
    alerts: [alert('node 10.0.0.1:80 is late')],
    expected: ['node 10.0.0.1:80 is late', 'node 10.0.0.2:80 is late'],
  },
  {
    name: 'many of one kind are one thing to do',
    problems: [problem('b is late', 'ticket')],
    alerts: ['a', 'b', 'c'].map((node) => alert(`${node} is late`, { name: 'late' })),
    expected: ['a is late, and 2 more alerts like it'],
  },
];

for (const { name, problems, alerts, expected } of cases) {
  test(`needs: ${name}`, () => {
    assert.deepEqual(
      needsOf(problems, alerts).map((need) => need.sentence),
      expected,
    );
  });
}
