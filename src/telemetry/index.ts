// telemetry: what a process tells about itself: access records, metrics, log, trace context.
export {
  type AccessLog,
  type AccessLogOptions,
  createAccessLog,
  type RecordCounts,
  type RecordSink,
  type RecordTrouble,
} from './access-log.ts';
export {
  type AccessRecord,
  type ConnectionFacts,
  createRecordedCall,
  type DryRunRecord,
  type KeptReason,
  type RecordedCall,
  type RecordedConnection,
} from './access-record.ts';
export {
  type AdminServer,
  type AdminServerOptions,
  createAdminServer,
  type Readiness,
} from './admin-server.ts';
export { isServerError } from './classify.ts';
export type { EdgeCounters, EdgeDelta, EdgeKey } from './edge.ts';
export { type Exposition, expose, type MetricFamily } from './exposition.ts';
export { createRecordedConnection } from './format-record.ts';
export type { Account, ClassCounts } from './frame.ts';
export { BUCKET_BOUNDS, createHistogram, type Histogram, observe } from './histogram.ts';
export {
  createLog,
  createSilentLog,
  type Log,
  type LogFields,
  type LogLevel,
  type LogOptions,
} from './log.ts';
export { EVENT, type EventName, METRIC } from './names.ts';
export type { Counter, OwnMetrics } from './own-metrics.ts';
export {
  createProxyMetrics,
  type ProxyGauges,
  type ProxyMetrics,
  type ProxyMetricsOptions,
  type WorkloadLabels,
} from './proxy-metrics.ts';
export { MAX_BLOCKS, packLines, unpackLines } from './record-block.ts';
export {
  createRedactor,
  type MeshKey,
  OWN_KEY,
  type RedactionRules,
  type Redactor,
} from './redactor.ts';
export { DEFAULT_ROLLOUT_MS, type Rollouts } from './rollouts.ts';
export { createSampler, DEFAULT_RECORDS_PER_SECOND, type Sampler } from './sampler.ts';
export type { SecurityCount } from './security-counts.ts';
export type { SpoolBatch } from './spool-reader.ts';
export type { RecordClass, SpooledRecord } from './spooled-record.ts';
export {
  createTraceIds,
  formatTraceparent,
  parseTraceparent,
  type TraceIds,
  type TraceParent,
} from './trace-context.ts';
