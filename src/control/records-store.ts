import type { DatabaseSync, SQLInputValue } from 'node:sqlite';
import type { Result } from '#lib';
import type { AccessRecord } from '#telemetry';
import { openTallies, type RecordTallies } from './record-tallies.ts';
import { RECORDS_MIGRATIONS } from './records-migrations.ts';
import { openDatabase, transact } from './sqlite.ts';

/** A record with the node that reported it and its number in this store, which grows with arrival. */
export type StoredRecord = AccessRecord & { readonly node: string; readonly 'record.id': string };

/** Which records; times in ms since 1970, `from` and `to` a SPIFFE ID, a service, or `namespace/service`. */
export type RecordQuery = {
  readonly sinceMs?: number | undefined;
  readonly untilMs?: number | undefined;
  readonly denied?: boolean | undefined;
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly namespace?: string | undefined;
  readonly denialId?: string | undefined;
};

/** One page: newest first unless ascending; `cursor` is the `record.id` to go on after. */
export type RecordPage = {
  readonly limit: number;
  readonly cursor?: number | undefined;
  readonly ascending?: boolean | undefined;
};

/** A record on its way into the store: what was parsed of it, and its text. */
export type IncomingRecord = {
  readonly node: string;
  readonly record: AccessRecord;
  readonly json: string;
};

/** Access records of all enforcement points, bounded in number and age. */
export type RecordsStore = Omit<RecordTallies, 'count' | 'forgetBefore'> & {
  /** All or nothing; one that came before (same node, number and time) is stored once. Returns the new ones. */
  readonly add: (
    records: readonly IncomingRecord[],
    nowMs: number,
  ) => Result<readonly StoredRecord[], string>;
  readonly list: (query: RecordQuery, page: RecordPage) => readonly StoredRecord[];
  readonly denial: (denialId: string) => StoredRecord | undefined;
  readonly byId: (id: number) => StoredRecord | undefined;
  /** Forgets what is beyond the bounds; returns how many. */
  readonly prune: (nowMs: number) => Result<number, string>;
  readonly close: () => void;
};

/** Bounds: at most `maxRecords`, none older than `maxAgeMs`. */
export type RecordBounds = { readonly maxRecords: number; readonly maxAgeMs: number };

// With no arrival since then, no id is large enough.
const FIRST_SINCE =
  'SELECT ifnull(min(first_id), 9223372036854775807) FROM arrivals WHERE minute >= ?';
const CLOCK_SKEW_MS = 2 * 60_000;

type Row = { readonly id: number; readonly node: string; readonly json: string };

// Deleted a part at a time, so that no prune holds up the process for long.
const PRUNE_AT_ONCE = 20_000;

/** Opens (and creates or migrates) the records in `path`; throws where that cannot be done. */
export function openRecords(path: string, bounds: RecordBounds): RecordsStore {
  const db = openDatabase({ path, migrations: RECORDS_MIGRATIONS });
  const tallies = openTallies(db);
  const byDenial = db.prepare(
    `SELECT id, node, json FROM records WHERE denial_id = ? AND verdict = 'deny' ORDER BY id LIMIT 1`,
  );
  const byId = db.prepare('SELECT id, node, json FROM records WHERE id = ?');
  return {
    add: adder(db, tallies),
    list: (query, page) => list(db, query, page),
    denial: (denialId) => records(byDenial.all(denialId))[0],
    byId: (id) => records(byId.all(id))[0],
    denials: tallies.denials,
    hits: tallies.hits,
    trials: tallies.trials,
    plaintext: tallies.plaintext,
    countDenied: tallies.countDenied,
    prune: pruner(db, tallies, bounds),
    close: () => db.close(),
  };
}

function adder(db: DatabaseSync, tallies: RecordTallies): RecordsStore['add'] {
  const insert = db.prepare(
    `INSERT OR IGNORE INTO records (node, seq, time_ms, verdict, denial_id, source_id, source_service, namespace,
       service, json)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const arrive = db.prepare(
    'INSERT OR IGNORE INTO arrivals SELECT ?, ifnull(max(id), 0) + 1 FROM records',
  );
  return (incoming, nowMs) =>
    transact(db, () => {
      arrive.run(minuteOf(nowMs));
      const added = new Map<number, AccessRecord>();
      const stored: StoredRecord[] = [];
      for (const { node, record, json } of incoming) {
        const { changes, lastInsertRowid } = insert.run(...columnsOf(node, record), json);
        if (changes === 0) continue;
        added.set(Number(lastInsertRowid), record);
        stored.push({ ...record, node, 'record.id': String(lastInsertRowid) });
      }
      tallies.count(added);
      return stored;
    });
}

function columnsOf(node: string, record: AccessRecord): SQLInputValue[] {
  return [
    node,
    record.seq,
    Date.parse(record.time),
    record.verdict,
    record.denial_id,
    record['source.id'],
    record['source.service'],
    record['destination.namespace'],
    record['destination.service'],
  ];
}

function minuteOf(ms: number): number {
  return Math.floor(ms / 60_000);
}

function list(db: DatabaseSync, query: RecordQuery, page: RecordPage): readonly StoredRecord[] {
  const { where, values } = conditions(query);
  if (page.cursor !== undefined) {
    where.push(page.ascending === true ? 'id > ?' : 'id < ?');
    values.push(page.cursor);
  }
  const filter = where.length === 0 ? '' : `WHERE ${where.join(' AND ')}`;
  const order = page.ascending === true ? 'ASC' : 'DESC';
  // SECURITY: the text is made of our own words alone; whatever was asked goes in as values.
  const sql = `SELECT id, node, json FROM records ${filter} ORDER BY id ${order} LIMIT ?`;
  return records(db.prepare(sql).all(...values, page.limit));
}

function conditions(query: RecordQuery): { where: string[]; values: SQLInputValue[] } {
  const where: string[] = [];
  const values: SQLInputValue[] = [];
  const add = (condition: string, ...more: SQLInputValue[]): void => {
    where.push(condition);
    values.push(...more);
  };
  if (query.sinceMs !== undefined) {
    // No record arrives before its time, but for what the clocks of two hosts may differ.
    const arrivedSince = minuteOf(query.sinceMs - CLOCK_SKEW_MS);
    add(`id >= (${FIRST_SINCE}) AND time_ms >= ?`, arrivedSince, query.sinceMs);
  }
  if (query.untilMs !== undefined) add('time_ms < ?', query.untilMs);
  if (query.denied === true) add("verdict = 'deny'");
  if (query.denied === false) add("verdict = 'allow'");
  if (query.namespace !== undefined) add('namespace = ?', query.namespace);
  if (query.denialId !== undefined) add('denial_id = ?', query.denialId);
  if (query.from !== undefined) add(...fromCondition(query.from));
  if (query.to !== undefined) add(...toCondition(query.to));
  return { where, values };
}

function fromCondition(from: string): [string, ...SQLInputValue[]] {
  if (from.startsWith('spiffe://')) return ['source_id = ?', from];
  const slash = from.indexOf('/');
  if (slash < 0) return ['source_service = ?', from];
  // A caller's namespace is a part of its identity (Istio's `spiffe://TD/ns/NAMESPACE/sa/ACCOUNT`).
  const inNamespace = `/ns/${from.slice(0, slash)}/`;
  return ['source_service = ? AND instr(source_id, ?) > 0', from.slice(slash + 1), inNamespace];
}

function toCondition(to: string): [string, ...SQLInputValue[]] {
  const slash = to.indexOf('/');
  if (slash < 0) return ['service = ?', to];
  return ['namespace = ? AND service = ?', to.slice(0, slash), to.slice(slash + 1)];
}

function pruner(
  db: DatabaseSync,
  tallies: RecordTallies,
  { maxRecords, maxAgeMs }: RecordBounds,
): RecordsStore['prune'] {
  // Ids grow with arrival and only the oldest are ever deleted, so they tell how many there are.
  const excess = db.prepare('SELECT ifnull(max(id), 0) - ? AS id FROM records');
  const arrivedBefore = db.prepare(
    `SELECT ifnull((SELECT min(first_id) - 1 FROM arrivals WHERE minute > ?), (SELECT max(id) FROM records)) AS id`,
  );
  const drop = db.prepare(
    'DELETE FROM records WHERE id IN (SELECT id FROM records WHERE id <= ? ORDER BY id LIMIT ?)',
  );
  const dropArrivals = db.prepare('DELETE FROM arrivals WHERE minute < ?');
  const idOf = (row: unknown): number => (row as { id: number }).id;
  return (nowMs) =>
    transact(db, () => {
      const oldest = minuteOf(nowMs - maxAgeMs);
      const last = Math.max(idOf(excess.get(maxRecords)), idOf(arrivedBefore.get(oldest)));
      tallies.forgetBefore(nowMs - maxAgeMs);
      dropArrivals.run(oldest);
      return Number(drop.run(last, PRUNE_AT_ONCE).changes);
    });
}

function records(rows: unknown): readonly StoredRecord[] {
  return (rows as readonly Row[]).flatMap(({ id, node, json }) => {
    try {
      return [{ ...(JSON.parse(json) as AccessRecord), node, 'record.id': String(id) }];
    } catch {
      // A row that somebody damaged is left out rather than failing the page it is on.
      return [];
    }
  });
}
