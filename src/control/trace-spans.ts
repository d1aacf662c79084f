import type { MissingRecords, StoredRecord } from '#record-store';

/** One stretch of a call at one place; `start` ISO 8601, `start_us` microseconds since 1970. */
export type TraceSpan = {
  readonly span_id: string;
  readonly parent_span_id: string | null;
  readonly name: string;
  readonly kind: 'inbound' | 'outbound' | 'decision' | 'tunnel_wait' | 'upstream';
  readonly service: string | null;
  readonly node: string;
  readonly start: string;
  readonly start_us: number;
  readonly duration_us: number;
  readonly attributes: Readonly<Record<string, unknown>>;
};

/** The stages of a call, in the order they happen; the rest of its time is its body's way. */
const STAGES = [
  ['decision', 'decision_us'],
  ['tunnel_wait', 'tunnel_wait_us'],
  ['upstream', 'upstream_us'],
] as const;

const ATTRIBUTES = [
  'verdict',
  'reason',
  'policy',
  'rule',
  'policy_version',
  'denial_id',
  'source.id',
  'destination.id',
  'method',
  'host',
  'path',
  'status',
  'tls.version',
  'tls.group',
  'bytes_in',
  'bytes_out',
  'weight',
] as const;

/** The spans of a trace's records: each side of a call, and in it the stages that it measured. Oldest first. */
export function spansOf(records: readonly StoredRecord[]): readonly TraceSpan[] {
  const spans = records.flatMap((record) => {
    const own = callSpan(record);
    return [own, ...stageSpans(record, own)];
  });
  return spans.toSorted((a, b) => a.start_us - b.start_us || b.duration_us - a.duration_us);
}

function callSpan(record: StoredRecord): TraceSpan {
  const isServer = record.reporter === 'destination';
  const called = record['destination.service'] ?? 'unknown';
  const fields = record as unknown as Readonly<Record<string, unknown>>;
  return {
    span_id: record.span_id ?? record['record.id'],
    parent_span_id: record.parent_span_id ?? null,
    name: record.kind === 'tcp' ? called : `${record.method ?? ''} ${record.path ?? ''}`.trim(),
    kind: isServer ? 'inbound' : 'outbound',
    service: record[isServer ? 'destination.service' : 'source.service'],
    node: record.node,
    ...startAt(Date.parse(record.time) * 1_000),
    duration_us: record.duration_us,
    attributes: Object.fromEntries(
      ATTRIBUTES.flatMap((name) =>
        fields[name] === null || fields[name] === undefined ? [] : [[name, fields[name]]],
      ),
    ),
  };
}

function stageSpans(record: StoredRecord, own: TraceSpan): readonly TraceSpan[] {
  let at = own.start_us;
  return STAGES.flatMap(([kind, field]): TraceSpan[] => {
    const took = record[field];
    if (took === undefined) return [];
    const { service, node, span_id: parent } = own;
    const start = startAt(at);
    at += took;
    const place = { service, node, parent_span_id: parent, attributes: {} };
    return [
      { ...place, span_id: `${parent}-${kind}`, name: kind, kind, ...start, duration_us: took },
    ];
  });
}

function startAt(us: number): { start: string; start_us: number } {
  return { start: new Date(Math.floor(us / 1_000)).toISOString(), start_us: us };
}

/** Calls of which the server's side is not here, though the caller's says that it was reached. */
export function missingSides(records: readonly StoredRecord[]): readonly MissingRecords[] {
  const answered = new Set(
    records.flatMap(({ reporter, parent_span_id: parent }) =>
      reporter === 'destination' && parent !== undefined ? [parent] : [],
    ),
  );
  return records
    .filter(
      ({ reporter, span_id: span, 'destination.id': reached }) =>
        reporter === 'source' && reached !== null && !answered.has(span ?? ''),
    )
    .map((record) => {
      const { time, duration_us: took } = record;
      const service = `${record['destination.namespace'] ?? ''}/${record['destination.service'] ?? ''}`;
      const until = new Date(Date.parse(time) + took / 1_000).toISOString();
      const why = 'the server’s side of this call: sampled away, lost, or not here yet';
      return { source: service, from: time, until, count: 1, why };
    });
}
