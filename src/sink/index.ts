// sink: brings evidence to those who collect it. formats/ write it down (pure), deliver/ carry it; between them each
// sink has a lane for each kind of evidence, which is a queue on disk and one batch under way.

export {
  type AlertEvidence,
  type AuditEvidence,
  EVIDENCE_KINDS,
  type Evidence,
  type EvidenceKind,
  type MetricReading,
  type MetricSample,
  type MetricsEvidence,
  type MetricsReading,
  type RecordEvidence,
  type ReportedRecord,
  recordId,
  type TraceEvidence,
  UNNUMBERED,
} from './evidence.ts';
export { createSinkHub, type HubOptions, type SinkHub, type SinkTest } from './hub.ts';
export type { LaneState } from './lane.ts';
export { createScheduler } from './scheduler.ts';
export type { SinkState } from './sink.ts';
export type { EvidenceSource } from './source.ts';
