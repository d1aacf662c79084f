import type { DatabaseSync, SQLInputValue } from 'node:sqlite';
import { fail, ok, type Result } from '#lib';
import type { AccessRecord } from '#telemetry';
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

/** Denials that are alike, with one of them. Times in ms since 1970. */
export type DenialTally = {
  readonly sourceId: string | null;
  readonly sourceService: string | null;
  readonly namespace: string;
  readonly service: string;
  readonly policy: string | null;
  readonly rule: string | null;
  readonly reason: string | null;
  readonly count: number;
  readonly firstMs: number;
  readonly lastMs: number;
  /** The newest of them. */
  readonly sampleId: number;
};

/** How often one rule decided. */
export type RuleTally = {
  readonly policy: string;
  readonly rule: string | null;
  readonly verdict: 'allow' | 'deny';
  readonly count: number;
  readonly lastMs: number;
};

/** A record on its way into the store: what was parsed of it, and its text. */
export type IncomingRecord = {
  readonly node: string;
  readonly record: AccessRecord;
  readonly json: string;
};

/** Access records of all enforcement points, bounded in number and age. */
export type RecordsStore = {
  /** All or nothing; one that came before (same node, number and time) is stored once. Returns the new ones. */
  readonly add: (records: readonly IncomingRecord[]) => Result<readonly StoredRecord[], string>;
  readonly list: (query: RecordQuery, page: RecordPage) => readonly StoredRecord[];
  readonly denial: (denialId: string) => StoredRecord | undefined;
  readonly byId: (id: number) => StoredRecord | undefined;
  readonly denials: (sinceMs: number, limit: number) => readonly DenialTally[];
  readonly hits: (sinceMs: number) => readonly RuleTally[];
  readonly countDenied: (sinceMs: number) => number;
  /** Forgets what is beyond the bounds; returns how many. */
  readonly prune: (nowMs: number) => Result<number, string>;
  readonly close: () => void;
};

/** Bounds: at most `maxRecords`, none older than `maxAgeMs`. */
export type RecordBounds = { readonly maxRecords: number; readonly maxAgeMs: number };

type Row = { readonly id: number; readonly node: string; readonly json: string };

// Deleted a part at a time, so that no prune holds up the process for long.
const PRUNE_AT_ONCE = 20_000;

/** Opens (and creates or migrates) the records in `path`; throws where that cannot be done. */
export function openRecords(path: string, bounds: RecordBounds): RecordsStore {
  const db = openDatabase({ path, migrations: RECORDS_MIGRATIONS });
  const byDenial = db.prepare(
    'SELECT id, node, json FROM records WHERE denial_id = ? ORDER BY id LIMIT 1',
  );
  const byId = db.prepare('SELECT id, node, json FROM records WHERE id = ?');
  return {
    add: adder(db),
    list: (query, page) => list(db, query, page),
    denial: (denialId) => records(byDenial.all(denialId))[0],
    byId: (id) => records(byId.all(id))[0],
    ...tallies(db),
    prune: pruner(db, bounds),
    close: () => db.close(),
  };
}

function adder(db: DatabaseSync): RecordsStore['add'] {
  const insert = db.prepare(
    `INSERT OR IGNORE INTO records (node, seq, time_ms, verdict, reporter, denial_id, source_id, source_service,
       namespace, service, policy, rule, reason, json)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  return (incoming) =>
    transact(db, () => {
      const added: StoredRecord[] = [];
      for (const { node, record, json } of incoming) {
        const { changes, lastInsertRowid } = insert.run(...columnsOf(node, record, json));
        if (changes > 0) added.push({ ...record, node, 'record.id': String(lastInsertRowid) });
      }
      return added;
    });
}

function columnsOf(node: string, record: AccessRecord, json: string): SQLInputValue[] {
  return [
    node,
    record.seq,
    Date.parse(record.time),
    record.verdict,
    record.reporter,
    record.denial_id,
    record['source.id'],
    record['source.service'],
    record['destination.namespace'],
    record['destination.service'],
    record.policy,
    record.rule,
    record.reason,
    json,
  ];
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
  if (query.sinceMs !== undefined) add('time_ms >= ?', query.sinceMs);
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

function tallies(db: DatabaseSync): Pick<RecordsStore, 'denials' | 'hits' | 'countDenied'> {
  const denials = db.prepare(
    `SELECT source_id AS sourceId, source_service AS sourceService, ifnull(namespace, '') AS namespace,
       ifnull(service, '') AS service, policy, rule, reason, count(*) AS count, min(time_ms) AS firstMs,
       max(time_ms) AS lastMs, max(id) AS sampleId
     FROM records WHERE verdict = 'deny' AND reporter = 'destination' AND time_ms >= ?
     GROUP BY source_id, source_service, namespace, service, policy, rule, reason
     ORDER BY lastMs DESC, sampleId DESC LIMIT ?`,
  );
  const hits = db.prepare(
    `SELECT policy, rule, verdict, count(*) AS count, max(time_ms) AS lastMs
     FROM records WHERE policy IS NOT NULL AND reporter = 'destination' AND time_ms >= ?
     GROUP BY policy, rule, verdict ORDER BY policy, rule`,
  );
  const denied = db.prepare(
    `SELECT count(*) AS count FROM records
     WHERE verdict = 'deny' AND reporter = 'destination' AND time_ms >= ?`,
  );
  return {
    denials: (sinceMs, limit) => denials.all(sinceMs, limit) as unknown as readonly DenialTally[],
    hits: (sinceMs) => hits.all(sinceMs) as unknown as readonly RuleTally[],
    countDenied: (sinceMs) => (denied.get(sinceMs) as { count: number }).count,
  };
}

function pruner(db: DatabaseSync, { maxRecords, maxAgeMs }: RecordBounds): RecordsStore['prune'] {
  const excess = db.prepare('SELECT id FROM records ORDER BY id DESC LIMIT 1 OFFSET ?');
  const dropOld = db.prepare(
    'DELETE FROM records WHERE id IN (SELECT id FROM records WHERE time_ms < ? LIMIT ?)',
  );
  const dropUpTo = db.prepare(
    'DELETE FROM records WHERE id IN (SELECT id FROM records WHERE id <= ? ORDER BY id LIMIT ?)',
  );
  return (nowMs) => {
    const done = transact(db, () => {
      const old = Number(dropOld.run(nowMs - maxAgeMs, PRUNE_AT_ONCE).changes);
      const first = excess.get(maxRecords) as { id: number } | undefined;
      return (
        old + (first === undefined ? 0 : Number(dropUpTo.run(first.id, PRUNE_AT_ONCE).changes))
      );
    });
    return done.ok ? ok(done.value) : fail(done.error);
  };
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
