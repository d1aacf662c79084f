import { chmodSync, existsSync, statSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { type Block, type EncodedBlock, isIntact, openBlock } from './block.ts';
import { encodeBlock, joinBlocks } from './block-write.ts';
import type { HourCounts, SourceState } from './coverage.ts';
import { addCounts } from './coverage.ts';
import { DAY_SCHEMA, DAY_SCHEMA_VERSION, DAY_UPGRADES } from './day-schema.ts';
import type { Row } from './row.ts';
import type { Tally, TallyKind, TallyRow } from './tallies.ts';
import { type BlockIndex, indexBlock } from './terms.ts';

/** Where a block stands in its file; ids count within the file. Times in ms. */
export type BlockPlace = {
  readonly first: number;
  readonly count: number;
  readonly minMs: number;
  readonly maxMs: number;
  readonly arrivedMs: number;
  /** Of its parts, in bytes. */
  readonly size: number;
  readonly crc: number;
  /** JSON; null for a block without an index. */
  readonly zones: string | null;
};

/** The parts of a block in `parts`. */
const PART = { head: 0, columns: 1, terms: 2, traces: 3 } as const;
const PARTS = 4;

/** From how many records on a block is worth an index. */
const INDEXED_FROM = 4_096;
// Of each file; the system's own cache holds the rest.
const CACHE_KIB = 2_048;
const BUSY_TIMEOUT_MS = 5_000;

/** One day's records in SQLite. Every method throws what SQLite says; those that write belong into `transact`. */
export type DayFile = {
  readonly path: string;
  readonly db: DatabaseSync;
  /** The next number to give. */
  readonly next: () => number;
  readonly append: (rows: readonly Row[], arrivedMs: number) => void;
  /** After the transaction that appended so many. */
  readonly appended: (count: number) => void;
  /** Newest first from `upTo` on, or oldest first from it on. */
  readonly places: (from: number, ascending: boolean) => Iterable<BlockPlace>;
  readonly block: (place: BlockPlace) => Block;
  readonly index: (place: BlockPlace) => BlockIndex | undefined;
  /** Joins blocks at the end of the file into one, where there are enough of them. */
  readonly compact: () => void;
  readonly count: (tallies: readonly Tally[]) => void;
  readonly tallies: (kind: TallyKind, sinceSlot: number) => readonly TallyRow[];
  readonly saveSource: (node: string, state: SourceState) => void;
  readonly sources: () => ReadonlyMap<string, SourceState>;
  readonly source: (node: string) => SourceState | undefined;
  readonly countHour: (hourMs: number, node: string, counts: HourCounts) => void;
  readonly hours: (
    fromMs: number,
    untilMs: number,
  ) => readonly (HourCounts & { node: string; hourMs: number })[];
  readonly facts: () => { readonly records: number; readonly newestArrivalMs: number | undefined };
  readonly bytes: () => number;
  /** Puts what stands in its journal where it belongs: nothing more is written here for long. */
  readonly rest: () => void;
  readonly close: () => void;
};

/** A damaged block: its bytes are not those that were written. */
export class DamagedBlock extends Error {
  readonly code = 'damaged_block';
}

/** Opens or makes a day's file, mode 0600, in WAL mode with `synchronous = FULL`. Throws where it cannot be. */
export function openDayFile(path: string): DayFile {
  const isFresh = !existsSync(path);
  const db = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
  try {
    if (isFresh) chmodSync(path, 0o600);
    db.exec(
      `PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF;
       PRAGMA cache_size = -${CACHE_KIB}; PRAGMA journal_size_limit = 16777216;`,
    );
    prepareSchema(db);
  } catch (error) {
    db.close();
    throw error;
  }
  return createDayFile(path, db, 'own');
}

/** Opens a day's file that another thread writes, only to read it; undefined while it has no schema yet. */
export function readDayFile(path: string): DayFile | undefined {
  const db = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS, readOnly: true });
  try {
    db.exec(`PRAGMA trusted_schema = OFF; PRAGMA cache_size = -${CACHE_KIB};`);
    if (versionOf(db) === DAY_SCHEMA_VERSION) return createDayFile(path, db, 'shared');
    db.close();
    return undefined;
  } catch (error) {
    db.close();
    throw error;
  }
}

function versionOf(db: DatabaseSync): number {
  return (db.prepare('PRAGMA user_version').get() as { user_version: number }).user_version;
}

function prepareSchema(db: DatabaseSync): void {
  const version = versionOf(db);
  if (version > DAY_SCHEMA_VERSION) {
    throw new Error(
      `its schema version ${version} is newer than this program's ${DAY_SCHEMA_VERSION}`,
    );
  }
  if (version === DAY_SCHEMA_VERSION) return;
  const script = version === 0 ? DAY_SCHEMA : DAY_UPGRADES[version];
  // A file of which this fails is left as it was: closing it ends the transaction.
  db.exec(`BEGIN IMMEDIATE; ${script} PRAGMA user_version = ${DAY_SCHEMA_VERSION}; COMMIT`);
}

function createDayFile(path: string, db: DatabaseSync, owner: 'own' | 'shared'): DayFile {
  const last = db.prepare('SELECT first + count AS next FROM blocks ORDER BY first DESC LIMIT 1');
  const totals = db.prepare(
    'SELECT ifnull(sum(count), 0) AS records, max(arrived_ms) AS newest FROM blocks',
  );
  const count = (): number => (last.get() as { next: number } | undefined)?.next ?? 0;
  let next = count();
  const put = createBlockWriter(db);
  const file: DayFile = {
    path,
    db,
    next: owner === 'own' ? () => next : count,
    append(rows, arrivedMs) {
      for (let at = 0; at < rows.length; at += FULL_RECORDS) {
        const part = rows.slice(at, at + FULL_RECORDS);
        put({
          first: next + at,
          block: encodeBlock(part, part.length < INDEXED_FROM),
          arrivedMs,
          ...span(part),
        });
      }
    },
    appended(added) {
      next += added;
    },
    ...blocksOf(db),
    compact: () => compact(file, put),
    ...talliesOf(db),
    ...sourcesOf(db),
    facts() {
      const { records, newest } = totals.get() as { records: number; newest: number | null };
      return { records, newestArrivalMs: newest ?? undefined };
    },
    bytes: () => sizeOf(path) + sizeOf(`${path}-wal`),
    rest: () => db.exec('PRAGMA wal_checkpoint(TRUNCATE)'),
    close: () => db.close(),
  };
  return file;
}

const PLACE = `first, count, min_ms AS minMs, max_ms AS maxMs, arrived_ms AS arrivedMs, size, crc, zones`;

function blocksOf(db: DatabaseSync): Pick<DayFile, 'places' | 'block' | 'index'> {
  const down = db.prepare(`SELECT ${PLACE} FROM blocks WHERE first <= ? ORDER BY first DESC`);
  const up = db.prepare(`SELECT ${PLACE} FROM blocks WHERE first + count > ? ORDER BY first`);
  const part = db.prepare('SELECT data FROM parts WHERE id = ?');
  const read = (first: number, which: number): Buffer => {
    const row = part.get(first * PARTS + which) as { data: Uint8Array } | undefined;
    if (row === undefined) throw new DamagedBlock(`block ${first} lacks a part`);
    return Buffer.from(row.data.buffer, row.data.byteOffset, row.data.byteLength);
  };
  return {
    places: (from, ascending) =>
      (ascending ? up : down).iterate(from) as unknown as Iterable<BlockPlace>,
    block({ first, count, crc }) {
      const head = read(first, PART.head);
      return openCheckedBlock(count, head, () => {
        const columns = read(first, PART.columns);
        if (!isIntact(head, columns, crc)) throw new DamagedBlock(`block ${first} is damaged`);
        return columns;
      });
    },
    index({ first, zones }) {
      if (zones === null) return undefined;
      return {
        get terms() {
          return read(first, PART.terms);
        },
        get traces() {
          return read(first, PART.traces);
        },
        zones: JSON.parse(zones) as BlockIndex['zones'],
      };
    },
  };
}

function openCheckedBlock(count: number, head: Buffer, columns: () => Buffer): Block {
  try {
    return openBlock(count, head, columns);
  } catch (error) {
    throw new DamagedBlock('the head of a block is damaged', { cause: error });
  }
}

/** A block to write: what it holds, and of which times. */
type NewBlock = {
  readonly first: number;
  readonly block: EncodedBlock;
  readonly minMs: number;
  readonly maxMs: number;
  readonly arrivedMs: number;
};
type PutBlock = (block: NewBlock) => void;

function createBlockWriter(db: DatabaseSync): PutBlock {
  const place = db.prepare(
    `INSERT INTO blocks (first, count, min_ms, max_ms, arrived_ms, size, crc, zones) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const part = db.prepare('INSERT INTO parts (id, data) VALUES (?, ?)');
  return ({ first, block, minMs, maxMs, arrivedMs }) => {
    const { count, crc } = block;
    const index = count < INDEXED_FROM ? undefined : indexOf(block);
    const parts: (readonly [number, Buffer])[] = [
      [PART.head, block.head],
      [PART.columns, block.columns],
    ];
    if (index !== undefined) parts.push([PART.terms, index.terms], [PART.traces, index.traces]);
    for (const [which, bytes] of parts) part.run(first * PARTS + which, bytes);
    const zones = index === undefined ? null : JSON.stringify(index.zones);
    const size = parts.reduce((sum, [, bytes]) => sum + bytes.length, 0);
    place.run(first, count, minMs, maxMs, arrivedMs, size, crc, zones);
  };
}

function indexOf({ count, head, columns }: EncodedBlock): BlockIndex {
  return indexBlock(openBlock(count, head, () => columns));
}

function span(rows: readonly Row[]): { minMs: number; maxMs: number } {
  let minMs = Number.MAX_SAFE_INTEGER;
  let maxMs = 0;
  for (const { ms } of rows) {
    if (ms < minMs) minMs = ms;
    if (ms > maxMs) maxMs = ms;
  }
  return { minMs, maxMs };
}

/** A whole block's records, and its size at most, in bytes. */
const FULL_RECORDS = 8_192;
const FULL_BYTES = 2 * 1024 * 1024;
const TIERS = [128, FULL_RECORDS] as const;
const MAX_RUN = 48;

/**
 * Joins what is at the end of a file: blocks of a tier once there are many, or once they fill a block. So a record is
 * written about three times, and a file of any age consists of full blocks and a short tail.
 */
function compact(file: DayFile, put: PutBlock): void {
  for (const tier of TIERS) {
    const run = trailingRun(file, tier);
    const records = run.reduce((sum, { count }) => sum + count, 0);
    const bytes = run.reduce((sum, { size }) => sum + size, 0);
    if (run.length < 2) continue;
    if (run.length < MAX_RUN && records < FULL_RECORDS && bytes < FULL_BYTES) continue;
    join(file, run, put);
  }
}

function trailingRun(file: DayFile, tier: number): readonly BlockPlace[] {
  const run: BlockPlace[] = [];
  let records = 0;
  for (const place of file.places(Number.MAX_SAFE_INTEGER, false)) {
    if (place.count >= tier || place.size >= FULL_BYTES / 2 || records >= FULL_RECORDS) break;
    run.unshift(place);
    records += place.count;
  }
  return run;
}

function join(file: DayFile, run: readonly BlockPlace[], put: PutBlock): void {
  const first = run[0]?.first ?? 0;
  const { db } = file;
  const block = joinBlocks(run.map(file.block));
  db.prepare('DELETE FROM blocks WHERE first >= ?').run(first);
  db.prepare('DELETE FROM parts WHERE id >= ?').run(first * PARTS);
  const minMs = Math.min(...run.map((place) => place.minMs));
  const maxMs = Math.max(...run.map((place) => place.maxMs));
  put({ first, block, minMs, maxMs, arrivedMs: run.at(-1)?.arrivedMs ?? 0 });
}

function talliesOf(db: DatabaseSync): Pick<DayFile, 'count' | 'tallies'> {
  const upsert = db.prepare(
    `INSERT INTO tallies (kind, slot, key, count, first_ms, last_ms, sample_id) VALUES (?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET count = count + excluded.count, first_ms = min(first_ms, excluded.first_ms),
       last_ms = max(last_ms, excluded.last_ms), sample_id = max(sample_id, excluded.sample_id)`,
  );
  const select = db.prepare(
    `SELECT key, sum(count) AS count, min(first_ms) AS firstMs, max(last_ms) AS lastMs, max(sample_id) AS sampleId
     FROM tallies WHERE kind = ? AND slot >= ? GROUP BY key`,
  );
  return {
    count(tallies) {
      for (const { kind, slot, key, count, firstMs, lastMs, sampleId } of tallies) {
        upsert.run(kind, slot, key, count, firstMs, lastMs, sampleId);
      }
    },
    tallies: (kind, sinceSlot) => select.all(kind, sinceSlot) as unknown as readonly TallyRow[],
  };
}

function sourcesOf(
  db: DatabaseSync,
): Pick<DayFile, 'saveSource' | 'sources' | 'source' | 'countHour' | 'hours'> {
  const save = db.prepare('INSERT OR REPLACE INTO sources (node, state) VALUES (?, ?)');
  const all = db.prepare('SELECT node, state FROM sources');
  const one = db.prepare('SELECT state FROM sources WHERE node = ?');
  const hour = db.prepare('SELECT counts FROM source_hours WHERE hour_ms = ? AND node = ?');
  const saveHour = db.prepare(
    'INSERT OR REPLACE INTO source_hours (hour_ms, node, counts) VALUES (?, ?, ?)',
  );
  const range = db.prepare(
    'SELECT hour_ms AS hourMs, node, counts FROM source_hours WHERE hour_ms >= ? AND hour_ms < ?',
  );
  return {
    saveSource: (node, state) => void save.run(node, JSON.stringify(state)),
    sources: () =>
      new Map(
        (all.all() as { node: string; state: string }[]).map(({ node, state }) => [
          node,
          JSON.parse(state) as SourceState,
        ]),
      ),
    source(node) {
      const found = one.get(node) as { state: string } | undefined;
      return found === undefined ? undefined : (JSON.parse(found.state) as SourceState);
    },
    countHour(hourMs, node, counts) {
      const known = hour.get(hourMs, node) as { counts: string } | undefined;
      const sum =
        known === undefined ? counts : addCounts(JSON.parse(known.counts) as HourCounts, counts);
      saveHour.run(hourMs, node, JSON.stringify(sum));
    },
    hours: (fromMs, untilMs) =>
      (range.all(fromMs, untilMs) as { hourMs: number; node: string; counts: string }[]).map(
        ({ hourMs, node, counts }) => ({ hourMs, node, ...(JSON.parse(counts) as HourCounts) }),
      ),
  };
}

function sizeOf(path: string): number {
  return existsSync(path) ? statSync(path).size : 0;
}
