// record-store: access records of all enforcement points, on disk, with what is counted from them.
export type {
  Account,
  Completeness,
  MissingRecords,
  SourceHour,
} from './coverage.ts';
export {
  type Condition,
  type FieldCondition,
  type Operator,
  parseCondition,
  recordMeets,
} from './filter.ts';
export { openPostgresStore, type PostgresOptions } from './postgres-open.ts';
export type {
  Added,
  DeniedEdge,
  PageQuery,
  RecordBounds,
  RecordPage,
  RecordQuery,
  RecordStore,
  Report,
  StoredRecord,
  StoreState,
  TimeRange,
} from './record-store.ts';
export {
  callerName,
  ROLLUP_METRICS,
  type RollupAnswer,
  type RollupGroup,
  type RollupMetric,
  type RollupQuery,
} from './rollups.ts';
export type { DenialTally, PlaintextTally, RuleTally, TrialTally } from './tallies.ts';
export { loadRecordThread, openThreadedStore, type ThreadedOptions } from './threaded-store.ts';
export { RecordsTooSlow } from './too-slow.ts';
