import { type AccessRecord, packLines } from '#telemetry';
import { AccountSchema, createMessage, type ReportRequest, ReportRequestSchema } from '#wire';

/** The trace that {@link reportOfCalls} tells of: a call from the edge over checkout to billing, where it is denied. */
export const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
/** A path that somebody outside chose. */
export const HOSTILE_PATH = '/<img src=x onerror="document.title=1">\u001b[2J\u202e';
/** Records that were numbered and never came. */
export const LOST = { first: 61, last: 80 } as const;

const BOOT = 'boot0001';
const COUNT = 118;
const EVERY_MS = 2_000;

/**
 * What three sidecars report: 118 calls of the gateway to checkout, of which twenty got lost on the way, and
 * the two calls that checkout made for the last of them.
 */
export function reportsOfCalls(nowMs: number): readonly ReportRequest[] {
  const kept = Array.from({ length: COUNT }, (_, index) => index + 1).filter(
    (seq) => seq < LOST.first || seq > LOST.last,
  );
  const records = kept.map((seq) => recordOf(seq, nowMs - (COUNT + 1 - seq) * EVERY_MS));
  const ranges = [
    [1, LOST.first - 1],
    [LOST.last + 1, COUNT],
  ] as const;
  const timeMs = nowMs - EVERY_MS;
  const child = { from: 'checkout-api', seq: 1, timeMs, parent: '1'.repeat(16) };
  const catalog = tracedCall({ ...child, to: 'catalog-api', span: '2'.repeat(16) });
  const billing = tracedCall({ ...child, to: 'billing-api', span: '3'.repeat(16) });
  return [
    reportOf('checkout/checkout-api/1', { records, ranges, nowMs }),
    reportOf('catalog/catalog-api/1', { records: [catalog], ranges: [[1, 1]], nowMs }),
    reportOf('billing/billing-api/1', {
      records: [{ ...billing, ...DENIED, status: 403 }],
      ranges: [[1, 1]],
      nowMs,
    }),
  ];
}

/** A message of a sidecar; numbers in no range are those that got lost. */
function reportOf(
  node: string,
  report: {
    readonly records: readonly AccessRecord[];
    readonly ranges: readonly (readonly [number, number])[];
    readonly nowMs: number;
  },
): ReportRequest {
  const { records, ranges, nowMs } = report;
  return createMessage(ReportRequestSchema, {
    node,
    boot: BOOT,
    blocks: [
      packLines(Buffer.from(records.map((record) => `${JSON.stringify(record)}\n`).join(''))),
    ],
    accounts: ranges.map(([first, last]) =>
      createMessage(AccountSchema, {
        boot: BOOT,
        firstSeq: BigInt(first),
        lastSeq: BigInt(last),
        sinceMs: BigInt(nowMs - COUNT * EVERY_MS),
        untilMs: BigInt(nowMs),
        records: BigInt(last - first + 1),
      }),
    ),
    lastSeq: BigInt(ranges.at(-1)?.[1] ?? 0),
  });
}

/** The last is the trace's; of the others every tenth is denied and every fifteenth fails. */
function recordOf(seq: number, timeMs: number): AccessRecord {
  const call = { seq, timeMs, from: 'edge-gateway', to: 'checkout-api' };
  if (seq === COUNT) return tracedCall({ ...call, span: '1'.repeat(16), parent: null });
  const isDenied = seq % 10 === 0;
  const isFailed = seq % 15 === 7;
  return {
    ...callOf(call),
    path: seq === 5 ? HOSTILE_PATH : `/carts/${seq}`,
    status: isDenied ? 403 : isFailed ? 502 : 200,
    ...(isDenied ? DENIED : {}),
  };
}

const DENIED = { verdict: 'deny', reason: 'policy_denied', policy: null, rule: null } as const;

type Call = {
  readonly seq: number;
  readonly timeMs: number;
  readonly from: string;
  readonly to: string;
};

function tracedCall(call: Call & { readonly span: string; readonly parent: string | null }) {
  const { span, parent, ...rest } = call;
  return {
    ...callOf(rest),
    trace_id: TRACE_ID,
    span_id: span,
    parent_span_id: parent,
    decision_us: 40,
    upstream_us: 3_000,
    duration_us: parent === null ? 9_000 : 4_000,
  };
}

function callOf({ seq, timeMs, from, to }: Call): AccessRecord {
  const team = (service: string): string => service.split('-')[0] ?? service;
  const idOf = (service: string): string =>
    `spiffe://cluster.local/ns/${team(service)}/sa/${service}`;
  return {
    time: new Date(timeMs).toISOString(),
    kind: 'http',
    reporter: 'destination',
    'source.id': idOf(from),
    'source.service': from,
    'source.ip': '127.0.0.1',
    'destination.id': idOf(to),
    'destination.service': to,
    'destination.namespace': team(to),
    'destination.port': 80,
    'connection.sni': null,
    'tls.version': 'TLSv1.3',
    'tls.cipher': 'TLS_AES_128_GCM_SHA256',
    'tls.group': 'X25519MLKEM768',
    peer_serial: 'ab12',
    method: 'GET',
    host: to,
    path: '/items/7',
    policy: `${team(to)}/${to}-callers`,
    rule: '0',
    policy_version: `${team(to)}@1`,
    denial_id: null,
    trace_id: null,
    span_id: null,
    duration_us: 900 + seq,
    bytes_in: 0,
    bytes_out: 120,
    status: 200,
    reason: null,
    verdict: 'allow',
    seq,
  };
}
