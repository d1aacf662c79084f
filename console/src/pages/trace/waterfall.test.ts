import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ListedRecord } from '../../api/access-record.ts';
import type { Span } from '../../api/trace.ts';
import { lengthOf, waterfallOf } from './waterfall.ts';

function record(span: string, parent: string | null, changes: Partial<ListedRecord>): ListedRecord {
  return {
    'record.id': span,
    span_id: span,
    parent_span_id: parent,
    reporter: 'destination',
    time: '2026-03-02T10:00:00.000Z',
    'source.service': 'web',
    'destination.service': 'orders',
    method: 'GET',
    path: '/a',
    duration_us: 5000,
    ...changes,
  } as ListedRecord;
}

function span(id: string, kind: string): Span {
  const start = '2026-03-02T10:00:00.001Z';
  return {
    span_id: id,
    parent_span_id: 'a',
    name: 'GET',
    kind,
    service: 'lost',
    start,
    duration_us: 9,
  };
}

const later = '2026-03-02T10:00:00.001Z';
const cases: { name: string; records: ListedRecord[]; spans: Span[]; rows: string[] }[] = [
  { name: 'of nothing', records: [], spans: [], rows: [] },
  {
    name: 'sides below each other, stages one after the other',
    records: [
      record('b', 'a', { time: later, decision_us: 30, upstream_us: 2000, tunnel_wait_us: null }),
      record('a', null, { reporter: 'source', duration_us: 8000, tunnel_wait_us: 700 }),
    ],
    spans: [],
    rows: [
      '0 source web 0+8000',
      '1 tunnel wait web 0+700',
      '1 destination orders 1000+5000',
      '2 decision orders 1000+30',
      '2 upstream orders 1030+2000',
    ],
  },
  {
    name: 'with a span whose record was not kept, and without stages told twice',
    records: [record('a', null, {})],
    spans: [span('a', 'inbound'), span('x', 'inbound'), span('y', 'decision')],
    rows: ['0 destination orders 0+5000', '1 span lost 1000+9'],
  },
  {
    name: 'attack: of spans that are each other’s parents',
    records: [record('a', 'b', {}), record('b', 'a', {}), record('c', 'c', {})],
    spans: [],
    rows: [
      '0 destination orders 0+5000',
      '0 destination orders 0+5000',
      '1 destination orders 0+5000',
    ],
  },
];

for (const { name, records, spans, rows } of cases) {
  test(`a trace ${name}`, () => {
    const found = waterfallOf({ trace_id: 't', spans, records });
    assert.deepEqual(
      found.map(
        (row) => `${row.depth} ${row.kind} ${row.service} ${row.startUs}+${row.durationUs}`,
      ),
      rows,
    );
  });
}

test('the axis ends with the last row', () => {
  const rows = waterfallOf({ trace_id: 't', spans: [], records: [record('a', null, {})] });
  assert.equal(lengthOf(rows), 5000);
  assert.equal(lengthOf([]), 1);
});
