import { type AccessRecord, packLines } from '#telemetry';
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
    kind: 'http',
    reporter: 'destination',
    'source.id': 'spiffe://cluster.local/ns/default/sa/web',
    'source.service': 'web',
    'source.ip': '127.0.0.1',
    'destination.id': 'spiffe://cluster.local/ns/default/sa/orders',
    'destination.service': 'orders',
    'destination.namespace': 'default',
    'destination.port': 80,
    'connection.sni': null,
    'tls.version': 'TLSv1.3',
    'tls.cipher': 'TLS_AES_128_GCM_SHA256',
    'tls.group': 'X25519MLKEM768',
    peer_serial: 'ab12',
    method: 'GET',
    host: 'orders',
    path: `/orders/${seq}`,
    policy: 'default/orders-callers',
    rule: '0',
    policy_version: 'default@1',
    denial_id: null,
    trace_id: seq.toString(16).padStart(32, '0'),
    span_id: seq.toString(16).padStart(16, '0'),
    duration_us: 900 + seq,
    bytes_in: 0,
    bytes_out: 12,
    status: 200,
    reason: null,
    verdict: 'allow',
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
