import { performance } from 'node:perf_hooks';
import type { WorkloadIdentity } from '#identity';
import { type PortProtocol, trafficOf } from '#lib';
import type { Decision } from '#policy';
import type { Snapshot } from '#snapshot';
import {
  createRecordedCall,
  createRecordedConnection,
  type EdgeCounters,
  type ProxyMetrics,
  type RecordedCall,
  type RecordedConnection,
  type RecordSink,
} from '#telemetry';

/** The parts of records and metrics that are the same for every call of one connection. */
export type CallFacts = { readonly recorded: RecordedConnection; readonly edge: EdgeCounters };

/** Where records go. */
export type RecordTargets = {
  readonly records: RecordSink;
  readonly metrics: ProxyMetrics;
  readonly clock: () => number;
};

/** One side of a call as far as it is known. */
export type Party = {
  readonly id: string | undefined;
  readonly service: string | undefined;
  readonly namespace: string | undefined;
};

/** What `describeConnection` writes down. */
export type ConnectionDescription = {
  readonly reporter: 'destination' | 'source';
  readonly protocol: PortProtocol;
  readonly source: Party;
  readonly sourceIp: string | undefined;
  readonly destination: Party;
  readonly destinationPort: number;
  readonly sni: string | undefined;
  readonly tls:
    | { readonly version: string; readonly cipher: string; readonly group: string | undefined }
    | undefined;
  readonly peerSerial: string | undefined;
};

/** Nobody is known. */
export const UNKNOWN_PARTY: Party = { id: undefined, service: undefined, namespace: undefined };

/** Resolves records' constant text and metrics' counters once a connection. */
export function describeConnection(metrics: ProxyMetrics, about: ConnectionDescription): CallFacts {
  const { reporter, protocol, source, destination, tls } = about;
  const recorded = createRecordedConnection({
    kind: trafficOf(protocol),
    reporter,
    sourceId: source.id ?? null,
    sourceService: source.service ?? null,
    sourceIp: about.sourceIp ?? null,
    destinationId: destination.id ?? null,
    destinationService: destination.service ?? null,
    destinationNamespace: destination.namespace ?? null,
    destinationPort: about.destinationPort,
    sni: about.sni ?? null,
    tlsVersion: tls?.version ?? null,
    tlsCipher: tls?.cipher ?? null,
    tlsGroup: tls?.group ?? null,
    peerSerial: about.peerSerial ?? null,
  });
  const edge = metrics.edge({
    reporter,
    sourceId: source.id ?? null,
    sourceService: source.service ?? null,
    sourceNamespace: source.namespace ?? null,
    destinationId: destination.id ?? null,
    destinationService: destination.service ?? null,
    destinationNamespace: destination.namespace ?? null,
    protocol: protocol === 'grpc' ? 'grpc' : trafficOf(protocol),
    mtls: tls !== undefined,
  });
  return { recorded, edge };
}

/** The workload itself as a party. */
export function ownParty(
  snapshot: Snapshot | undefined,
  identity: WorkloadIdentity | undefined,
): Party {
  return {
    id: (identity?.id ?? snapshot?.workload.id)?.text,
    service: snapshot?.workload.service,
    namespace: snapshot?.workload.namespace,
  };
}

/** Empties a record for the next call. INVARIANT: a record denies until something allowed it. */
export function resetRecord(record: RecordedCall): void {
  record.policy = null;
  record.rule = null;
  record.denialId = null;
  record.traceId = null;
  record.spanId = null;
  record.parentSpanId = null;
  record.decisionUs = -1;
  record.tunnelWaitUs = -1;
  record.upstreamUs = -1;
  record.isConsulted = false;
  record.headers = undefined;
  record.redacted = undefined;
  record.redactionKey = undefined;
  record.bytesIn = 0;
  record.bytesOut = 0;
  record.dryRun = undefined;
  record.audit = undefined;
  record.exception = undefined;
  record.status = 0;
  record.grpcStatus = -1;
  record.reason = null;
  record.verdict = 'deny';
}

/** Writes into a record what was decided, and by which version. */
export function recordDecision(
  record: RecordedCall,
  decision: Decision | undefined,
  snapshot: Snapshot | undefined,
): void {
  record.policyVersion = snapshot?.version ?? null;
  if (decision === undefined) return;
  record.verdict = decision.verdict;
  record.policy = decision.policy ?? null;
  record.rule = decision.rule === undefined ? null : `${decision.rule}`;
  record.dryRun = decision.dryRun.length === 0 ? undefined : decision.dryRun;
  record.audit = decision.audit;
  record.exception = decision.exception;
}

/** The last stage: hands a finished call to the access log and the metrics. */
export function recordCall(to: RecordTargets, facts: CallFacts, record: RecordedCall): void {
  record.connection = facts.recorded;
  to.records.record(record, facts.edge);
  to.metrics.countCall(facts.edge, record);
}

/** The record of one call after another, with its clock. */
export class CallRecorder {
  /** The call under way, or the last one. */
  readonly record: RecordedCall;
  facts: CallFacts;
  readonly #to: RecordTargets;
  // Of performance.now: when the call began, was decided on, and was taken by its server.
  #startedAt = 0;
  #decidedAt = 0;
  #reachedAt = 0;

  constructor(to: RecordTargets, facts: CallFacts) {
    this.#to = to;
    this.facts = facts;
    this.record = createRecordedCall(facts.recorded);
  }

  /** Starts the record of a call; of a request that could not be read nothing is known. */
  begin(request?: { readonly method: string; readonly host: string; readonly path: string }): void {
    const { record } = this;
    resetRecord(record);
    record.startedAt = this.#to.clock();
    this.#startedAt = performance.now();
    record.method = request?.method ?? null;
    record.host = request?.host ?? null;
    record.path = request?.path ?? null;
  }

  /** The decision is made. */
  decided(): void {
    this.#decidedAt = performance.now();
    this.record.decisionUs = microseconds(this.#decidedAt - this.#startedAt);
  }

  /** A server has the request's head; of several tries the last one counts. */
  reached(): void {
    this.#reachedAt = performance.now();
    this.record.tunnelWaitUs = microseconds(this.#reachedAt - this.#decidedAt);
  }

  /** The head of its answer is there. */
  answered(): void {
    this.record.upstreamUs = microseconds(performance.now() - this.#reachedAt);
  }

  /** Hands the finished call on. */
  finish(): void {
    this.record.durationUs = microseconds(performance.now() - this.#startedAt);
    recordCall(this.#to, this.facts, this.record);
  }
}

function microseconds(ms: number): number {
  return Math.round(ms * 1000);
}
