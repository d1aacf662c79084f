import type postgres from 'postgres';
import { POSTGRES_MIGRATIONS } from './postgres-schema.ts';
import { createPostgresStore, WRITER_LOCK } from './postgres-store.ts';
import type { RecordBounds, RecordStore } from './record-store.ts';

/** Where records go in PostgreSQL. */
export type PostgresOptions = {
  /** `postgres://USER:PASSWORD@HOST/DATABASE` */
  readonly url: string;
  readonly bounds: RecordBounds;
  /** How long one question may take; 10 s where it is not said. Pages of records end sooner, and go on. */
  readonly timeoutMs?: number;
};

const CONNECTIONS = 3;
const STATEMENT_TIMEOUT_MS = 10_000;
// One window of a search: another, smaller one follows.
const WINDOW_TIMEOUT_MS = 150;
// Questions are many and short, over what is in memory for the most part. Doubles are written whole.
const SESSION = {
  jit: 'off',
  random_page_cost: '1.1',
  max_parallel_workers_per_gather: '0',
  extra_float_digits: '1',
};

/** Opens the store in a database, whose schema it makes. Rejects where that cannot be done. */
export async function openPostgresStore(options: PostgresOptions): Promise<RecordStore> {
  const { default: postgresOf } = await import('postgres');
  const connect = (timeoutMs: number): postgres.Sql =>
    postgresOf(options.url, {
      max: CONNECTIONS,
      onnotice: () => {},
      connection: { application_name: 'palisade', statement_timeout: timeoutMs, ...SESSION },
      types: { bigint: BIGINT },
    }) as unknown as postgres.Sql;
  const sql = connect(options.timeoutMs ?? STATEMENT_TIMEOUT_MS);
  try {
    await migrate(sql);
  } catch (error) {
    await sql.end();
    throw error;
  }
  return createPostgresStore({ sql, pages: connect(WINDOW_TIMEOUT_MS), bounds: options.bounds });
}

/** Ids and times are below 2^53. */
const BIGINT = { to: 20, from: [20, 1700], parse: Number, serialize: String };

async function migrate(sql: postgres.Sql): Promise<void> {
  await sql.begin(async (tx) => {
    // The records of an older schema may be many.
    await tx.unsafe(
      `SET LOCAL statement_timeout = 0; SELECT pg_advisory_xact_lock(${WRITER_LOCK})`,
    );
    await tx`CREATE TABLE IF NOT EXISTS palisade_records_schema (version int NOT NULL)`;
    const [row] = await tx<{ version: number }[]>`SELECT version FROM palisade_records_schema`;
    const from = row?.version ?? 0;
    if (from > POSTGRES_MIGRATIONS.length) {
      throw new Error(`the schema version ${from} of records is newer than this program's`);
    }
    for (const script of POSTGRES_MIGRATIONS.slice(from)) await tx.unsafe(script);
    await tx`DELETE FROM palisade_records_schema`;
    await tx`INSERT INTO palisade_records_schema VALUES (${POSTGRES_MIGRATIONS.length})`;
  });
}
