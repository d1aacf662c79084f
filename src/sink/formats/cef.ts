import {
  type AlertEvidence,
  type AuditEvidence,
  type Evidence,
  isServerFailure,
  type ReportedRecord,
} from '../evidence.ts';
import { type FormatAuthor, shortened, withoutControls } from './plain-text.ts';
import { summaryOf } from './summary.ts';

type Extension = Readonly<Record<string, string | number | null | undefined>>;

// The longest that the dictionary of CEF gives a text.
const MAX_VALUE = 1023;

/**
 * The item as one line of ArcSight's Common Event Format, version 0:
 * `CEF:0|Palisade|Palisade|VERSION|CLASS|NAME|SEVERITY|key=value …`. Keys are those of CEF's dictionary; what it has no
 * key for is in `cs1`… with its name in `cs1Label`. Metrics and spans are an error of the caller.
 */
export function cefLine(item: Evidence, author: FormatAuthor): string {
  const { id, name, severity, extension } = eventOf(item);
  const header = ['Palisade', 'Palisade', author.version, id, name, String(severity)];
  const pairs = Object.entries({ ...extension, externalId: item.id, msg: summaryOf(item) });
  const written = pairs.flatMap(([key, value]) =>
    value === null || value === undefined || value === ''
      ? []
      : [`${key}=${extensionValue(value)}`],
  );
  return `CEF:0|${header.map(headerField).join('|')}|${written.join(' ')}`;
}

type CefEvent = {
  readonly id: string;
  readonly name: string;
  /** 0 to 10. */
  readonly severity: number;
  readonly extension: Extension;
};

/** SECURITY: a pipe would begin another field of the header; a newline, another event. */
function headerField(text: string): string {
  const safe = withoutControls(text).replaceAll('\\', '\\\\').replaceAll('|', '\\|');
  return shortened(safe, MAX_VALUE);
}

/** SECURITY: an equals sign would begin another key, a newline another event. */
function extensionValue(value: string | number): string {
  const text = shortened(String(value), MAX_VALUE)
    .replaceAll('\\', '\\\\')
    .replaceAll('=', '\\=')
    .replaceAll('\r', '\\r')
    .replaceAll('\n', '\\n');
  return withoutControls(text);
}

function eventOf(item: Evidence): CefEvent {
  if (item.kind === 'records' || item.kind === 'traces') return callEvent(item.value);
  if (item.kind === 'audit') return auditEvent(item);
  if (item.kind === 'alerts') return alertEvent(item);
  throw new Error('CEF tells of events, not of metrics');
}

function callEvent(record: ReportedRecord): CefEvent {
  const isDenied = record.verdict === 'deny';
  const isFailed = isServerFailure(record);
  const what = record.kind === 'http' ? 'request' : 'connection';
  return {
    id: `call.${isDenied ? 'denied' : 'allowed'}`,
    name: `${what} ${isDenied ? 'denied' : 'allowed'}`,
    severity: isDenied ? 6 : isFailed ? 4 : 1,
    extension: {
      rt: Date.parse(record.time),
      act: record.verdict,
      outcome: isDenied || isFailed ? 'failure' : 'success',
      reason: record.reason,
      app: record.kind === 'http' ? 'HTTP' : 'TCP',
      proto: 'TCP',
      ...sourceAddress(record['source.ip']),
      suser: record['source.id'],
      sourceServiceName: record['source.service'],
      duser: record['destination.id'],
      destinationServiceName: record['destination.service'],
      dpt: record['destination.port'],
      requestMethod: record.method,
      request: record.path,
      dhost: record.host,
      in: record.bytes_in,
      out: record.bytes_out,
      deviceExternalId: record.node,
      cn1: record.status,
      ...label('cn1Label', record.status, 'status'),
      cn2: record.duration_us,
      cn2Label: 'duration_us',
      cs1: record.policy,
      ...label('cs1Label', record.policy, 'policy'),
      cs2: record.rule,
      ...label('cs2Label', record.rule, 'rule'),
      cs3: record.policy_version,
      ...label('cs3Label', record.policy_version, 'policy_version'),
      cs4: record.denial_id,
      ...label('cs4Label', record.denial_id, 'denial_id'),
      cs5: record.trace_id,
      ...label('cs5Label', record.trace_id, 'trace_id'),
      cs6: record['destination.namespace'],
      ...label('cs6Label', record['destination.namespace'], 'namespace'),
    },
  };
}

function auditEvent({ value: event }: AuditEvidence): CefEvent {
  return {
    id: `audit.${event.action}`,
    name: event.action,
    severity: event.result === 'ok' ? 3 : 6,
    extension: {
      rt: Date.parse(event.time),
      act: event.action,
      outcome: event.result === 'ok' ? 'success' : 'failure',
      reason: event.reason,
      suser: event['actor.id'],
      ...sourceAddress(event['actor.ip']),
      cs1: event['target.kind'],
      ...label('cs1Label', event['target.kind'], 'target.kind'),
      cs2: event['target.name'],
      ...label('cs2Label', event['target.name'], 'target.name'),
      cs3: event['target.namespace'],
      ...label('cs3Label', event['target.namespace'], 'target.namespace'),
      cs4: event.hash,
      cs4Label: 'hash',
      cn1: event.index,
      cn1Label: 'index',
    },
  };
}

function alertEvent({ value: alert }: AlertEvidence): CefEvent {
  const isOver = alert.state === 'resolved';
  const time = (isOver ? alert.ends_at : alert.starts_at) ?? alert.starts_at;
  return {
    id: `alert.${alert.name}`,
    name: `${alert.name} ${alert.state}`,
    severity: isOver ? 2 : alert.severity === 'page' ? 9 : 6,
    extension: {
      rt: time === null ? null : Date.parse(time),
      act: alert.state,
      reason: alert.likely_cause,
      cs1: alert.severity,
      cs1Label: 'severity',
      cs2: alert.command,
      ...label('cs2Label', alert.command, 'command'),
      cs3: alert.runbook,
      ...label('cs3Label', alert.runbook, 'runbook'),
    },
  };
}

// `src` is IPv4 in the dictionary of version 0; a reader drops what is none, and the event or its key with it.
function sourceAddress(ip: string | null | undefined): Extension {
  if (ip?.includes(':') !== true) return { src: ip };
  return { c6a2: ip, c6a2Label: 'Source IPv6 Address' };
}

// A label without its value would name nothing.
function label(key: string, value: unknown, name: string): Extension {
  return value === null || value === undefined || value === '' ? {} : { [key]: name };
}
