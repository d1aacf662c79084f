import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRecordedCall } from '../records/access-record.ts';
import { createEdgeCounters } from './edge.ts';
import { createSecurityCounts } from './security-counts.ts';

const key = {
  sourceId: null,
  sourceService: null,
  sourceNamespace: null,
  destinationId: null,
  destinationService: 'orders',
  destinationNamespace: 'default',
  protocol: 'http',
  mtls: true,
} as const;

test('handshakes that fail and peers that prove nothing are told apart, each once', () => {
  const samples = [
    ['ok', 90],
    ['failed', 3],
    ['handshake_timeout', 2],
    ['no_common_protocol', 1],
    ['expired', 4],
  ].map(([outcome, value]) => ({ labels: { outcome: String(outcome) }, value: Number(value) }));
  const counts = createSecurityCounts(() => samples);
  assert.deepEqual(counts.take(), [
    { name: 'handshake', good: 94, total: 100 },
    { name: 'authentication', good: 90, total: 94 },
  ]);
  assert.deepEqual(counts.take(), []);
  const [first] = samples;
  if (first !== undefined) first.value += 5;
  assert.deepEqual(counts.take(), [
    { name: 'handshake', good: 5, total: 5 },
    { name: 'authentication', good: 5, total: 5 },
  ]);
});

test('decisions on incoming calls count against a millisecond; those never made do not', () => {
  const counts = createSecurityCounts(() => []);
  const edge = createEdgeCounters({ ...key, reporter: 'destination' });
  const outgoing = createEdgeCounters({ ...key, reporter: 'source' });
  for (const decisionUs of [12, 1_000, 1_001, -1]) {
    const call = { ...createRecordedCall({ json: '' }), decisionUs };
    counts.countCall(edge, call);
    counts.countCall(outgoing, call);
  }
  assert.deepEqual(counts.take(), [{ name: 'decision_latency', good: 2, total: 3 }]);
});
