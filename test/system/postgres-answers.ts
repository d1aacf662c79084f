// Records that differ in most fields, and everything that a store may be asked of them.
import { type Condition, parseCondition, type RecordStore, type Report } from '#record-store';
import { seqs } from '../../src/record-store/contract-case.ts';
import { accountOf, denied, NOW, recordOf, reportOf } from '../../src/record-store/fixtures.ts';

const HOUR_MS = 3_600_000;
const RECORDS = 600;

/** Reports of three services over a day, in the order of their arrival; the same for every store. */
export function variedReports(): readonly Report[] {
  return ['orders', 'billing', 'stock'].map((service, at) => {
    const records = Array.from({ length: RECORDS / 3 }, (_, i) => variedRecord(service, at, i + 1));
    return reportOf(records, {
      node: `default/${service}/1`,
      accounts: [accountOf(1, RECORDS / 3 + at, { boot: `b000000${at}` })],
    });
  });
}

function variedRecord(service: string, at: number, seq: number) {
  const n = seq * 3 + at;
  const caller = n % 7 === 0 ? null : `caller-${n % 4}`;
  const failed = n % 11 === 0 ? { status: 503, reason: 'upstream_failed' } : {};
  const why = n % 9 === 0 ? denied(`d${n}`) : failed;
  return recordOf(seq, {
    id: `b000000${at}-${seq}`,
    time: new Date(NOW + ((n * 7_919_000) % (24 * HOUR_MS))).toISOString(),
    'source.service': caller,
    'source.id': caller === null ? null : `spiffe://cluster.local/ns/default/sa/${caller}`,
    'destination.service': service,
    'destination.id': `spiffe://cluster.local/ns/default/sa/${service}`,
    method: n % 5 === 0 ? 'POST' : 'GET',
    path: `/api/v${n % 3}/things_${n % 20}%/${n % 50}`,
    policy: `default/${service}-callers`,
    trace_id: (n % 40).toString(16).padStart(32, 'a'),
    duration_us: (n * n * 31) % 90_000,
    bytes_in: n % 500,
    ...(n % 2 === 0 ? { weight: 1 + (n % 13) } : {}),
    ...(n % 10 === 0 ? { 'tls.version': null } : {}),
    ...(n % 13 === 0 ? { dry_run: [{ policy: 'default/p', verdict: 'deny' }] } : {}),
    ...why,
  });
}

const FIELDS: readonly (readonly [field: string, text: string])[] = [
  ['verdict', 'deny'],
  ['verdict', '!allow'],
  ['status', '503'],
  ['status', '>=403'],
  ['status', '<403.5'],
  ['status', '!200'],
  ['status', '418'],
  ['duration_us', '>80000'],
  ['duration_us', '<=500'],
  ['bytes_in', '>=450'],
  ['weight', '>11'],
  ['weight', 'null'],
  ['path', '/api/v1/*'],
  ['path', '/api/v1/things_7%/*'],
  ['path', '/api/v1/things_1*'],
  ['path', '~%/4'],
  ['source.service', 'null'],
  ['source.service', 'caller-1'],
  ['tls.version', 'null'],
  ['trace_id', '5'.padStart(32, 'a')],
  ['node', 'default/stock/1'],
  ['reason', 'upstream_failed'],
];

/** Each question's answer by its name, without what a store numbers by itself. */
export async function answersOf(store: RecordStore): Promise<Readonly<Record<string, unknown>>> {
  const answers: Record<string, unknown> = {};
  const conditions = FIELDS.map(([field, text]) => conditionOf(field, text));
  const [posts, slow] = [conditionOf('method', 'POST'), conditionOf('duration_us', '>40000')];
  const asked: readonly (readonly Condition[])[] = [
    ...conditions.map((condition) => [condition]),
    ...conditions.map((condition) => [condition, posts, slow]),
    [{ kind: 'from', name: 'caller-2' }, { kind: 'to', name: 'default/billing' }, slow],
    [{ kind: 'text', text: 'UPSTREAM' }],
    [{ kind: 'text', text: 'things_7%' }, posts],
  ];
  for (const where of asked) {
    answers[JSON.stringify(where)] = await seqs(store, where);
    const range = { sinceMs: NOW + 3 * HOUR_MS + 1, untilMs: NOW + 9 * HOUR_MS, where };
    const { records } = await store.list(range, { limit: 50 });
    answers[`${JSON.stringify(where)} for six hours`] = records.map(({ id }) => id);
  }
  for (const group of ['edge', 'service', 'total'] as const) {
    for (const minutes of [1 / 60, 1, 5, 15, 60, 360]) {
      const range = { fromMs: NOW + 61_000, untilMs: NOW + 23 * HOUR_MS + 5_000 };
      const metrics = ['requests', 'denied', 'errors', 'bytes_in', 'mean_us', 'p95_us'] as const;
      const query = { ...range, group, metrics, stepMs: minutes * 60_000 };
      const { series } = await store.rollups(query);
      answers[`${group} by ${minutes} min`] = sorted(series);
    }
  }
  const unnumbered = (rows: readonly object[]) =>
    sorted(rows.map((row) => ({ ...row, sampleId: 0 })));
  answers['denials'] = unnumbered(await store.denials(NOW, 1_000));
  answers['hits'] = await store.hits(NOW);
  answers['trials'] = unnumbered(await store.trials(NOW, 1_000));
  answers['plaintext'] = unnumbered(await store.plaintext(NOW, 1_000));
  answers['denied'] = await store.countDenied(NOW);
  const { sources, ratio } = await store.completeness({ fromMs: NOW, untilMs: NOW + 24 * HOUR_MS });
  answers['completeness'] = [sorted(sources), ratio];
  answers['trace'] = (await store.trace('7'.padStart(32, 'a'))).map(({ time }) => time);
  return answers;
}

function conditionOf(field: string, text: string): Condition {
  const condition = parseCondition(field, text);
  if (!condition.ok) throw new Error(condition.error);
  return condition.value;
}

function sorted(rows: readonly object[]): readonly object[] {
  return rows.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
}
