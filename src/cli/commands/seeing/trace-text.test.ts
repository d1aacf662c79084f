import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TraceSpan } from '../../api-types.ts';
import { traceText } from './trace-text.ts';

const plain = (_style: string, text: string): string => text;

function span(over: Partial<TraceSpan>): TraceSpan {
  return {
    span_id: 's',
    parent_span_id: null,
    name: 'GET /list',
    kind: 'inbound',
    service: 'orders',
    node: 'default/orders/1',
    start: '2026-01-31T12:00:00.000Z',
    start_us: 1_000_000,
    duration_us: 10_000,
    attributes: {},
    ...over,
  };
}

function rows(spans: readonly TraceSpan[]): readonly string[] {
  const text = traceText({ trace_id: 'ab'.repeat(16), spans, records: [] }, plain);
  return text.split('\n').slice(2);
}

test('each span stands under the one that caused it, with its place in time', () => {
  const [caller = '', server = '', decision = ''] = rows([
    span({ span_id: 'a', kind: 'outbound', service: 'web', attributes: { status: 200 } }),
    span({
      span_id: 'b',
      parent_span_id: 'a',
      start_us: 1_005_000,
      duration_us: 5_000,
      attributes: { status: 403, verdict: 'deny', reason: 'policy_denied', policy: 'default/p' },
    }),
    span({
      span_id: 'b-decision',
      parent_span_id: 'b',
      kind: 'decision',
      name: 'decision',
      start_us: 1_005_000,
      duration_us: 100,
    }),
  ]);
  assert.match(caller, /^ {4}0\.0 ms {4}10\.0 ms █{24} web calls GET \/list +200$/);
  assert.match(
    server,
    /5\.0 ms {5}5\.0 ms {13}█{12} {3}orders serves GET \/list +403 denied policy_denied by default\/p$/,
  );
  assert.match(decision, / {4}decision *$/);
});

test('attack: spans that call each other, or share an id, and text that commands a terminal', () => {
  const circle = rows([
    span({ span_id: 'a', parent_span_id: 'b' }),
    span({ span_id: 'b', parent_span_id: 'a' }),
    span({ span_id: 'a', parent_span_id: 'a', name: '\u001b[2J' }),
  ]);
  assert.equal(circle.length, 3);
  assert.ok(!circle.join('').includes('\u001b'));
});
