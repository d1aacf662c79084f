import type { KeptReason, RecordedCall } from './access-record.ts';

/** Why a call's record is kept whatever the budget; `all` if it is one of many. */
export function classify(call: RecordedCall): KeptReason {
  if (call.audit !== undefined) return 'audit';
  if (call.verdict === 'deny') return 'denied';
  // A denial by the other side is that side's denial, and as much worth keeping.
  if (call.denialId !== null) return 'denied';
  if (isFailure(call.reason) || call.status >= 500) return 'error';
  return 'all';
}

/** Whether a reason says that something went wrong; an allowed call's may name why it was allowed. */
export function isFailure(reason: string | null): boolean {
  return reason !== null && !reason.startsWith('allowed');
}
