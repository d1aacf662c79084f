import type postgres from 'postgres';
import { ROLLUPS_KEPT_MS } from './day-rollups.ts';
import { BUCKET_COLUMNS } from './day-schema.ts';
import { emptyRollup, ROLLUP_LEVELS_MS, type Rollup, type RollupQuery } from './rollups.ts';

/** The rollups in PostgreSQL; the same steps as in files. */
export type PostgresRollups = {
  readonly add: (tx: postgres.TransactionSql, rollups: readonly Rollup[]) => Promise<void>;
  readonly rollUp: (nowMs: number) => Promise<void>;
  readonly read: (query: RollupQuery) => Promise<readonly Rollup[]>;
};

const SUMS = [
  'requests',
  'denied',
  'errors',
  'bytes_in',
  'bytes_out',
  'duration_us',
  ...BUCKET_COLUMNS,
];
const COLUMNS = ['level', 'time_ms', 'source', 'destination', ...SUMS];
const ADD_UP = SUMS.map((name) => `${name} = rollups.${name} + excluded.${name}`).join(', ');
const ON_CONFLICT = `ON CONFLICT (level, time_ms, source, destination) DO UPDATE SET ${ADD_UP}`;
const SUMMED = SUMS.map((name) => `sum(${name})::bigint AS ${name}`).join(', ');

/** Creates the rollups of a database. */
export function createPostgresRollups(sql: postgres.Sql): PostgresRollups {
  return {
    async add(tx, rollups) {
      const places = COLUMNS.map((_, at) => `$${at + 1}`).join(', ');
      for (const one of rollups) {
        const { requests, denied, errors, bytesIn, bytesOut, durationUs, durations } = one;
        const sums = [requests, denied, errors, bytesIn, bytesOut, durationUs, ...durations];
        await tx.unsafe(
          `INSERT INTO rollups (${COLUMNS.join(', ')}) VALUES (${places}) ${ON_CONFLICT}`,
          [0, one.timeMs, one.source, one.destination, ...sums],
        );
      }
    },
    async rollUp(nowMs) {
      for (const [level, keptMs] of ROLLUPS_KEPT_MS.entries()) {
        const stepMs = ROLLUP_LEVELS_MS[level + 1] ?? 0;
        const before = Math.floor((nowMs - keptMs) / stepMs) * stepMs;
        const coarse = `(time_ms / ${stepMs}) * ${stepMs}`;
        await sql.begin(async (tx) => {
          await tx.unsafe(
            `INSERT INTO rollups (${COLUMNS.join(', ')})
             SELECT ${level + 1}, ${coarse}, source, destination, ${SUMMED}
             FROM rollups WHERE level = ${level} AND time_ms < $1
             GROUP BY ${coarse}, source, destination ${ON_CONFLICT}`,
            [before],
          );
          await tx.unsafe(`DELETE FROM rollups WHERE level = ${level} AND time_ms < $1`, [before]);
        });
      }
    },
    async read({ stepMs, fromMs, untilMs }) {
      const step = Math.floor(stepMs);
      const rows = await sql.unsafe<Record<string, number | string>[]>(
        `SELECT (time_ms / ${step}) * ${step} AS time_ms, source, destination, ${SUMMED}
         FROM rollups WHERE time_ms >= $1 AND time_ms < $2 GROUP BY 1, 2, 3`,
        [fromMs, untilMs],
      );
      return rows.map(rollupOf);
    },
  };
}

function rollupOf(row: Record<string, number | string>): Rollup {
  const rollup = emptyRollup(
    Number(row['time_ms']),
    String(row['source']),
    String(row['destination']),
  );
  rollup.requests = Number(row['requests']);
  rollup.denied = Number(row['denied']);
  rollup.errors = Number(row['errors']);
  rollup.bytesIn = Number(row['bytes_in']);
  rollup.bytesOut = Number(row['bytes_out']);
  rollup.durationUs = Number(row['duration_us']);
  for (const [bucket, name] of BUCKET_COLUMNS.entries())
    rollup.durations[bucket] = Number(row[name]);
  return rollup;
}
