import { type RecordedCall, WIDE_ZERO } from '../records/access-record.ts';
import { isFailure, isServerError } from '../records/classify.ts';
import type { EdgeRoutes } from '../records/sampler.ts';
import { createHistogram, type Histogram, observe } from './histogram.ts';

/** Who calls whom over what: the labels of one edge, all of them from verified identities or own policy. */
export type EdgeKey = {
  readonly reporter: 'destination' | 'source';
  /** SPIFFE ID; null without one. */
  readonly sourceId: string | null;
  readonly sourceService: string | null;
  readonly sourceNamespace: string | null;
  readonly destinationId: string | null;
  readonly destinationService: string | null;
  readonly destinationNamespace: string | null;
  readonly protocol: 'http' | 'grpc' | 'tcp';
  readonly mtls: boolean;
};

/** Counts of calls with the same statuses and reason on one edge. */
export type OutcomeCounts = {
  readonly status: number;
  /** gRPC's own, or -1. */
  readonly grpcStatus: number;
  readonly reason: string | null;
  requests: number;
  readonly durationMs: Histogram;
  readonly requestBytes: Histogram;
  readonly responseBytes: Histogram;
};

/** What happened on one edge; numbers only go up. Kept by the proxy with the connection. */
export type EdgeCounters = {
  readonly key: EdgeKey;
  readonly outcomes: Map<string | number, OutcomeCounts>;
  requests: number;
  denied: number;
  errors: number;
  bytesIn: number;
  bytesOut: number;
  durationUs: number;
  opened: number;
  closed: number;
  /** Calls whose outcome had no counters of its own any more. */
  overflowed: number;
  /** The sampler's; made by the first call. */
  routes: EdgeRoutes | undefined;
};

/** Changes of one edge since they were last taken; the fields of telemetry.proto's EdgeCount. */
export type EdgeDelta = {
  readonly sourceId: string;
  readonly sourceService: string;
  readonly destinationService: string;
  readonly destinationNamespace: string;
  readonly requests: number;
  readonly denied: number;
  readonly errors: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly durationUsSum: number;
  readonly mtls: boolean;
  readonly protocol: string;
  readonly connections: number;
  readonly reporter: string;
};

// SECURITY: a status comes from an application and could be any number; the outcomes of an edge stay bounded.
const MAX_OUTCOMES = 100;
const OVERFLOW = 'overflow';

/** An edge on which nothing happened yet. */
export function createEdgeCounters(key: EdgeKey): EdgeCounters {
  return {
    key,
    outcomes: new Map(),
    requests: WIDE_ZERO,
    denied: 0,
    errors: 0,
    bytesIn: WIDE_ZERO,
    bytesOut: WIDE_ZERO,
    durationUs: WIDE_ZERO,
    opened: 0,
    closed: 0,
    overflowed: 0,
    routes: undefined,
  };
}

/** Counts one finished call (a request; for TCP the whole connection). */
export function countCall(edge: EdgeCounters, call: RecordedCall): void {
  edge.requests++;
  if (call.verdict === 'deny') edge.denied++;
  // A denial by the other side is that side's denial, not a failure seen from here.
  else if (call.denialId === null && (isFailure(call.reason) || isServerError(call))) edge.errors++;
  edge.bytesIn += call.bytesIn;
  edge.bytesOut += call.bytesOut;
  edge.durationUs += call.durationUs;
  if (edge.key.protocol === 'tcp') return;
  const outcome = outcomeOf(edge, call);
  outcome.requests++;
  observe(outcome.durationMs, call.durationUs / 1000);
  observe(outcome.requestBytes, call.bytesIn);
  observe(outcome.responseBytes, call.bytesOut);
}

/** What one edge gained between two readings of it. */
export function deltaOf(edge: EdgeCounters, before: EdgeCounters | undefined): EdgeDelta {
  const { key } = edge;
  return {
    sourceId: key.sourceId ?? '',
    sourceService: key.sourceService ?? '',
    destinationService: key.destinationService ?? '',
    destinationNamespace: key.destinationNamespace ?? '',
    requests: edge.requests - (before?.requests ?? 0),
    denied: edge.denied - (before?.denied ?? 0),
    errors: edge.errors - (before?.errors ?? 0),
    bytesIn: edge.bytesIn - (before?.bytesIn ?? 0),
    bytesOut: edge.bytesOut - (before?.bytesOut ?? 0),
    durationUsSum: edge.durationUs - (before?.durationUs ?? 0),
    mtls: key.mtls,
    protocol: key.protocol,
    connections: edge.opened - (before?.opened ?? 0),
    reporter: key.reporter,
  };
}

type Outcome = Pick<OutcomeCounts, 'status' | 'grpcStatus' | 'reason'>;

const OVERFLOWED: Outcome = { status: 0, grpcStatus: -1, reason: OVERFLOW };

function outcomeOf(edge: EdgeCounters, call: Outcome): OutcomeCounts {
  const { status, grpcStatus, reason } = call;
  // The common case has no reason and a small integer as key: no string is built for it.
  const code = status + 1_000 * (grpcStatus + 1);
  const key = reason === null ? code : reason === OVERFLOW ? OVERFLOW : `${code} ${reason}`;
  const known = edge.outcomes.get(key);
  if (known !== undefined) return known;
  const isFull = edge.outcomes.size >= MAX_OUTCOMES;
  if (isFull && key !== OVERFLOW) {
    edge.overflowed++;
    return outcomeOf(edge, OVERFLOWED);
  }
  const outcome = {
    status,
    grpcStatus,
    reason,
    requests: WIDE_ZERO,
    durationMs: createHistogram(),
    requestBytes: createHistogram(),
    responseBytes: createHistogram(),
  };
  edge.outcomes.set(key, outcome);
  return outcome;
}
