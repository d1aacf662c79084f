import { ROLLUP_LEVELS, type RollupLevel } from './rollup-levels.ts';
import { DURATION_BUCKETS, type Edge, type Rollup, type RollupMetric } from './rollups.ts';

const BUCKETS = Array.from({ length: DURATION_BUCKETS }, (_, bucket) => `h${bucket}`);

/** The columns of a rollup's durations. */
export const BUCKET_COLUMNS: readonly string[] = BUCKETS;

const COUNT_COLUMNS = ['requests', 'denied', 'errors', 'bytes_in', 'bytes_out', 'duration_us'];

/** The columns that are added up, in the order of `sumsOf`. */
export const SUM_COLUMNS: readonly string[] = [...COUNT_COLUMNS, ...BUCKETS];

/** The sums of a rollup, in the order of `SUM_COLUMNS`. */
export function sumsOf(rollup: Rollup): readonly number[] {
  const { requests, denied, errors, bytesIn, bytesOut, durationUs, durations } = rollup;
  return [requests, denied, errors, bytesIn, bytesOut, durationUs, ...durations];
}

/** The columns that some metrics are made of; a sum that nobody asked for is not read. */
export function columnsFor(metrics: readonly RollupMetric[]): readonly string[] {
  const needed = new Set(
    metrics.flatMap((metric) => {
      if (metric === 'mean_us') return ['requests', 'duration_us'];
      return COUNT_COLUMNS.includes(metric) ? [metric] : BUCKETS;
    }),
  );
  return SUM_COLUMNS.filter((name) => needed.has(name));
}

/** How to read a row of some columns: what is not among them is 0, durations are empty where none of them is. */
export function rollupReader(
  columns: readonly string[],
): (timeMs: number, edge: Edge, sums: readonly number[]) => Rollup {
  const places = COUNT_COLUMNS.map((name) => columns.indexOf(name));
  const bucket = columns.indexOf('h0');
  return (timeMs, { source, destination }, sums) => {
    const at = (count: number): number => sums[places[count] ?? -1] ?? 0;
    return {
      timeMs,
      source,
      destination,
      requests: at(0),
      denied: at(1),
      errors: at(2),
      bytesIn: at(3),
      bytesOut: at(4),
      durationUs: at(5),
      durations: bucket < 0 ? [] : sums.slice(bucket),
    };
  };
}

/**
 * SQL that takes over the sums of the first schema, whose levels were seconds, minutes and hours, each with what the finer
 * ones had no longer. `create` makes the new tables; `key` are the columns of an edge. For SQLite and for PostgreSQL.
 */
export function upgradeSums(create: string, key: string): string {
  const [second = 0, minute = 0, , hour = 0] = ROLLUP_LEVELS.map(({ stepMs }) => stepMs);
  const sums = SUM_COLUMNS.map((name) => `sum(${name})`).join(', ');
  const fill = ({ stepMs }: RollupLevel, level: number): string => `
    INSERT INTO rollups (level, time_ms, ${key}, ${SUM_COLUMNS.join(', ')})
    SELECT ${level}, (time_ms / ${stepMs}) * ${stepMs}, ${key}, ${sums} FROM first_rollups
    WHERE time_ms >= coalesce((SELECT kept_from_ms FROM rollup_levels WHERE level = ${level}), 0)
    GROUP BY 2, ${key};`;
  const steps = `CASE level WHEN 0 THEN ${second} WHEN 1 THEN ${minute} ELSE ${hour} END`;
  // What lies on a coarser level is on no finer one, so that those begin after the last of it.
  const border = (level: number, from: number): string => `
    INSERT INTO rollup_levels SELECT ${level}, max(time_ms + ${steps}) FROM first_rollups
    WHERE level >= ${from} HAVING count(*) > 0;`;
  return `
    ALTER TABLE rollups RENAME TO first_rollups;
    ${create}
    ${border(0, 1)}${border(1, 2)}${border(2, 2)}
    ${ROLLUP_LEVELS.map(fill).join('')}
    DROP TABLE first_rollups;`;
}
