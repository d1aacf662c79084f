// The same contract as in files, against a real PostgreSQL.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import postgres from 'postgres';
import { openPostgresStore } from '#record-store';
import { recordStoreContract } from '../../src/record-store/contract.ts';
import { POSTGRES_MIGRATIONS } from '../../src/record-store/postgres-schema.ts';
import { SUM_COLUMNS, sumsOf } from '../../src/record-store/rollup-schema.ts';
import { emptyRollup } from '../../src/record-store/rollups.ts';
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
  test('a database of the first schema is taken over with its sums', async () => {
    server ??= startPostgres(programs);
    const url = (await server).database();
    await makeFirstSchema(url);
    const store = await openPostgresStore({ url, bounds: BOUNDS });
    try {
      const points = async (stepMs: number) => {
        const range = { stepMs, fromMs: 0, untilMs: 3 * HOUR_MS };
        const { series } = await store.rollups({ ...range, group: 'edge', metrics: ['requests'] });
        return series[0]?.points;
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
    } finally {
      await store.close();
    }
  });
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
