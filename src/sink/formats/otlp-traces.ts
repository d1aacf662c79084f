import { createMessage, encodeMessage, type Otlp } from '#wire';
import { type Evidence, isServerFailure, type ReportedRecord } from '../evidence.ts';
import { attributes, derivedSpanId, idBytes, nanosOf } from './otlp-attributes.ts';
import type { OtlpAuthor } from './otlp-logs.ts';
import { callAttributes, originOf, resourceAttributes } from './otlp-record.ts';

// Span.SpanKind and Status.StatusCode of OTLP.
const KIND = { internal: 1, server: 2, client: 3 } as const;
const ERROR = 2;

/**
 * An ExportTraceServiceRequest: of each record that belongs to a trace a SERVER span (the called sidecar's) or a CLIENT
 * span (the caller's), and of the stages it names one span each below it.
 */
export function otlpTraces(otlp: Otlp, batch: readonly Evidence[], author: OtlpAuthor): Uint8Array {
  const records = batch.flatMap((item) => (item.kind === 'traces' ? [item.value] : []));
  const groups = Map.groupBy(records, (record) => {
    const { namespace, service, instance } = originOf(record);
    return `${namespace}/${service}/${instance}`;
  });
  const scope = { name: 'palisade', version: author.version };
  const resourceSpans = [...groups.values()].map((own) => ({
    resource: {
      attributes: resourceAttributes(originOf(own[0] as ReportedRecord), author.trustDomain),
    },
    scopeSpans: [{ scope, spans: own.flatMap(spansOf) }],
  }));
  const request = createMessage(otlp.ExportTraceServiceRequestSchema, { resourceSpans });
  return encodeMessage(otlp.ExportTraceServiceRequestSchema, request);
}

/** Whether a record can be sent as spans. */
export function isTraced(record: ReportedRecord): boolean {
  return idBytes(record.trace_id, 16).length > 0 && idBytes(record.span_id, 8).length > 0;
}

function spansOf(record: ReportedRecord) {
  const start = nanosOf(record.time);
  const traceId = idBytes(record.trace_id, 16);
  const spanId = idBytes(record.span_id, 8);
  const isError = record.verdict === 'deny' || isServerFailure(record);
  const whole = {
    traceId,
    spanId,
    parentSpanId: idBytes(record.parent_span_id, 8),
    name: `${record.method ?? record.kind} ${record['destination.service'] ?? ''}`.trim(),
    kind: record.reporter === 'destination' ? KIND.server : KIND.client,
    startTimeUnixNano: start,
    endTimeUnixNano: start + micros(record.duration_us),
    attributes: callAttributes(record),
    ...(isError ? { status: { code: ERROR, message: record.reason ?? '' } } : {}),
  };
  let at = start;
  const stages = stagesOf(record).map(([name, durationUs]) => {
    const from = at;
    at += micros(durationUs);
    return {
      traceId,
      spanId: derivedSpanId(record.span_id ?? '', name),
      parentSpanId: spanId,
      name,
      kind: KIND.internal,
      startTimeUnixNano: from,
      endTimeUnixNano: at,
      attributes: name === 'decision' ? decisionAttributes(record) : [],
    };
  });
  return [whole, ...stages];
}

// In the order in which a call goes through them.
function stagesOf(record: ReportedRecord): readonly (readonly [string, number])[] {
  const stages = [
    ['decision', record.decision_us],
    ['tunnel wait', record.tunnel_wait_us],
    ['upstream', record.upstream_us],
  ] as const;
  return stages.flatMap(([name, us]) => (us === undefined ? [] : [[name, us] as const]));
}

function decisionAttributes(record: ReportedRecord) {
  return attributes({
    'palisade.verdict': record.verdict,
    'palisade.policy': record.policy,
    'palisade.rule': record.rule,
    'palisade.policy_version': record.policy_version,
    'palisade.source.id': record['source.id'],
    'palisade.destination.id': record['destination.id'],
  });
}

function micros(us: number): bigint {
  return BigInt(Math.round(us)) * 1000n;
}
