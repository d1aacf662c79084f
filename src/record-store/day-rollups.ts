import type { DatabaseSync } from 'node:sqlite';
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
import type { Edge, Rollup, RollupGroup, RollupQuery } from './rollups.ts';

/** The rollups of one file. */
export type DayRollups = {
  /**
   * Adds sums of a second to each level.
   * INVARIANT: in the transaction that adds their records, so that from a level's border on its sums are those of the records.
   */
  readonly add: (seconds: readonly Rollup[]) => void;
  /** Deletes what its level keeps no longer. */
  readonly forget: (nowMs: number) => void;
  readonly read: (query: RollupQuery) => readonly Rollup[];
};

const COLUMNS = ['level', 'time_ms', 'edge', ...SUM_COLUMNS];
const ADD_UP = SUM_COLUMNS.map((name) => `${name} = ${name} + excluded.${name}`).join(', ');

/** Opens the rollups of a file's database. */
export function dayRollups(db: DatabaseSync): DayRollups {
  const insert = db.prepare(
    `INSERT INTO rollups (${COLUMNS.join(', ')}) VALUES (${COLUMNS.map(() => '?').join(', ')})
     ON CONFLICT DO UPDATE SET ${ADD_UP}`,
  );
  const edgeIds = edgesOf(db);
  const borders = bordersOf(db);
  return {
    add(seconds) {
      const kept = borders.read();
      const idOf = edgeIds();
      for (const [level, sums] of rollUpLevels(seconds).entries()) {
        for (const one of sums) {
          if (one.timeMs < (kept[level] ?? 0)) continue;
          insert.run(level, one.timeMs, idOf(one), ...sumsOf(one));
        }
      }
    },
    forget: borders.forget,
    read(query) {
      // One state of the file, though another thread writes meanwhile.
      db.exec('BEGIN');
      try {
        const slices = sliceRollups(query, borders.read());
        return slices.flatMap((slice) => readSlice(db, query, slice));
      } finally {
        db.exec('COMMIT');
      }
    },
  };
}

/** Numbers of edges, made where they are new; each is looked for once a batch. */
function edgesOf(db: DatabaseSync): () => (edge: Edge) => number {
  const known = db.prepare('SELECT id FROM edges WHERE source = ? AND destination = ?');
  const insert = db.prepare('INSERT INTO edges (source, destination) VALUES (?, ?)');
  return () => {
    const ids = new Map<string, number>();
    return ({ source, destination }) => {
      const name = `${source} ${destination}`;
      let id = ids.get(name);
      if (id !== undefined) return id;
      const found = known.get(source, destination) as { id: number } | undefined;
      id = found?.id ?? Number(insert.run(source, destination).lastInsertRowid);
      ids.set(name, id);
      return id;
    };
  };
}

function bordersOf(db: DatabaseSync): { read: () => KeptFrom; forget: (nowMs: number) => void } {
  const all = db.prepare('SELECT level, kept_from_ms AS keptFromMs FROM rollup_levels');
  const move = db.prepare(
    `INSERT INTO rollup_levels (level, kept_from_ms) VALUES (?, ?)
     ON CONFLICT DO UPDATE SET kept_from_ms = max(kept_from_ms, excluded.kept_from_ms)`,
  );
  const newest = db.prepare(
    'SELECT max(time_ms) AS lastMs FROM rollups WHERE level = ? AND time_ms < ?',
  );
  const remove = db.prepare('DELETE FROM rollups WHERE level = ? AND time_ms < ?');
  return {
    read() {
      const kept = ROLLUP_LEVELS.map(() => 0);
      const rows = all.all() as unknown as readonly { level: number; keptFromMs: number }[];
      for (const { level, keptFromMs } of rows) kept[level] = keptFromMs;
      return kept;
    },
    forget(nowMs) {
      for (let level = 0; level < ROLLUP_LEVELS.length - 1; level++) {
        const before = tooOld(level, nowMs);
        const { lastMs } = newest.get(level, before) as { lastMs: number | null };
        if (lastMs === null) continue;
        remove.run(level, before);
        move.run(level, keptAfter(level, lastMs));
      }
    },
  };
}

/**
 * Added up by SQLite as far as the group and the step allow, which is what makes long times cheap. Edges by their numbers:
 * to sort by their names would take most of the time.
 */
function readSlice(db: DatabaseSync, query: RollupQuery, slice: RollupSlice): readonly Rollup[] {
  const { level, fromMs, untilMs } = slice;
  const columns = columnsFor(query.metrics);
  const { from, key } = GROUPS[query.group];
  const isAsked = query.stepMs === stepOfLevel(level);
  // Written out: as a parameter it would be a float, by which SQLite divides without rounding down.
  const step = Math.floor(query.stepMs);
  const time = isAsked ? 'time_ms' : `(time_ms / ${step}) * ${step}`;
  // Rows of the step that is asked for are one for each edge already.
  const isWhole = isAsked && query.group === 'edge';
  const sums = columns.map((name) => (isWhole ? name : `sum(${name})`));
  const select = db.prepare(
    `SELECT ${[time, key, ...sums].join(', ')} FROM ${from} WHERE level = ${level} AND time_ms >= ? AND time_ms < ?
     ${isWhole ? '' : 'GROUP BY 1, 2'}`,
  );
  select.setReturnArrays(true);
  const rows = select.all(fromMs, untilMs) as unknown as readonly Row[];
  const names = query.group === 'edge' ? edgeNames(db) : undefined;
  const read = rollupReader(columns);
  return rows.map(([timeMs, of, ...values]) => {
    const edge = names?.get(Number(of)) ?? { source: '', destination: String(of) };
    return read(timeMs, edge, values);
  });
}

type Row = readonly [timeMs: number, key: number | string, ...sums: number[]];

const GROUPS: Readonly<Record<RollupGroup, { readonly from: string; readonly key: string }>> = {
  edge: { from: 'rollups', key: 'edge' },
  service: { from: 'rollups JOIN edges ON edges.id = edge', key: 'destination' },
  total: { from: 'rollups', key: "''" },
};

function edgeNames(db: DatabaseSync): ReadonlyMap<number, Edge> {
  const rows = db.prepare('SELECT id, source, destination FROM edges').all();
  const edges = rows as unknown as readonly (Edge & { readonly id: number })[];
  return new Map(edges.map(({ id, source, destination }) => [id, { source, destination }]));
}
