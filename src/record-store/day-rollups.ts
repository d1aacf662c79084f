import type { DatabaseSync } from 'node:sqlite';
import { BUCKET_COLUMNS } from './day-schema.ts';
import { emptyRollup, ROLLUP_LEVELS_MS, type Rollup, type RollupQuery } from './rollups.ts';

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

const QUANTILE = /^p\d\d_us$/;

/** Added up by SQLite as far as the group and the step allow, which is what makes long times cheap. */
function readRollups(db: DatabaseSync, query: RollupQuery): readonly Rollup[] {
  const { stepMs, fromMs, untilMs, group } = query;
  const buckets = query.metrics.some((metric) => QUANTILE.test(metric)) ? BUCKET_COLUMNS : [];
  const sums = [...SUMS.slice(0, SUMS.length - BUCKET_COLUMNS.length), ...buckets];
  const key = { edge: 'source, destination', service: 'destination', total: '' }[group];
  const by = ['time', key].filter(Boolean).join(', ');
  const named = {
    edge: 'source, destination',
    service: "'' AS source, destination",
    total: "'' AS source, '' AS destination",
  }[group];
  const rows = db
    .prepare(
      `SELECT (time_ms / ?) * ? AS time, ${named}, ${sums.map((name) => `sum(${name}) AS ${name}`).join(', ')}
       FROM rollups JOIN edges ON edges.id = edge
       WHERE level IN (0, 1, 2) AND time_ms >= ? AND time_ms < ? GROUP BY ${by}`,
    )
    .all(stepMs, stepMs, fromMs, untilMs) as unknown as readonly Record<string, number | string>[];
  return rows.map((row) => {
    const rollup = emptyRollup(
      Number(row['time']),
      String(row['source']),
      String(row['destination']),
    );
    rollup.requests = Number(row['requests']);
    rollup.denied = Number(row['denied']);
    rollup.errors = Number(row['errors']);
    rollup.bytesIn = Number(row['bytes_in']);
    rollup.bytesOut = Number(row['bytes_out']);
    rollup.durationUs = Number(row['duration_us']);
    for (const [bucket, name] of buckets.entries()) rollup.durations[bucket] = Number(row[name]);
    return rollup;
  });
}
