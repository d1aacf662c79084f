import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AlertEvent, alertEvent } from './alert-event.ts';
import { NOON } from './fake-facts.ts';
import { alertmanagerWebhooks, prometheusName } from './webhook.ts';

function event(node: string, endsAt?: number): AlertEvent {
  return alertEvent(
    {
      name: 'policy-refused',
      severity: 'page',
      labels: { node, namespace: 'default', alertname: 'forged', severity: 'none' },
      summary: `${node} refuses`,
      evidence: [
        { text: 'one', link: null },
        { text: 'two', link: '/enforcement' },
      ],
      command: 'palisade status',
    },
    {
      phase: endsAt === undefined ? 'firing' : 'resolved',
      startsAt: NOON,
      endsAt,
      silencedBy: undefined,
      inhibitedBy: undefined,
    },
  );
}

test('name and severity are labels, whatever a label of ours is called', () => {
  const about = { receiver: 'soar', consoleUrl: 'http://127.0.0.1:7703' };
  const [message] = alertmanagerWebhooks([event('a')], about);
  const [firing] = message?.alerts ?? [];
  assert.deepEqual(firing?.labels, {
    node: 'a',
    namespace: 'default',
    alertname: 'PalisadePolicyRefused',
    severity: 'page',
  });
  assert.equal(firing.annotations['evidence'], 'one; two');
  assert.equal(firing.annotations['runbook'], 'docs/runbooks/policy-refused.md');
  assert.equal(firing.startsAt, '2026-01-15T12:00:00.000Z');
});

test('a webhook gets one message a group, as Alertmanager would send it', () => {
  const elsewhere = { ...event('c'), group: 'policy-refused/other' };
  const about = { receiver: 'soar', consoleUrl: 'http://127.0.0.1:7703' };
  const [first, second] = alertmanagerWebhooks(
    [event('a'), event('b', NOON + 1), elsewhere],
    about,
  );
  assert.equal(first?.version, '4');
  assert.equal(first.status, 'firing', 'as long as one of them does');
  assert.equal(first.groupKey, 'policy-refused/default');
  // What the key is made of, as Alertmanager's `group_by`.
  assert.deepEqual(first.groupLabels, {
    alertname: 'PalisadePolicyRefused',
    namespace: 'default',
  });
  assert.deepEqual(
    first.alerts.map(({ status, endsAt }) => [status, endsAt]),
    [
      ['firing', '0001-01-01T00:00:00Z'],
      ['resolved', '2026-01-15T12:00:00.001Z'],
    ],
  );
  assert.deepEqual(first.commonLabels, {
    namespace: 'default',
    alertname: 'PalisadePolicyRefused',
    severity: 'page',
  });
  assert.equal(second?.alerts.length, 1);
  const [over] = alertmanagerWebhooks([event('a', NOON)], about);
  assert.equal(over?.status, 'resolved');
});

test('names become what rules of Prometheus call them', () => {
  assert.equal(prometheusName('denial-burst'), 'PalisadeDenialBurst');
});
