import type { KeptReason, RecordedCall } from './access-record.ts';

/** Why a call's record is kept whatever the budget; `all` if it is one of many. */
export function classify(call: RecordedCall): KeptReason {
  if (call.audit !== undefined) return 'audit';
  if (call.verdict === 'deny') return 'denied';
  // A denial by the other side is that side's denial, and as much worth keeping.
  if (call.denialId !== null) return 'denied';
  if (isFailure(call.reason) || isServerError(call)) return 'error';
  return 'all';
}

/** Whether a reason says that something went wrong; an allowed call's may name why it was allowed. */
export function isFailure(reason: string | null): boolean {
  return reason !== null && !reason.startsWith('allowed');
}

// OpenTelemetry's semantic conventions for gRPC, "Recording errors" of servers: UNKNOWN,
// DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE and DATA_LOSS. The rest is the caller's.
const SERVER_ERRORS: ReadonlySet<number> = new Set([2, 4, 12, 13, 14, 15]);

/** Whether an answer's statuses say that its server failed; `grpcStatus` -1 or undefined is none. */
export function isServerError(answer: {
  readonly status: number | null;
  readonly grpcStatus?: number | undefined;
}): boolean {
  return (answer.status ?? 0) >= 500 || SERVER_ERRORS.has(answer.grpcStatus ?? -1);
}
