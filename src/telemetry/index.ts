// telemetry: what a process tells about itself. records/ makes one line of each call that is kept, spool/ keeps the lines
// on disk until somebody has them, metrics/ counts every call; log, trace context and the port that serves all this
// stand beside them. names.ts names what metrics and log events are called.

export {
  type AdminServer,
  type AdminServerOptions,
  createAdminServer,
  type Readiness,
} from './admin-server.ts';
export {
  createLog,
  createSilentLog,
  type Log,
  type LogFields,
  type LogLevel,
  type LogOptions,
} from './log.ts';
export type { EdgeCounters, EdgeDelta, EdgeKey } from './metrics/edge.ts';
export { type Exposition, expose, type MetricFamily } from './metrics/exposition.ts';
export { BUCKET_BOUNDS, createHistogram, type Histogram, observe } from './metrics/histogram.ts';
export type { Counter, OwnMetrics } from './metrics/own-metrics.ts';
export {
  createProxyMetrics,
  type ProxyGauges,
  type ProxyMetrics,
  type ProxyMetricsOptions,
  type WorkloadLabels,
} from './metrics/proxy-metrics.ts';
export type { SecurityCount } from './metrics/security-counts.ts';
export { EVENT, type EventName, METRIC } from './names.ts';
export {
  type AccessLog,
  type AccessLogOptions,
  createAccessLog,
  type RecordCounts,
  type RecordSink,
  type RecordTrouble,
} from './records/access-log.ts';
export {
  type AccessRecord,
  type ConnectionFacts,
  createRecordedCall,
  type DryRunRecord,
  type KeptReason,
  type RecordedCall,
  type RecordedConnection,
} from './records/access-record.ts';
export { isServerError } from './records/classify.ts';
export { createRecordedConnection } from './records/format-record.ts';
export {
  createRedactor,
  type MeshKey,
  OWN_KEY,
  type RedactionRules,
  type Redactor,
} from './records/redactor.ts';
export { DEFAULT_ROLLOUT_MS, type Rollouts } from './records/rollouts.ts';
export { createSampler, DEFAULT_RECORDS_PER_SECOND, type Sampler } from './records/sampler.ts';
export type { Account, ClassCounts } from './spool/frame.ts';
export { MAX_BLOCKS, packLines, unpackLines } from './spool/record-block.ts';
export type { SpoolBatch } from './spool/spool-reader.ts';
export type { RecordClass, SpooledRecord } from './spool/spooled-record.ts';
export {
  createTraceIds,
  formatTraceparent,
  parseTraceparent,
  type TraceIds,
  type TraceParent,
} from './trace-context.ts';
