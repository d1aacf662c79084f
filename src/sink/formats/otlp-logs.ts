import { createMessage, encodeMessage, type Otlp } from '#wire';
import {
  type AlertEvidence,
  type AuditEvidence,
  type Evidence,
  isServerFailure,
  type RecordEvidence,
} from '../evidence.ts';
import {
  type Attributable,
  type Attribute,
  attributes,
  idBytes,
  nanosOf,
} from './otlp-attributes.ts';
import { callAttributes, originOf, resourceAttributes, uidOf } from './otlp-record.ts';
import { summaryOf } from './summary.ts';

/** Who writes: the scope of OTLP, and the mesh. */
export type OtlpAuthor = {
  readonly version: string;
  readonly trustDomain: string;
  /** Of this host. */
  readonly hostname: string;
};

type LogEvidence = RecordEvidence | AuditEvidence | AlertEvidence;

// OpenTelemetry log data model: SeverityNumber.
const SEVERITY = { info: 9, warn: 13, error: 17 } as const;

/** An ExportLogsServiceRequest with records, audit events or alerts, in their order for each source. */
export function otlpLogs(otlp: Otlp, batch: readonly Evidence[], author: OtlpAuthor): Uint8Array {
  const logs = batch.filter((item): item is LogEvidence =>
    ['records', 'audit', 'alerts'].includes(item.kind),
  );
  const groups = Map.groupBy(logs, sourceOf);
  const scope = { name: 'palisade', version: author.version };
  const resourceLogs = [...groups.values()].map((items) => ({
    resource: { attributes: resourceOf(items[0] as LogEvidence, author) },
    scopeLogs: [{ scope, logRecords: items.map(logRecord) }],
  }));
  const request = createMessage(otlp.ExportLogsServiceRequestSchema, { resourceLogs });
  return encodeMessage(otlp.ExportLogsServiceRequestSchema, request);
}

function sourceOf(item: LogEvidence): string {
  if (item.kind !== 'records') return '';
  const { namespace, service, instance } = originOf(item.value);
  return `${namespace}/${service}/${instance}`;
}

function resourceOf(item: LogEvidence, { trustDomain, hostname }: OtlpAuthor): Attribute[] {
  const control = { namespace: 'palisade-system', service: 'palisade-control', instance: hostname };
  return resourceAttributes(item.kind === 'records' ? originOf(item.value) : control, trustDomain);
}

function logRecord(item: LogEvidence) {
  const severity = severityOf(item);
  const time = item.kind === 'alerts' ? alertTime(item) : item.value.time;
  return {
    timeUnixNano: nanosOf(time),
    observedTimeUnixNano: nanosOf(time),
    severityNumber: SEVERITY[severity],
    severityText: severity.toUpperCase(),
    body: { value: { case: 'stringValue' as const, value: summaryOf(item) } },
    eventName: `palisade.${{ records: 'access', audit: 'audit', alerts: 'alert' }[item.kind]}`,
    attributes: [...attributes({ 'log.record.uid': uidOf(item) }), ...attributesOf(item)],
    traceId: item.kind === 'records' ? idBytes(item.value.trace_id, 16) : new Uint8Array(),
    spanId: item.kind === 'records' ? idBytes(item.value.span_id, 8) : new Uint8Array(),
  };
}

function alertTime({ value }: AlertEvidence): string {
  return value.ends_at ?? value.starts_at ?? new Date(0).toISOString();
}

function severityOf(item: LogEvidence): keyof typeof SEVERITY {
  if (item.kind === 'audit') return item.value.result === 'ok' ? 'info' : 'warn';
  if (item.kind === 'alerts') {
    if (item.value.state === 'resolved') return 'info';
    return item.value.severity === 'page' ? 'error' : 'warn';
  }
  if (item.value.verdict === 'deny') return 'warn';
  return isServerFailure(item.value) ? 'error' : 'info';
}

function attributesOf(item: LogEvidence): Attribute[] {
  if (item.kind === 'records') return callAttributes(item.value);
  const own: Record<string, Attributable> = {};
  for (const [key, value] of Object.entries(item.value)) {
    if (key === 'time') continue;
    const isNested = typeof value === 'object' && value !== null;
    own[`palisade.${item.kind === 'audit' ? 'audit' : 'alert'}.${key}`] = isNested
      ? JSON.stringify(value)
      : (value as Attributable);
  }
  return attributes(own);
}
