import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMessage, decodeMessage, encodeMessage, loadOtlp } from '#wire';
import type { MetricsEvidence, TraceEvidence } from '../evidence.ts';
import { fakeAlert, fakeAudit, fakeRecord } from '../fake-evidence.ts';
import { encodeOtlp, readPartialSuccess } from './otlp.ts';

const AUTHOR = { version: '0.2.0', trustDomain: 'cluster.local', hostname: 'control-1' };
const otlp = await loadOtlp();

type Attribute = {
  readonly key: string;
  readonly value?: { readonly value: { readonly value?: unknown } } | undefined;
};

function valueOf(attributes: readonly Attribute[], key: string): unknown {
  return attributes.find((attribute) => attribute.key === key)?.value?.value.value;
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

test('records are logs, grouped by the sidecar that made them, in their order', () => {
  const batch = [
    fakeRecord(1, {
      node: 'a',
      trace_id: '0af7651916cd43dd8448eb211c80319c',
      span_id: 'b7ad6b7169203331',
    }),
    fakeRecord(2, {
      node: 'b',
      verdict: 'deny',
      reason: 'policy_denied',
      dry_run: [{ policy: 'x', verdict: 'deny' }],
    }),
    fakeRecord(3, { node: 'a', status: 503, trace_id: 'no hex', span_id: null }),
  ];
  const request = decodeMessage(
    otlp.ExportLogsServiceRequestSchema,
    encodeOtlp(otlp, batch, AUTHOR),
  );
  const groups = request.resourceLogs.map(({ resource, scopeLogs }) => ({
    instance: valueOf(resource?.attributes ?? [], 'service.instance.id'),
    uids: scopeLogs.flatMap(({ logRecords }) =>
      logRecords.map(({ attributes }) => valueOf(attributes, 'log.record.uid')),
    ),
  }));
  assert.deepEqual(groups, [
    { instance: 'a', uids: ['r-1', 'r-3'] },
    { instance: 'b', uids: ['r-2'] },
  ]);
  const [first, third] = request.resourceLogs[0]?.scopeLogs[0]?.logRecords ?? [];
  const second = request.resourceLogs[1]?.scopeLogs[0]?.logRecords[0];
  assert.ok(first && second && third);
  assert.deepEqual(
    [hex(first.traceId), hex(first.spanId)],
    ['0af7651916cd43dd8448eb211c80319c', 'b7ad6b7169203331'],
  );
  assert.deepEqual([hex(third.traceId), hex(third.spanId)], ['', '']);
  assert.deepEqual(
    [first.severityNumber, second.severityNumber, third.severityNumber],
    [9, 13, 17],
  );
  assert.equal(first.timeUnixNano, BigInt(Date.parse('2026-01-31T12:00:00.123Z')) * 1_000_000n);
  assert.equal(valueOf(first.attributes, 'http.response.status_code'), 200n);
  assert.equal(valueOf(second.attributes, 'palisade.reason'), 'policy_denied');
  assert.equal(valueOf(second.attributes, 'palisade.dry_run'), '[{"policy":"x","verdict":"deny"}]');
});

test('a call has the attributes of the semantic conventions, of their types', () => {
  const check = (changes: Parameters<typeof fakeRecord>[1], expected: Record<string, unknown>) => {
    const bytes = encodeOtlp(otlp, [fakeRecord(1, changes)], AUTHOR);
    const request = decodeMessage(otlp.ExportLogsServiceRequestSchema, bytes);
    const all = request.resourceLogs[0]?.scopeLogs[0]?.logRecords[0]?.attributes ?? [];
    for (const [key, value] of Object.entries(expected)) {
      assert.deepEqual(valueOf(all, key), value, key);
    }
  };
  check(
    { method: 'GET', host: 'orders.shop:8080', 'tls.version': 'TLSv1.3', status: 200 },
    {
      'http.request.method': 'GET',
      'http.request.method_original': undefined,
      'server.address': 'orders.shop',
      'tls.protocol.name': 'tls',
      'tls.protocol.version': '1.3',
      'url.scheme': 'http',
      'http.response.status_code': 200n,
      'error.type': undefined,
    },
  );
  check(
    { method: 'MKCOL', host: '[::1]:80', 'tls.version': null, status: 503, reason: null },
    {
      'http.request.method': '_OTHER',
      'http.request.method_original': 'MKCOL',
      'server.address': '::1',
      'tls.protocol.name': undefined,
      'error.type': '503',
    },
  );
  const denied = { verdict: 'deny', reason: 'policy_denied', status: 403 } as const;
  check(
    { ...denied, host: null, 'destination.service': 'orders' },
    {
      'error.type': 'policy_denied',
      'server.address': 'orders',
    },
  );
  check(
    { kind: 'tcp', method: null, host: null, path: null, status: null },
    {
      'http.request.method': undefined,
      'url.scheme': undefined,
    },
  );
});

test('audit events and alerts are logs of the control plane', () => {
  for (const [item, event] of [
    [fakeAudit({ action: 'policy.commit' }), 'palisade.audit'],
    [fakeAlert(), 'palisade.alert'],
  ] as const) {
    const request = decodeMessage(
      otlp.ExportLogsServiceRequestSchema,
      encodeOtlp(otlp, [item], AUTHOR),
    );
    const [group] = request.resourceLogs;
    assert.equal(valueOf(group?.resource?.attributes ?? [], 'service.name'), 'palisade-control');
    const log = group?.scopeLogs[0]?.logRecords[0];
    assert.equal(log?.eventName, event);
    assert.equal(valueOf(log?.attributes ?? [], 'log.record.uid'), item.id);
  }
});

function traced(changes: Parameters<typeof fakeRecord>[1]): TraceEvidence {
  const ids = { trace_id: '0af7651916cd43dd8448eb211c80319c', span_id: 'b7ad6b7169203331' };
  const { id, position, value } = fakeRecord(1, { ...ids, ...changes });
  return { kind: 'traces', id, position, value };
}

test('a record is a span with one below it for each stage, the same ids each time', () => {
  const item = traced({
    reporter: 'source',
    parent_span_id: '00f067aa0ba902b7',
    duration_us: 900,
    decision_us: 100,
    tunnel_wait_us: 50,
    upstream_us: 700,
    policy: 'default/orders',
    verdict: 'deny',
    reason: 'policy_denied',
  });
  const bytes = encodeOtlp(otlp, [item], AUTHOR);
  assert.deepEqual(encodeOtlp(otlp, [item], AUTHOR), bytes);
  const request = decodeMessage(otlp.ExportTraceServiceRequestSchema, bytes);
  const [whole, ...stages] = request.resourceSpans[0]?.scopeSpans[0]?.spans ?? [];
  assert.ok(whole);
  assert.deepEqual(
    [whole.kind, hex(whole.parentSpanId), whole.status?.code],
    [3, '00f067aa0ba902b7', 2],
  );
  assert.equal(whole.endTimeUnixNano - whole.startTimeUnixNano, 900_000n);
  const start = whole.startTimeUnixNano;
  assert.deepEqual(
    stages.map(({ name, startTimeUnixNano: from, endTimeUnixNano: to }) => [
      name,
      from - start,
      to - start,
    ]),
    [
      ['decision', 0n, 100_000n],
      ['tunnel wait', 100_000n, 150_000n],
      ['upstream', 150_000n, 850_000n],
    ],
  );
  assert.ok(
    stages.every(
      ({ parentSpanId, spanId }) => hex(parentSpanId) === 'b7ad6b7169203331' && spanId.length === 8,
    ),
  );
  assert.equal(new Set(stages.map(({ spanId }) => hex(spanId))).size, 3);
  assert.equal(valueOf(stages[0]?.attributes ?? [], 'palisade.policy'), 'default/orders');
});

test('metrics keep their kind', () => {
  const item: MetricsEvidence = {
    kind: 'metrics',
    id: 'm',
    position: 1,
    value: {
      time: '2026-01-31T12:00:30.000Z',
      since: '2026-01-31T12:00:00.000Z',
      families: [
        {
          name: 'c_total',
          help: 'c',
          kind: 'counter',
          samples: [{ labels: { a: 'b' }, value: 3 }],
        },
        { name: 'g', help: 'g', kind: 'gauge', samples: [{ labels: {}, value: -1.5 }] },
        {
          name: 'h',
          help: 'h',
          kind: 'histogram',
          samples: [{ labels: {}, bounds: [1, 5], counts: [2, 0, 1], sum: 12 }],
        },
      ],
    },
  };
  const request = decodeMessage(
    otlp.ExportMetricsServiceRequestSchema,
    encodeOtlp(otlp, [item], AUTHOR),
  );
  const [counter, gauge, histogram] =
    request.resourceMetrics[0]?.scopeMetrics[0]?.metrics.map(({ data }) => data) ?? [];
  assert.ok(counter?.case === 'sum' && gauge?.case === 'gauge' && histogram?.case === 'histogram');
  assert.deepEqual([counter.value.isMonotonic, counter.value.aggregationTemporality], [true, 2]);
  assert.equal(counter.value.dataPoints[0]?.value.value, 3);
  assert.equal(gauge.value.dataPoints[0]?.value.value, -1.5);
  const [point] = histogram.value.dataPoints;
  assert.deepEqual([point?.count, point?.sum, point?.bucketCounts], [3n, 12, [2n, 0n, 1n]]);
});

test('an answer that is none of OTLP is not taken for one', () => {
  const good = encodeMessage(
    otlp.ExportLogsServiceResponseSchema,
    createMessage(otlp.ExportLogsServiceResponseSchema, {
      partialSuccess: { rejectedLogRecords: 2n, errorMessage: 'too\nold' },
    }),
  );
  assert.deepEqual(readPartialSuccess(otlp, 'logs', new Uint8Array()), { kind: 'delivered' });
  assert.deepEqual(readPartialSuccess(otlp, 'logs', good), {
    kind: 'delivered',
    rejected: 2,
    note: 'rejected 2: too old',
  });
  for (const text of ['<html>welcome</html>', 'OK', '{"partialSuccess":{}}']) {
    assert.equal(readPartialSuccess(otlp, 'logs', Buffer.from(text)).kind, 'retry', text);
  }
});
