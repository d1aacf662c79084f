import type { AlertEvent } from '#alert';
import type { Evidence, LoggedAction, ReportedRecord } from '../evidence.ts';

/** One sentence that says what an item is about; for formats that have room for words. */
export function summaryOf(item: Evidence): string {
  if (item.kind === 'audit') return summaryOfAudit(item.value);
  if (item.kind === 'alerts') return summaryOfAlert(item.value);
  if (item.kind === 'metrics') return `${item.value.families.length} metrics`;
  return summaryOfRecord(item.value);
}

function summaryOfRecord(record: ReportedRecord): string {
  const caller =
    record['source.id'] ?? record['source.service'] ?? record['source.ip'] ?? 'an unknown caller';
  const server = record['destination.service'] ?? record.host ?? 'an unknown service';
  const what =
    record.kind === 'http' ? `${record.method ?? 'request'} ${record.path ?? ''}` : 'connection';
  const verb = record.verdict === 'deny' ? 'denied' : 'allowed';
  const why = record.reason === null ? '' : ` (${record.reason})`;
  return `${verb} ${what} of ${caller} to ${server}${why}`;
}

function summaryOfAudit(event: LoggedAction): string {
  const who = event['actor.id'];
  const target = [event['target.kind'], event['target.name']].filter(Boolean).join('/');
  return `${who} ${event.result === 'ok' ? 'did' : 'was refused'} ${event.action}${target === '' ? '' : ` on ${target}`}`;
}

function summaryOfAlert(alert: AlertEvent): string {
  return `${alert.name} ${alert.state}: ${alert.summary}`;
}
