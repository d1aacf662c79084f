import {
  type AlertEvidence,
  type AuditEvidence,
  type Evidence,
  isServerFailure,
  otherFields,
  type ReportedRecord,
} from '../evidence.ts';
import { compact, type FormatAuthor, safeJson } from './plain-text.ts';
import { summaryOf } from './summary.ts';

/** One line, without its newline: the item as a document of the Elastic Common Schema 8.11. */
export function ecsLine(item: Evidence, author: FormatAuthor): string {
  return safeJson(ecsDocument(item, author));
}

/** The item by ECS field names; what ECS has no name for is below `palisade`. Metrics are an error of the caller. */
export function ecsDocument(item: Evidence, author: FormatAuthor): Record<string, unknown> {
  if (item.kind === 'metrics') throw new Error('ECS documents tell of events, not of metrics');
  const { version, hostname, trustDomain } = author;
  const common = {
    ecs: { version: '8.11.0' },
    message: summaryOf(item),
    observer: { vendor: 'Palisade', product: 'Palisade', type: 'service mesh', version, hostname },
    labels: { trust_domain: trustDomain },
  };
  if (item.kind === 'audit') return compact({ ...common, ...ofAudit(item) });
  if (item.kind === 'alerts') return compact({ ...common, ...ofAlert(item, trustDomain) });
  return compact({ ...common, ...ofCall(item.value, item.id) });
}

function ofCall(record: ReportedRecord, id: string): Record<string, unknown> {
  const isHttp = record.kind === 'http';
  const isDenied = record.verdict === 'deny';
  return {
    '@timestamp': record.time,
    event: {
      id,
      kind: 'event',
      category: isHttp ? ['network', 'web'] : ['network'],
      type: ['connection', isDenied ? 'denied' : 'allowed'],
      outcome: isDenied || isServerFailure(record) ? 'failure' : 'success',
      action: isHttp ? 'request' : 'connection',
      reason: record.reason,
      // Nanoseconds.
      duration: record.duration_us * 1000,
      dataset: 'palisade.access',
      module: 'palisade',
      sequence: record.seq,
    },
    source: { ip: record['source.ip'], address: record['source.ip'], bytes: record.bytes_in },
    client: { user: { id: record['source.id'], name: record['source.service'] } },
    destination: {
      address: record['destination.service'],
      port: record['destination.port'],
      bytes: record.bytes_out,
    },
    server: { user: { id: record['destination.id'], name: record['destination.service'] } },
    service: {
      name: record['destination.service'],
      target: { name: record['destination.service'] },
      node: { name: record.node },
    },
    network: {
      transport: 'tcp',
      protocol: isHttp ? 'http' : undefined,
      bytes: record.bytes_in + record.bytes_out,
      direction: record.reporter === 'destination' ? 'inbound' : 'outbound',
    },
    http: isHttp
      ? {
          request: { method: record.method, body: { bytes: record.bytes_in } },
          response: { status_code: record.status, body: { bytes: record.bytes_out } },
        }
      : undefined,
    url: isHttp ? { path: record.path, domain: record.host } : undefined,
    tls: tlsOf(record),
    rule: { ruleset: record.policy, id: record.rule, version: record.policy_version },
    trace: { id: record.trace_id },
    span: { id: record.span_id },
    palisade: {
      namespace: record['destination.namespace'],
      ...otherFields(record, NAMED),
    },
  };
}

// What has a place above, or is of our store alone. All else is ours to say: what a policy in dry-run thought, gRPC's status …
const NAMED: ReadonlySet<string> = new Set(
  [
    'time kind id record.id node seq method host path status reason verdict',
    'source.id source.service source.ip connection.sni peer_serial',
    'destination.id destination.service destination.namespace destination.port',
    'tls.version tls.cipher tls.group policy rule policy_version',
    'trace_id span_id duration_us bytes_in bytes_out',
  ].flatMap((names) => names.split(' ')),
);

function tlsOf(record: ReportedRecord): Record<string, unknown> | undefined {
  const version = record['tls.version'];
  if (version === null) return undefined;
  return {
    established: true,
    version: version.replace(/^TLSv/, ''),
    version_protocol: 'tls',
    cipher: record['tls.cipher'],
    curve: record['tls.group'],
    client: { server_name: record['connection.sni'], x509: { serial_number: record.peer_serial } },
  };
}

function ofAudit({ id, value: event }: AuditEvidence): Record<string, unknown> {
  const isSignIn = /(^|\.)sign_in$/.test(event.action);
  return {
    '@timestamp': event.time,
    event: {
      id,
      kind: 'event',
      category: [isSignIn ? 'authentication' : 'configuration'],
      type: [isSignIn ? 'start' : 'change'],
      outcome: event.result === 'ok' ? 'success' : 'failure',
      action: event.action,
      reason: event.reason,
      dataset: 'palisade.audit',
      module: 'palisade',
      sequence: event.index,
      hash: event.hash,
    },
    user: { name: event['actor.id'] },
    source: { ip: event['actor.ip'], address: event['actor.ip'] },
    palisade: {
      target: {
        kind: event['target.kind'],
        name: event['target.name'],
        namespace: event['target.namespace'],
      },
      diff: event.diff,
      log: event.log,
      previous_hash: event.previous_hash,
    },
  };
}

function ofAlert(
  { id, value: alert }: AlertEvidence,
  trustDomain: string,
): Record<string, unknown> {
  const isOver = alert.state === 'resolved';
  return {
    '@timestamp': (isOver ? alert.ends_at : alert.starts_at) ?? alert.starts_at,
    event: {
      id,
      kind: 'alert',
      category: ['network'],
      type: [isOver ? 'end' : 'start'],
      action: alert.state,
      start: alert.starts_at,
      end: alert.ends_at,
      // As in OCSF and CEF: of ten.
      severity: alert.severity === 'page' ? 9 : 6,
      dataset: 'palisade.alert',
      module: 'palisade',
      reason: alert.likely_cause,
    },
    rule: { name: alert.name, uuid: alert.id, reference: alert.runbook },
    labels: { trust_domain: trustDomain, ...alert.labels },
    palisade: {
      summary: alert.summary,
      command: alert.command,
      evidence: alert.evidence.map(({ text, link }) => compact({ text, link })),
    },
  };
}
