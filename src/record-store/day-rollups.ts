import type { DatabaseSync } from 'node:sqlite';
import { BUCKET_COLUMNS } from './day-schema.ts';
import { asksForQuantiles, ROLLUP_LEVELS_MS, type Rollup, type RollupQuery } from './rollups.ts';

/** The rollups of one file. */
export type DayRollups = {
  /** Adds sums of a second. */
  readonly add: (rollups: readonly Rollup[]) => void;
  /** Adds up what is older than its level's time into the next level. */
  readonly rollUp: (nowMs: number) => void;
  readonly read: (query: RollupQuery) => readonly Rollup[];
};

/** How long each level's rows stay before they are added up to the next; the last one's stay with their file. */
export const ROLLUPS_KEPT_MS = [5 * 60_000, 26 * 3_600_000] as const;
const SUMS = [
  'requests',
  'denied',
  'errors',
  'bytes_in',
  'bytes_out',
  'duration_us',
  ...BUCKET_COLUMNS,
];
const ADD_UP = SUMS.map((name) => `${name} = ${name} + excluded.${name}`).join(', ');
const COLUMNS = ['level', 'time_ms', 'edge', ...SUMS].join(', ');

/** Opens the rollups of a file's database. */
export function dayRollups(db: DatabaseSync): DayRollups {
  const knownEdge = db.prepare('SELECT id FROM edges WHERE source = ? AND destination = ?');
  const newEdge = db.prepare('INSERT INTO edges (source, destination) VALUES (?, ?)');
  const insert = db.prepare(
    `INSERT INTO rollups (${COLUMNS}) VALUES (${COLUMNS.split(', ')
      .map(() => '?')
      .join(', ')})
     ON CONFLICT DO UPDATE SET ${ADD_UP}`,
  );
  const levels = ROLLUPS_KEPT_MS.map((keptMs, level) => {
    const stepMs = ROLLUP_LEVELS_MS[level + 1] ?? 0;
    // A row of the coarser step is only made of a whole one: what is younger than its end stays as it is.
    const coarse = `(time_ms / ${stepMs}) * ${stepMs}`;
    return {
      keptMs,
      stepMs,
      addUp: db.prepare(
        `INSERT INTO rollups (${COLUMNS})
         SELECT ${level + 1}, ${coarse}, edge, ${SUMS.map((name) => `sum(${name})`).join(', ')}
         FROM rollups WHERE level = ${level} AND time_ms < ? GROUP BY ${coarse}, edge
         ON CONFLICT DO UPDATE SET ${ADD_UP}`,
      ),
      forget: db.prepare(`DELETE FROM rollups WHERE level = ${level} AND time_ms < ?`),
    };
  });
  const edgeId = (source: string, destination: string): number => {
    const known = knownEdge.get(source, destination) as { id: number } | undefined;
    return known?.id ?? Number(newEdge.run(source, destination).lastInsertRowid);
  };
  return {
    add(rollups) {
      for (const one of rollups) {
        const { requests, denied, errors, bytesIn, bytesOut, durationUs, durations } = one;
        const edge = edgeId(one.source, one.destination);
        insert.run(
          0,
          one.timeMs,
          edge,
          requests,
          denied,
          errors,
          bytesIn,
          bytesOut,
          durationUs,
          ...durations,
        );
      }
    },
    rollUp(nowMs) {
      for (const { keptMs, stepMs, addUp, forget } of levels) {
        const before = Math.floor((nowMs - keptMs) / stepMs) * stepMs;
        addUp.run(before);
        forget.run(before);
      }
    },
    read: (query) => readRollups(db, query),
  };
}

type Row = Readonly<Record<string, number | string>>;

/**
 * Added up by SQLite as far as the group and the step allow, which is what makes long times cheap. Edges by their numbers:
 * to sort by their names would take most of the time.
 */
function readRollups(db: DatabaseSync, query: RollupQuery): readonly Rollup[] {
  const { fromMs, untilMs, group } = query;
  // Written out: as a parameter it would be a float, by which SQLite divides without rounding down.
  const step = Math.floor(query.stepMs);
  const buckets = asksForQuantiles(query) ? BUCKET_COLUMNS : [];
  const sums = [...SUMS.slice(0, SUMS.length - BUCKET_COLUMNS.length), ...buckets];
  const { from, key } = GROUPS[group];
  const rows = db
    .prepare(
      `SELECT (time_ms / ${step}) * ${step} AS time, ${key} AS key, ${sums.map((name) => `sum(${name}) AS ${name}`).join(', ')}
       FROM ${from} WHERE level IN (0, 1, 2) AND time_ms >= ? AND time_ms < ? GROUP BY time, key`,
    )
    .all(fromMs, untilMs) as unknown as readonly Row[];
  const names = group === 'edge' ? edgeNames(db) : undefined;
  return rows.map((row) => {
    const edge = names?.get(Number(row['key'])) ?? { source: '', destination: String(row['key']) };
    return rollupOf(row, edge, buckets);
  });
}

const GROUPS = {
  edge: { from: 'rollups', key: 'edge' },
  service: { from: 'rollups JOIN edges ON edges.id = edge', key: 'destination' },
  total: { from: 'rollups', key: "''" },
} as const;

type Edge = { readonly source: string; readonly destination: string };

function edgeNames(db: DatabaseSync): ReadonlyMap<number, Edge> {
  const rows = db.prepare('SELECT id, source, destination FROM edges').all();
  const edges = rows as unknown as readonly (Edge & { readonly id: number })[];
  return new Map(edges.map(({ id, source, destination }) => [id, { source, destination }]));
}

function rollupOf(row: Row, { source, destination }: Edge, buckets: readonly string[]): Rollup {
  return {
    timeMs: Number(row['time']),
    source,
    destination,
    requests: Number(row['requests']),
    denied: Number(row['denied']),
    errors: Number(row['errors']),
    bytesIn: Number(row['bytes_in']),
    bytesOut: Number(row['bytes_out']),
    durationUs: Number(row['duration_us']),
    durations: buckets.map((name) => Number(row[name])),
  };
}
