// The same contract as in files, against a real PostgreSQL; and what a database has of its own: its schema, its size, its
// other users.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import postgres from 'postgres';
import {
  openPostgresStore,
  openThreadedStore,
  type RecordBounds,
  type RecordStore,
  RecordsTooSlow,
} from '#record-store';
import { recordStoreContract } from '../../src/record-store/contract.ts';
import { added, seqs, where } from '../../src/record-store/contract-case.ts';
import { batch, denied, NODE, NOW, recordOf } from '../../src/record-store/fixtures.ts';
import { POSTGRES_MIGRATIONS } from '../../src/record-store/postgres-schema.ts';
import { SUM_COLUMNS, sumsOf } from '../../src/record-store/rollup-schema.ts';
import { emptyRollup } from '../../src/record-store/rollups.ts';
import { answersOf, variedReports } from './postgres-answers.ts';
import { type PostgresServer, postgresFolder, startPostgres } from './postgres-server.ts';

const programs = postgresFolder();
const BOUNDS = { maxBytes: 1024 ** 3, maxAgeMs: 7 * 24 * 3_600_000 };

if (programs === undefined) {
  test('records in PostgreSQL', {
    skip: 'PostgreSQL is not installed (Debian: postgresql)',
  }, () => {});
} else {
  let server: Promise<PostgresServer> | undefined;
  after(async () => (await server)?.close());
  recordStoreContract('in PostgreSQL', async () => {
    server ??= startPostgres(programs);
    return openPostgresStore({ url: (await server).database(), bounds: BOUNDS });
  });
  let url = '';
  const withStore = async (
    work: (store: RecordStore, sql: postgres.Sql) => Promise<void>,
    { bounds = BOUNDS, prepare }: StoreOptions = {},
  ): Promise<void> => {
    server ??= startPostgres(programs);
    url = (await server).database();
    await prepare?.(url);
    const store = await openPostgresStore({ url, bounds, timeoutMs: 500 });
    const sql = postgres(url, { onnotice: () => {} });
    try {
      await work(store, sql);
    } finally {
      await store.close();
      await sql.end();
    }
  };

  test('a database of the first schema is taken over with its sums', () =>
    withStore(
      async (store) => {
        const points = async (stepMs: number) => {
          const range = { stepMs, fromMs: 0, untilMs: 3 * HOUR_MS };
          const asked = { ...range, group: 'edge', metrics: ['requests'] } as const;
          return (await store.rollups(asked)).series[0]?.points;
        };
        const [hour, minute, second] = [0, HOUR_MS, 2 * HOUR_MS];
        assert.deepEqual(await points(1_000), [
          [hour, 1],
          [minute, 2],
          [second, 4],
          [second + 1_000, 8],
        ]);
        assert.deepEqual(await points(300_000), [
          [hour, 1],
          [minute, 2],
          [second, 12],
        ]);
        assert.deepEqual(await points(3 * HOUR_MS), [[0, 15]]);
      },
      { prepare: makeFirstSchema },
    ));

  test('a database of the second schema is taken over with its records', () =>
    withStore(
      async (store) => {
        assert.deepEqual(await seqs(store, []), OLD_SEQS);
        assert.deepEqual(await seqs(store, [where('verdict', 'deny')]), [500]);
        assert.deepEqual(await seqs(store, [where('duration_us', '>=20890')]), [19_990, 20_000]);
        assert.equal((await store.denial('old'))?.seq, 500);
        const inTime = await store.list({ sinceMs: NOW + 10, untilMs: NOW + 31 }, { limit: 10 });
        assert.deepEqual(
          inTime.records.map(({ seq }) => seq),
          [30, 20, 10],
        );
        const { records, oldestMs, newestId } = await store.state();
        assert.deepEqual([records, oldestMs, newestId], [2_000, NOW + 10, 20_000]);
        // What comes is beside it, and what came long ago goes in pieces.
        await added(store, batch(20_001, 20_002), NOW + 6 * DAY_MS);
        assert.deepEqual(await store.prune(NOW + 6 * DAY_MS), { ok: true, value: 0 });
        assert.deepEqual(
          await seqs(store, [where('path', '/orders/2000*')]),
          [2_000, 20_000, 20_001, 20_002],
        );
        assert.deepEqual(await store.prune(NOW + 7 * DAY_MS + 1), { ok: true, value: 2_000 });
        assert.deepEqual(await seqs(store, []), [20_001, 20_002]);
        assert.deepEqual(await store.prune(NOW + 7 * DAY_MS + 1), { ok: true, value: 0 });
        assert.equal((await store.state()).records, 2);
      },
      { prepare: makeSecondSchema },
    ));

  test('a database of a later schema is refused and left as it is', () =>
    withStore(async (_store, sql) => {
      await sql`UPDATE palisade_records_schema SET version = 99`;
      await assert.rejects(openPostgresStore({ url, bounds: BOUNDS }), /version 99 .* newer/);
      assert.equal((await sql`SELECT version FROM palisade_records_schema`)[0]?.['version'], 99);
    }));

  test('more than there may be goes a part at a time, the oldest first', () =>
    withStore(
      async (store, sql) => {
        const sent = 4_000;
        for (let from = 1; from <= sent; from += 500) {
          await added(store, batch(from, from + 499), NOW);
          assert.ok((await store.prune(NOW)).ok);
          const [size] = await sql<{ bytes: string }[]>`
            SELECT sum(pg_total_relation_size(relid)) AS bytes FROM pg_partition_tree('records')`;
          // The part that is written to may be above its share.
          assert.ok(Number(size?.bytes) < 1.5 * SMALL.maxBytes, size?.bytes);
        }
        const left = await seqs(store, []);
        assert.ok(left.length > 200 && left.length < sent, String(left.length));
        assert.deepEqual(
          left,
          Array.from(left, (_, at) => sent - left.length + 1 + at),
        );
        assert.equal((await store.state()).records, left.length);
      },
      { bounds: SMALL },
    ));

  test('whoever reads for hours keeps a part from going, and holds up nobody', () =>
    withStore(async (store, sql) => {
      await added(store, batch(1, 3));
      const reader = await sql.reserve();
      await reader`BEGIN`;
      await reader`SELECT count(*) FROM records`;
      const later = NOW + 8 * DAY_MS;
      const pruned = await store.prune(later);
      assert.match(pruned.ok ? '' : pruned.error, /lock timeout/);
      const [{ parts } = { parts: 0 }] = await sql<{ parts: number }[]>`
        SELECT count(*)::int AS parts FROM record_parts`;
      assert.equal(parts, 2);
      await added(store, batch(4, 6), later);
      assert.deepEqual(await seqs(store, []), [1, 2, 3, 4, 5, 6]);
      await reader`ROLLBACK`;
      reader.release();
      assert.deepEqual(await store.prune(later), { ok: true, value: 3 });
      assert.deepEqual(await seqs(store, []), [4, 5, 6]);
    }));

  test('everything is answered as files answer it', () =>
    withStore(async (store) => {
      const folder = mkdtempSync(join(tmpdir(), 'palisade-answers-'));
      const files = await openThreadedStore({ folder, bounds: BOUNDS, onLost: assert.fail });
      try {
        for (const one of [store, files]) {
          for (const report of variedReports()) await added(one, report, NOW + DAY_MS);
        }
        const [given, wanted] = [await answersOf(store), await answersOf(files)];
        for (const [question, answer] of Object.entries(wanted)) {
          assert.deepEqual(given[question], answer, question);
        }
        // Questions that find nothing prove nothing.
        const empty = Object.values(wanted).filter(
          (answer) => Array.isArray(answer) && !answer.length,
        );
        assert.ok(empty.length < 20, String(empty.length));
      } finally {
        await files.close();
        rmSync(folder, { recursive: true });
      }
    }));

  test('control planes that share a database write in turn, and each record once', () =>
    withStore(async (store) => {
      const other = await openPostgresStore({ url, bounds: BOUNDS });
      try {
        const stores = [store, other, store, other];
        const results = await Promise.all(stores.map((one) => one.add([batch(1, 50)], NOW)));
        const stored = results.map((result) => (result.ok ? result.value.stored : -1));
        assert.deepEqual(stored.toSorted(), [0, 0, 0, 50]);
        assert.deepEqual(
          await seqs(other, []),
          Array.from({ length: 50 }, (_, at) => at + 1),
        );
      } finally {
        await other.close();
      }
    }));

  test('a question that waits for others ends in time, with words', () =>
    withStore(async (store, sql) => {
      await added(store, batch(1, 3));
      const lock = await sql.reserve();
      await lock`BEGIN`;
      await lock`LOCK TABLE records, tallies, rollups IN ACCESS EXCLUSIVE MODE`;
      const isNamed = (error: unknown): boolean =>
        error instanceof RecordsTooSlow && error.message.startsWith('PostgreSQL took too long');
      const range = { fromMs: NOW, untilMs: NOW + 1_000, stepMs: 1_000 };
      const began = performance.now();
      await Promise.all([
        assert.rejects(store.list({}, { limit: 10 }), isNamed),
        assert.rejects(store.trace('0'), isNamed),
        assert.rejects(store.denials(0, 10), isNamed),
        assert.rejects(store.rollups({ ...range, group: 'edge', metrics: ['requests'] }), isNamed),
      ]);
      assert.ok(performance.now() - began < 5_000);
      await lock`ROLLBACK`;
      lock.release();
      assert.deepEqual(await seqs(store, []), [1, 2, 3]);
    }));
}

type StoreOptions = {
  readonly bounds?: RecordBounds;
  readonly prepare?: (url: string) => Promise<void>;
};

const DAY_MS = 24 * 3_600_000;
/** A little more than what a part takes without records, eight times. */
const SMALL: RecordBounds = { maxBytes: 4 * 1024 ** 2, maxAgeMs: 7 * DAY_MS };
const OLD_SEQS = Array.from({ length: 2_000 }, (_, at) => (at + 1) * 10);

/** With gaps in its ids, as transactions that did not happen leave them. */
async function makeSecondSchema(url: string): Promise<void> {
  const sql = postgres(url, { onnotice: () => {} });
  const odd: Readonly<Record<number, object>> = { 500: denied('old') };
  const rows = OLD_SEQS.map((seq) => JSON.stringify(recordOf(seq, odd[seq] as never)));
  try {
    for (const script of POSTGRES_MIGRATIONS.slice(0, 2)) await sql.unsafe(script);
    await sql`CREATE TABLE palisade_records_schema (version int NOT NULL)`;
    await sql`INSERT INTO palisade_records_schema VALUES (2)`;
    await sql`
      INSERT INTO records (id, node, arrived_ms, time_ms, source_service, service, verdict, status, path, trace_id,
        denial_id, record, fields) OVERRIDING SYSTEM VALUE
      SELECT (f ->> 'seq')::bigint, ${NODE}, ${NOW}, ${NOW} + (f ->> 'seq')::bigint, f ->> 'source.service',
        f ->> 'destination.service', f ->> 'verdict', (f ->> 'status')::bigint, f ->> 'path', f ->> 'trace_id',
        f ->> 'denial_id', f::json, f
      FROM (SELECT line::jsonb AS f FROM unnest(${rows}::text[]) AS line) AS parsed`;
  } finally {
    await sql.end();
  }
}

const HOUR_MS = 3_600_000;

/** As it was: what is on one level is on no other. */
async function makeFirstSchema(url: string): Promise<void> {
  const sql = postgres(url, { onnotice: () => {} });
  const columns = ['level', 'time_ms', 'source', 'destination', ...SUM_COLUMNS];
  try {
    await sql.unsafe(POSTGRES_MIGRATIONS[0] ?? '');
    await sql`CREATE TABLE palisade_records_schema (version int NOT NULL)`;
    await sql`INSERT INTO palisade_records_schema VALUES (1)`;
    for (const [level, timeMs, requests] of [
      [2, 0, 1],
      [1, HOUR_MS, 2],
      [0, 2 * HOUR_MS, 4],
      [0, 2 * HOUR_MS + 1_000, 8],
    ] as const) {
      const sums = sumsOf({ ...emptyRollup(timeMs, 'web', 'shop/orders'), requests });
      await sql.unsafe(
        `INSERT INTO rollups (${columns.join(', ')}) VALUES (${columns.map((_, at) => `$${at + 1}`).join(', ')})`,
        [level, timeMs, 'web', 'shop/orders', ...sums],
      );
    }
  } finally {
    await sql.end();
  }
}
