import type { AlertEvent } from '#alert';
import type { AuditEvent } from '#audit';
import { type AccessRecord, isServerError } from '#telemetry';

/** What there is to send, each kind in a queue of its own. */
export type EvidenceKind = 'records' | 'audit' | 'alerts' | 'traces' | 'metrics';

/** All kinds, in the order of the reference. */
export const EVIDENCE_KINDS: readonly EvidenceKind[] = [
  'records',
  'audit',
  'alerts',
  'traces',
  'metrics',
];

/**
 * One thing to send. `id` is the same whenever it is sent again, so that a receiver knows it; `position` grows in the
 * order in which its source made it, and tells where to go on.
 */
export type Evidence =
  | RecordEvidence
  | TraceEvidence
  | AuditEvidence
  | AlertEvidence
  | MetricsEvidence;

/** The position of what no source numbers: a lane numbers it itself. */
export const UNNUMBERED = -1;

type Item<K extends EvidenceKind, V> = {
  readonly kind: K;
  readonly id: string;
  readonly position: number;
  readonly value: V;
};

/** An access record. */
export type RecordEvidence = Item<'records', ReportedRecord>;
/** An access record, to be sent as spans. */
export type TraceEvidence = Item<'traces', ReportedRecord>;
/** An entry of an audit log. */
export type AuditEvidence = Item<'audit', LoggedAction>;
/** A change of an alert. */
export type AlertEvidence = Item<'alerts', AlertEvent>;
/** Metrics as they were at one time. */
export type MetricsEvidence = Item<'metrics', MetricsReading>;

/** A record with its reporter, and what sidecars add to it where they know. */
export type ReportedRecord = AccessRecord & {
  readonly node: string;
  /** Stable across deliveries; where absent, node, number and time make one. */
  readonly id?: string;
  /** How many calls it stands for; 1 where absent. */
  readonly weight?: number;
  readonly parent_span_id?: string | null;
  readonly decision_us?: number;
  readonly upstream_us?: number;
  readonly tunnel_wait_us?: number;
};

/** A record of an audit log; `log` says of whose. */
export type LoggedAction = AuditEvent & { readonly log: string };

/** Metrics as read at `time`, counting since `since`; both ISO 8601. */
export type MetricsReading = {
  readonly time: string;
  readonly since: string;
  readonly families: readonly MetricReading[];
};

/** One metric, in numbers that go through JSON. */
export type MetricReading = {
  readonly name: string;
  readonly help: string;
  readonly kind: 'counter' | 'gauge' | 'histogram';
  readonly samples: readonly MetricSample[];
};

/** A labelled number, or a distribution: `counts` has one more than `bounds`, for what is above them all. */
export type MetricSample = { readonly labels: Readonly<Record<string, string>> } & (
  | { readonly value: number }
  | { readonly bounds: readonly number[]; readonly counts: readonly number[]; readonly sum: number }
);

/** Whether a call's answer says that its server failed, by HTTP's status or by gRPC's. */
export function isServerFailure({ status, grpc_status: grpcStatus }: ReportedRecord): boolean {
  return isServerError({ status, grpcStatus });
}

/** The fields of a record that a format has no name for, with what they hold; `named` are the others. */
export function otherFields(
  record: ReportedRecord,
  named: ReadonlySet<string>,
): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(record).filter(([name]) => !named.has(name)));
}

/** The id of a record: its own, or one of what makes it unique. */
export function recordId(record: ReportedRecord): string {
  return record.id ?? `${record.node}:${record.seq}:${Date.parse(record.time)}`;
}
