// Evidence for tests.
import type { AlertEvidence, AuditEvidence, RecordEvidence, ReportedRecord } from './evidence.ts';
import { sampleEvidence } from './samples.ts';

const AT = { nowMs: Date.parse('2026-01-31T12:00:00.123Z'), trustDomain: 'cluster.local' };

/** What records may hold that readers' formats mostly have no name for. */
export const OTHER_FIELDS = {
  grpc_status: 14,
  decision_us: 40,
  kept: 'denied',
  exception: 'default/x',
  dry_run: [{ policy: 'default/y', verdict: 'deny' }],
  headers: { 'x-tenant': 'a' },
  redacted: ['path'],
} as const;

/** A record; `position` counts, and its id is made of it. */
export function fakeRecord(
  position: number,
  changes: Partial<ReportedRecord> = {},
): RecordEvidence {
  const sample = sampleEvidence('records', AT) as RecordEvidence;
  const id = `r-${position}`;
  return { ...sample, id, position, value: { ...sample.value, id, ...changes } };
}

/** An audit event. */
export function fakeAudit(changes: Partial<AuditEvidence['value']> = {}): AuditEvidence {
  const sample = sampleEvidence('audit', AT) as AuditEvidence;
  return { ...sample, value: { ...sample.value, ...changes } };
}

/** An alert. */
export function fakeAlert(changes: Partial<AlertEvidence['value']> = {}): AlertEvidence {
  const sample = sampleEvidence('alerts', AT) as AlertEvidence;
  return { ...sample, value: { ...sample.value, ...changes } };
}
