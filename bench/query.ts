// Questions over ten million access records as the CLI and the console ask them, through the store's thread or, with
// BENCH_STORE=postgres, of a PostgreSQL; and the bytes that a record takes on disk. Writes half a gigabyte into the temporary
// folder (PostgreSQL: twenty); BENCH_FOLDER keeps it for the next run, which goes on where an earlier one ended.
import {
  type Condition,
  parseCondition,
  type RecordStore,
  type Report,
  type RollupQuery,
} from '#record-store';
import { packLines } from '#telemetry';
import { quantile } from './quantile.ts';
import { openBenchStore } from './record-stores.ts';
import {
  bootOf,
  createSyntheticRecords,
  nodeOf,
  SERVICE_COUNT,
  type SyntheticRecords,
} from './synthetic-records.ts';

const RECORDS = Number(process.env['BENCH_RECORDS'] ?? 10_000_000);
/** How many records a service's node sends at once. */
const EACH = 204;
const BATCH = EACH * SERVICE_COUNT;
const BATCHES = Math.ceil(RECORDS / BATCH);
const PRUNE_EVERY = 8;
const ROUNDS = 25;
const PAGE = 100;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const DAYS = 6;
const BATCH_MS = Math.floor((DAYS * DAY_MS) / BATCHES);

/** Prints the table and, last, `query <slowest p95 in ms> ms`. */
export default async function run(): Promise<void> {
  const opened = await openBenchStore();
  if (opened === undefined) return;
  const { store } = opened;
  try {
    await fill(store);
    const { records, bytes } = await store.state();
    console.log(`${records} records, ${(bytes / records).toFixed(1)} bytes each on disk`);
    const slowest = await measure(store);
    console.log(`query ${slowest.toFixed(0)} ms`);
  } finally {
    await opened.close();
  }
}

/** What a batch holds follows from its number, so that a folder that was filled in part is filled on. */
async function fill(store: RecordStore): Promise<void> {
  const { records, oldestMs = Date.now() - DAYS * DAY_MS } = await store.state();
  const first = Math.ceil(records / BATCH);
  if (first >= BATCHES) return;
  const started = performance.now();
  for (let batch = first; batch < BATCHES; batch++) {
    const fromMs = oldestMs + batch * BATCH_MS;
    const synthetic = createSyntheticRecords(batch);
    const reports = Array.from({ length: SERVICE_COUNT }, (_, service) =>
      reportOf(synthetic, { service, batch, fromMs }),
    );
    const nowMs = fromMs + BATCH_MS;
    const added = await store.add(reports, nowMs);
    if (!added.ok) throw new Error(added.error);
    if (batch % PRUNE_EVERY === 0 || batch === BATCHES - 1) await store.prune(nowMs);
    if (batch % 100 === 0) console.log(`${batch} of ${BATCHES} batches written`);
  }
  const seconds = (performance.now() - started) / 1_000;
  const rate = ((BATCHES - first) * BATCH) / seconds;
  console.log(`written in ${seconds.toFixed(0)} s, ${rate.toFixed(0)} records/s`);
}

/** One node's calls, spread over the batch's time as those of a mesh that is always in use. */
function reportOf(
  synthetic: SyntheticRecords,
  { service, batch, fromMs }: { service: number; batch: number; fromMs: number },
): Report {
  const first = 1 + batch * EACH;
  const records = Array.from({ length: EACH }, (_, i) => {
    const ms = fromMs + Math.floor(((i + service / SERVICE_COUNT) / EACH) * BATCH_MS);
    return `${JSON.stringify(synthetic.next(service, first + i, ms))}\n`;
  });
  const none = { sampled: 0, dropped: {}, afterCrash: false, sinceMs: fromMs };
  return {
    node: nodeOf(service),
    identity: undefined,
    blocks: [packLines(Buffer.from(records.join('')))],
    accounts: [{ boot: bootOf(service), firstSeq: first, lastSeq: first + EACH - 1, ...none }],
  };
}

/** What the console's map of an earlier time asks for. */
const MAP_METRICS = ['requests', 'denied', 'errors', 'bytes_in', 'bytes_out', 'mean_us'] as const;

type Question = readonly [title: string, ask: (round: number) => Promise<number>];

async function measure(store: RecordStore): Promise<number> {
  const p95s: number[] = [];
  console.log(`${'question'.padEnd(58)} ${'p50'.padStart(7)} ${'p95'.padStart(7)} ms  found`);
  for (const [title, ask] of await questions(store)) {
    const times: number[] = [];
    let found = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const started = performance.now();
      found = await ask(round);
      times.push(performance.now() - started);
    }
    p95s.push(quantile(times, 0.95));
    const [p50, p95] = [0.5, 0.95].map((q) => quantile(times, q).toFixed(1).padStart(7));
    console.log(`${title.padEnd(58)} ${p50} ${p95}     ${found}`);
  }
  return Math.max(...p95s);
}

async function questions(store: RecordStore): Promise<readonly Question[]> {
  const newest = await store.newestId();
  const samples = await store.readAfter(newest - Math.floor(RECORDS / 50), 1_000);
  const sample = (round: number) => samples[(round * 37) % samples.length];
  const now = Date.parse((await store.byId(newest))?.time ?? '');
  const page = (where: readonly Condition[], sinceMs?: number) => async (): Promise<number> =>
    (await store.list({ where, sinceMs }, { limit: PAGE })).records.length;
  const sums =
    (query: Partial<RollupQuery> & Omit<RollupQuery, 'group' | 'metrics'>) =>
    async (): Promise<number> =>
      (await store.rollups({ group: 'edge', metrics: ['requests'], ...query })).series.length;
  const range = { fromMs: now - DAY_MS, untilMs: now };
  return [
    ['the newest hundred', page([])],
    ['denied', page([is('verdict', 'deny')])],
    ['from one service to another', page([from('service-3'), to('service-1')])],
    [
      'denied from one service to another',
      page([from('service-3'), to('service-1'), is('verdict', 'deny')]),
    ],
    ['a caller that never called', page([from('nobody')])],
    ['an edge that never was', page([from('service-1'), to('service-20')])],
    ['status 503', page([is('status', '503')])],
    ['status 418, which never was', page([is('status', '418')])],
    ['slower than 50 ms', page([is('duration_us', '>50000')])],
    ['paths that begin with /api/v1/route-20/', page([is('path', '/api/v1/route-20/*')])],
    ['one path', async (round) => page([is('path', String(sample(round)?.path))])()],
    [
      'failed, POST, by one policy',
      page([
        is('status', '>=500'),
        is('method', 'POST'),
        is('policy', 'default/service-1-callers'),
      ]),
    ],
    [
      'text anywhere (first answer; pages go on)',
      page([{ kind: 'text', text: 'nowhere to be found' }]),
    ],
    ['the last hour, denied', page([is('verdict', 'deny')], now - HOUR_MS)],
    ['a trace', async (round) => (await store.trace(String(sample(round)?.trace_id))).length],
    ['groups of denials of a day', async () => (await store.denials(now - DAY_MS, 100)).length],
    ['hits of rules of a day', async () => (await store.hits(now - DAY_MS)).length],
    // The finest that the API answers for each edge.
    ['calls by edge, a day by five minutes', sums({ ...range, stepMs: 5 * MINUTE_MS })],
    [
      'the map of a day by quarters of an hour',
      sums({ ...range, stepMs: 15 * MINUTE_MS, metrics: MAP_METRICS }),
    ],
    [
      'p95 by service, a day by five minutes',
      sums({ ...range, stepMs: 5 * MINUTE_MS, group: 'service', metrics: ['p95_us'] }),
    ],
    [
      'calls in all, six hours by minutes',
      sums({ ...range, fromMs: now - 6 * HOUR_MS, stepMs: MINUTE_MS, group: 'total' }),
    ],
    [
      'calls, errors and p95 in all, six days by hours',
      sums({
        fromMs: now - DAYS * DAY_MS,
        untilMs: now,
        stepMs: HOUR_MS,
        group: 'total',
        metrics: ['requests', 'errors', 'p95_us'],
      }),
    ],
    ['completeness of a day', async () => (await store.completeness(range)).sources.length],
  ];
}

function is(field: string, text: string): Condition {
  const condition = parseCondition(field, text);
  if (!condition.ok) throw new Error(condition.error);
  return condition.value;
}

function from(name: string): Condition {
  return { kind: 'from', name };
}

function to(name: string): Condition {
  return { kind: 'to', name };
}
