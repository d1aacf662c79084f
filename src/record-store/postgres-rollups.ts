import type postgres from 'postgres';
import { hourOf } from './coverage.ts';
import { listOf } from './postgres-fields.ts';
import {
  type KeptFrom,
  keptAfter,
  ROLLUP_LEVELS,
  type RollupSlice,
  rollUpLevels,
  sliceRollups,
  stepOfLevel,
  tooOld,
} from './rollup-levels.ts';
import { columnsFor, rollupReader, SUM_COLUMNS, sumsOf } from './rollup-schema.ts';
import type { Rollup, RollupQuery } from './rollups.ts';

/** The rollups in PostgreSQL; the same levels as in files. */
export type PostgresRollups = {
  /** Adds sums of a second to each level, in the transaction that adds their records. */
  readonly add: (tx: postgres.TransactionSql, seconds: readonly Rollup[]) => Promise<void>;
  /**
   * Deletes what its level keeps no longer, and all of before `oldestMs`; in a transaction that no writer's overlaps.
   */
  readonly forget: (tx: postgres.TransactionSql, nowMs: number, oldestMs: number) => Promise<void>;
  readonly read: (query: RollupQuery) => Promise<readonly Rollup[]>;
};

const ADD_UP = SUM_COLUMNS.map((name) => `${name} = rollups.${name} + excluded.${name}`).join(', ');
const INSERT_ROWS = 2_000;

/** The rollups of a database whose schema is made. */
export function createPostgresRollups(sql: postgres.Sql): PostgresRollups {
  return {
    async add(tx, seconds) {
      const kept = await borders(tx);
      for (const [level, sums] of rollUpLevels(seconds).entries()) {
        // In the order of time, as they are read.
        const rows = sums
          .filter(({ timeMs }) => timeMs >= (kept[level] ?? 0))
          .sort((a, b) => a.timeMs - b.timeMs);
        for (let at = 0; at < rows.length; at += INSERT_ROWS) {
          await insertRows(tx, level, rows.slice(at, at + INSERT_ROWS));
        }
      }
    },
    async forget(tx, nowMs, oldestMs) {
      // Level by level: that is how they are indexed.
      for (const level of ROLLUP_LEVELS.keys()) {
        await tx`DELETE FROM rollups WHERE level = ${level} AND time_ms < ${hourOf(oldestMs)}`;
      }
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

/** A list for each column: thousands of rows are a few dozen values. */
async function insertRows(
  tx: postgres.TransactionSql,
  level: number,
  rows: readonly Rollup[],
): Promise<void> {
  const sums = rows.map(sumsOf);
  const lists = SUM_COLUMNS.map((_, at) => `$${at + 5}::text::bigint[]`);
  await tx.unsafe(
    `INSERT INTO rollups (level, time_ms, source, destination, ${SUM_COLUMNS.join(', ')})
     SELECT $1::int, * FROM unnest($2::text::bigint[], $3::text[], $4::text[], ${lists.join(', ')})
     ON CONFLICT (level, time_ms, source, destination) DO UPDATE SET ${ADD_UP}`,
    [
      level,
      listOf(rows.map(({ timeMs }) => timeMs)),
      rows.map(({ source }) => source),
      rows.map(({ destination }) => destination),
      ...SUM_COLUMNS.map((_, column) => listOf(sums.map((sum) => sum[column] ?? 0))),
    ],
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
  const at = `(time_ms / ${step}) * ${step} AS at`;
  const rows = `FROM rollups WHERE level = ${level} AND time_ms >= $1 AND time_ms < $2`;
  // A level has one row for each edge and time. Sums are doubles, as here, and cost half of what whole numbers would.
  const summed =
    query.group === 'edge' && step === stepOfLevel(level)
      ? `SELECT ${[at, 'source', 'destination', ...columns].join(', ')} ${rows}`
      : `SELECT ${[at, `${source} AS source`, `${destination} AS destination`].join(', ')},
           ${columns.map((name) => `sum(${name}::float8) AS ${name}`).join(', ')} ${rows} GROUP BY 1, 2, 3`;
  // One row for each line with its points as JSON: tens of thousands of rows cost several times what their sums do.
  const lines = await tx.unsafe<Line[]>(
    `SELECT source, destination, '[[' || string_agg(concat_ws(',', at, ${columns.join(', ')}), '],[') || ']]' AS points
     FROM (${summed}) AS summed GROUP BY source, destination`,
    [fromMs, untilMs],
  );
  const read = rollupReader(columns);
  return lines.flatMap(({ points, ...edge }) => {
    const sums = JSON.parse(points) as readonly (readonly [at: number, ...sums: number[]])[];
    return sums.map(([timeMs, ...values]) => read(timeMs, edge, values));
  });
}

type Line = { readonly source: string; readonly destination: string; readonly points: string };

/** What is read as the source and the destination: an answer by service knows no source, one in all knows neither. */
const GROUPS: Readonly<Record<RollupQuery['group'], readonly [string, string]>> = {
  edge: ['source', 'destination'],
  service: ["''", 'destination'],
  total: ["''", "''"],
};
