import { type AccessRecord, packLines } from '#telemetry';
import { RECORDED_CALL } from '#testing';
import type { Account } from './coverage.ts';
import type { Report } from './record-store.ts';

/** Where tests' records begin: ms since 1970, on a whole hour. */
export const NOW = 1_800_000_000_000;

/** The node that tests' records come from. */
export const NODE = 'default/orders/1';

/** A call of `web` to `orders` as the server's sidecar records it. */
export function recordOf(seq: number, over: Readonly<Record<string, unknown>> = {}): AccessRecord {
  const record = {
    id: `b0000001-${seq}`,
    time: new Date(NOW + seq).toISOString(),
    ...RECORDED_CALL,
    path: `/orders/${seq}`,
    trace_id: seq.toString(16).padStart(32, '0'),
    span_id: seq.toString(16).padStart(16, '0'),
    duration_us: 900 + seq,
    seq,
    ...over,
  };
  return record as unknown as AccessRecord;
}

/** What a denied call has otherwise. */
export function denied(denialId: string): Readonly<Record<string, unknown>> {
  const reason = 'policy_denied';
  return { verdict: 'deny', status: 403, reason, policy: null, rule: null, denial_id: denialId };
}

/** A message with records and the accounts that go with it. */
export function reportOf(
  records: readonly (AccessRecord | string)[],
  over: Partial<Report> = {},
): Report {
  const lines = records.map(
    (record) => `${typeof record === 'string' ? record : JSON.stringify(record)}\n`,
  );
  const blocks = [packLines(Buffer.from(lines.join('')))];
  return { node: NODE, identity: undefined, blocks, accounts: [], ...over };
}

/** An account of numbers. */
export function accountOf(firstSeq: number, lastSeq: number, over: Partial<Account> = {}): Account {
  const none = { sampled: 0, dropped: {}, afterCrash: false };
  return { boot: 'b0000001', firstSeq, lastSeq, sinceMs: NOW, ...none, ...over };
}

/** Records `from` to `until`, with their account. */
export function batch(
  from: number,
  until: number,
  over: (seq: number) => Readonly<Record<string, unknown>> = () => ({}),
): Report {
  const records = Array.from({ length: until - from + 1 }, (_, i) =>
    recordOf(from + i, over(from + i)),
  );
  return reportOf(records, { accounts: [accountOf(from, until)] });
}
