import type postgres from 'postgres';
import {
  type KeptFrom,
  keptAfter,
  ROLLUP_LEVELS,
  type RollupSlice,
  rollUpLevels,
  sliceRollups,
  tooOld,
} from './rollup-levels.ts';
import { columnsFor, rollupReader, SUM_COLUMNS, sumsOf } from './rollup-schema.ts';
import type { Rollup, RollupQuery } from './rollups.ts';

/** The rollups in PostgreSQL; the same levels as in files. */
export type PostgresRollups = {
  /** Adds sums of a second to each level, in the transaction that adds their records. */
  readonly add: (tx: postgres.TransactionSql, seconds: readonly Rollup[]) => Promise<void>;
  /** Deletes what its level keeps no longer; in a transaction that no writer's overlaps. */
  readonly forget: (tx: postgres.TransactionSql, nowMs: number) => Promise<void>;
  readonly read: (query: RollupQuery) => Promise<readonly Rollup[]>;
};

const COLUMNS = ['level', 'time_ms', 'source', 'destination', ...SUM_COLUMNS];
const ADD_UP = SUM_COLUMNS.map((name) => `${name} = rollups.${name} + excluded.${name}`).join(', ');
// A statement has at most 65,535 values.
const INSERT_ROWS = 1_000;

/** The rollups of a database whose schema is made. */
export function createPostgresRollups(sql: postgres.Sql): PostgresRollups {
  return {
    async add(tx, seconds) {
      const kept = await borders(tx);
      for (const [level, sums] of rollUpLevels(seconds).entries()) {
        const rows = sums
          .filter(({ timeMs }) => timeMs >= (kept[level] ?? 0))
          .map((one) => [level, one.timeMs, one.source, one.destination, ...sumsOf(one)]);
        for (let at = 0; at < rows.length; at += INSERT_ROWS) {
          await insertRows(tx, rows.slice(at, at + INSERT_ROWS));
        }
      }
    },
    async forget(tx, nowMs) {
      for (let level = 0; level < ROLLUP_LEVELS.length - 1; level++) {
        const before = tooOld(level, nowMs);
        const [row] = await tx<{ lastMs: number | null }[]>`
          SELECT max(time_ms) AS "lastMs" FROM rollups WHERE level = ${level} AND time_ms < ${before}`;
        const lastMs = row?.lastMs ?? null;
        if (lastMs === null) continue;
        await tx`DELETE FROM rollups WHERE level = ${level} AND time_ms < ${before}`;
        await tx`INSERT INTO rollup_levels AS known VALUES (${level}, ${keptAfter(level, lastMs)})
          ON CONFLICT (level) DO UPDATE SET kept_from_ms = greatest(known.kept_from_ms, excluded.kept_from_ms)`;
      }
    },
    read: (query) =>
      // One state of the sums, though others write meanwhile.
      sql.begin('isolation level repeatable read read only', async (tx) => {
        const rollups: Rollup[] = [];
        for (const slice of sliceRollups(query, await borders(tx))) {
          rollups.push(...(await readSlice(tx, query, slice)));
        }
        return rollups;
      }),
  };
}

async function borders(tx: postgres.TransactionSql): Promise<KeptFrom> {
  const kept = ROLLUP_LEVELS.map(() => 0);
  const rows = await tx<{ level: number; kept_from_ms: number }[]>`SELECT * FROM rollup_levels`;
  for (const { level, kept_from_ms } of rows) kept[level] = kept_from_ms;
  return kept;
}

async function insertRows(
  tx: postgres.TransactionSql,
  rows: readonly (readonly (number | string)[])[],
): Promise<void> {
  const width = COLUMNS.length;
  const places = rows.map(
    (row, at) => `(${row.map((_, column) => `$${at * width + column + 1}`).join(', ')})`,
  );
  await tx.unsafe(
    `INSERT INTO rollups (${COLUMNS.join(', ')}) VALUES ${places.join(', ')}
     ON CONFLICT (level, time_ms, source, destination) DO UPDATE SET ${ADD_UP}`,
    rows.flat(),
  );
}

async function readSlice(
  tx: postgres.TransactionSql,
  query: RollupQuery,
  { level, fromMs, untilMs }: RollupSlice,
): Promise<readonly Rollup[]> {
  const step = Math.floor(query.stepMs);
  const columns = columnsFor(query.metrics);
  const [source, destination] = GROUPS[query.group];
  const sums = columns.map((name) => `sum(${name})::bigint`);
  const rows = await tx
    .unsafe(
      `SELECT ${[`(time_ms / ${step}) * ${step}`, source, destination, ...sums].join(', ')} FROM rollups
       WHERE level = ${level} AND time_ms >= $1 AND time_ms < $2 GROUP BY 1, 2, 3`,
      [fromMs, untilMs],
    )
    .values();
  const read = rollupReader(columns);
  return (rows as unknown as readonly Row[]).map(([timeMs, from, to, ...values]) =>
    read(timeMs, { source: from, destination: to }, values),
  );
}

type Row = readonly [timeMs: number, source: string, destination: string, ...sums: number[]];

/** What is read as the source and the destination: an answer by service knows no source, one in all knows neither. */
const GROUPS: Readonly<Record<RollupQuery['group'], readonly [string, string]>> = {
  edge: ['source', 'destination'],
  service: ["''", 'destination'],
  total: ["''", "''"],
};
