import type postgres from 'postgres';
import { fail, ok, type Result } from '#lib';
import {
  type Completeness,
  completenessOf,
  type HourCounts,
  hourOf,
  missingFrom,
} from './coverage.ts';
import { type Condition, denialConditions } from './filter.ts';
import { inOrder } from './postgres-fields.ts';
import { beginPart, pruneParts } from './postgres-parts.ts';
import { createPostgresRollups, type PostgresRollups } from './postgres-rollups.ts';
import { type Stretch, searchWindows } from './postgres-search.ts';
import { whereOf } from './postgres-where.ts';
import { knownSources, writeReports } from './postgres-write.ts';
import { readInOrder } from './read-in-order.ts';
import type {
  Added,
  PageQuery,
  RecordBounds,
  RecordPage,
  RecordQuery,
  RecordStore,
  Report,
  StoredRecord,
  StoreState,
  TimeRange,
} from './record-store.ts';
import { answerOf } from './rollups.ts';
import { storedRecord } from './search.ts';
import {
  byRule,
  denialTally,
  mergeTallies,
  plaintextTally,
  ruleTally,
  slotOf,
  type TallyKind,
  type TallyRow,
  trialTally,
} from './tallies.ts';
import { RecordsTooSlow } from './too-slow.ts';
import { messageOf } from './transact.ts';

type Sql = postgres.Sql;
type Transaction = postgres.TransactionSql;

/** One writer at a time, whichever replica it is: what a source's numbers cover is read and written together. */
export const WRITER_LOCK = 0x70616c69;
const MAX_TRACE_RECORDS = 1_000;
// SECURITY: callers choose trace ids, and may give all their calls the same.
const MAX_ALIKE = 10_000;
const WRITE_TIMEOUT_MS = 60_000;
// Whoever waits to drop a part holds up everybody who asks after it: no longer than a window of a search may take.
const LOCK_TIMEOUT_MS = 200;
// SQLSTATE 57014
const QUERY_CANCELED = '57014';
const MOST = Number.MAX_SAFE_INTEGER;
const TALLY_KINDS: TallyKind[] = ['denial', 'hit', 'trial', 'plaintext'];

/** What a store is made of: `sql` for all but pages of records, whose connections give up sooner. */
type PostgresParts = {
  readonly sql: Sql;
  readonly pages: Sql;
  readonly bounds: RecordBounds;
};

/** The store in a database whose schema is made; it ends its connections. */
export function createPostgresStore(parts: PostgresParts): RecordStore {
  return new PostgresStore(parts);
}

type Row = {
  readonly id: number;
  readonly node: string;
  readonly fields: Readonly<Record<string, unknown>>;
};

class PostgresStore implements RecordStore {
  readonly #sql: Sql;
  readonly #pages: Sql;
  readonly #bounds: RecordBounds;
  readonly #rollups: PostgresRollups;

  constructor({ sql, pages, bounds }: PostgresParts) {
    this.#sql = sql;
    this.#pages = pages;
    this.#bounds = bounds;
    this.#rollups = createPostgresRollups(sql);
  }

  async add(reports: readonly Report[], nowMs: number): Promise<Result<Added, string>> {
    try {
      return ok(
        await this.#sql.begin(async (tx) => {
          await beginWriting(tx);
          return await writeReports(tx, reports, { rollups: this.#rollups, nowMs });
        }),
      );
    } catch (error) {
      return fail(messageOf(error));
    }
  }

  async list(query: RecordQuery, page: PageQuery): Promise<RecordPage> {
    const { sinceMs = -MOST, untilMs = MOST } = query;
    const stretches = await inTime(this.#sql<Stretch[]>`
      SELECT min(first_id) AS "fromId", max(next_id) AS "untilId" FROM record_spans
      WHERE max_ms >= ${Math.ceil(sinceMs)} AND min_ms < ${Math.ceil(untilMs)} GROUP BY part ORDER BY part`);
    const ask = async (window: Stretch, limit: number) => {
      const { sql, values } = whereOf(query, window);
      const order = page.ascending === true ? 'ASC' : 'DESC';
      const text = `SELECT id, node, fields FROM records WHERE ${sql} ORDER BY id ${order} LIMIT ${Number(limit)}`;
      try {
        return (await this.#pages.unsafe<Row[]>(text, [...values])).map(storedOf);
      } catch (error) {
        if (isTimeOut(error)) return undefined;
        throw error;
      }
    };
    return await searchWindows(stretches, page, { ask, clock: () => performance.now() });
  }

  /** All that is found, at most so many; only for what an index finds. */
  async #all(where: readonly Condition[], limit: number): Promise<readonly StoredRecord[]> {
    const { sql, values } = whereOf({ where });
    // `OFFSET 0` keeps the planner from walking through all records in order until it has found so many.
    const rows = await inTime(
      this.#sql.unsafe<Row[]>(
        `SELECT * FROM (SELECT id, node, fields FROM records WHERE ${sql} OFFSET 0 LIMIT ${MAX_ALIKE}) AS found
         ORDER BY id DESC LIMIT ${limit}`,
        [...values],
      ),
    );
    return rows.map(storedOf);
  }

  async readAfter(cursor: number, limit: number): Promise<readonly StoredRecord[]> {
    return await readInOrder((query, page) => this.list(query, page), cursor, limit);
  }

  async newestId(): Promise<number> {
    const [row] = await inTime(this.#sql<{ nextId: number }[]>`
      SELECT next_id AS "nextId" FROM record_spans ORDER BY first_id DESC LIMIT 1`);
    return row === undefined ? 0 : row.nextId - 1;
  }

  async denial(denialId: string): Promise<StoredRecord | undefined> {
    return (await this.#all(denialConditions(denialId), MAX_TRACE_RECORDS)).at(-1);
  }

  async byId(id: number): Promise<StoredRecord | undefined> {
    return (await this.byIds([id])).get(id);
  }

  async byIds(ids: readonly number[]): Promise<ReadonlyMap<number, StoredRecord>> {
    const rows = await inTime(this.#sql<Row[]>`
      SELECT id, node, fields FROM records WHERE id = ANY(${[...ids]}::bigint[])`);
    return new Map(rows.map((row) => [row.id, storedOf(row)]));
  }

  async trace(traceId: string): Promise<readonly StoredRecord[]> {
    const where = [{ kind: 'field', field: 'trace_id', operator: 'eq', value: traceId } as const];
    const records = await this.#all(where, MAX_TRACE_RECORDS);
    return records.toSorted((a, b) => (a.time < b.time ? -1 : 1));
  }

  async #tallies(kind: TallyKind, sinceMs: number): Promise<readonly TallyRow[]> {
    const rows = await inTime(this.#sql<TallyRow[]>`
      SELECT key, sum(count) AS count, min(first_ms) AS "firstMs", max(last_ms) AS "lastMs",
        max(sample_id) AS "sampleId"
      FROM tallies WHERE kind = ${kind} AND slot >= ${slotOf(sinceMs)} GROUP BY key`);
    return mergeTallies(rows);
  }

  async denials(sinceMs: number, limit: number) {
    return (await this.#tallies('denial', sinceMs)).slice(0, limit).map(denialTally);
  }

  async hits(sinceMs: number) {
    return (await this.#tallies('hit', sinceMs)).map(ruleTally).sort(byRule);
  }

  async trials(sinceMs: number, limit: number) {
    return (await this.#tallies('trial', sinceMs)).slice(0, limit).map(trialTally);
  }

  async plaintext(sinceMs: number, limit: number) {
    return (await this.#tallies('plaintext', sinceMs)).slice(0, limit).map(plaintextTally);
  }

  async countDenied(sinceMs: number): Promise<number> {
    return (await this.#tallies('denial', sinceMs)).reduce((sum, { count }) => sum + count, 0);
  }

  async rollups(query: Parameters<RecordStore['rollups']>[0]) {
    return answerOf(await inTime(this.#rollups.read(query)), query);
  }

  async completeness({ fromMs, untilMs }: TimeRange): Promise<Completeness> {
    const rows = await inTime(this.#sql<{ hourMs: number; node: string; counts: string }[]>`
      SELECT hour_ms AS "hourMs", node, counts FROM source_hours
      WHERE hour_ms >= ${hourOf(fromMs)} AND hour_ms < ${untilMs}`);
    const known = await knownSources(this.#sql, [...new Set(rows.map(({ node }) => node))]);
    const hours = rows.map(({ hourMs, node, counts }) => ({
      hourMs,
      node,
      ...(JSON.parse(counts) as HourCounts),
    }));
    return completenessOf(hours, (node) => known.get(node)?.gaps ?? []);
  }

  async missing(range: TimeRange) {
    return missingFrom(await this.completeness(range));
  }

  async prune(nowMs: number): Promise<Result<number, string>> {
    const oldest = nowMs - this.#bounds.maxAgeMs;
    try {
      await this.#sql.begin(async (tx) => {
        await beginWriting(tx);
        await this.#rollups.forget(tx, nowMs, oldest);
        await tx`DELETE FROM tallies WHERE kind = ANY(${TALLY_KINDS}::text[]) AND slot < ${slotOf(oldest)}`;
        await tx`DELETE FROM source_hours WHERE hour_ms < ${hourOf(oldest)}`;
        await beginPart(tx, this.#bounds, nowMs);
      });
      // By itself: somebody who reads records for hours, as a dump does, keeps parts and nothing else.
      return ok(
        await this.#sql.begin(async (tx) => {
          await beginWriting(tx);
          await tx.unsafe(`SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}`);
          return await pruneParts(tx, this.#bounds, nowMs);
        }),
      );
    } catch (error) {
      return fail(messageOf(error));
    }
  }

  async state(): Promise<StoreState> {
    const [row] = await this.#sql<
      { records: number; bytes: number; oldest: number | null; newest: number }[]
    >`
      SELECT coalesce(sum(records), 0)::bigint AS records, min(min_ms) AS oldest, coalesce(max(next_id) - 1, 0) AS newest,
        pg_total_relation_size('tallies') + (
          SELECT coalesce(sum(pg_total_relation_size(relid)), 0)::bigint
          FROM (SELECT relid FROM pg_partition_tree('records') UNION ALL SELECT relid FROM pg_partition_tree('rollups')) AS parts
        ) AS bytes
      FROM record_spans`;
    return {
      kind: 'postgres',
      records: row?.records ?? 0,
      bytes: row?.bytes ?? 0,
      damaged: [],
      oldestMs: row?.oldest ?? undefined,
      newestId: row?.newest ?? 0,
    };
  }

  async close(): Promise<void> {
    await Promise.all([this.#sql.end(), this.#pages.end()]);
  }
}

function storedOf({ id, node, fields }: Row): StoredRecord {
  return storedRecord({ node, fields: inOrder(fields) }, id);
}

async function beginWriting(tx: Transaction): Promise<void> {
  await tx.unsafe(
    `SET LOCAL statement_timeout = ${WRITE_TIMEOUT_MS}; SELECT pg_advisory_xact_lock(${WRITER_LOCK})`,
  );
}

/** Says in words what a database that ended a statement says in a code. */
async function inTime<T>(answer: PromiseLike<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (!isTimeOut(error)) throw error;
    throw new RecordsTooSlow('PostgreSQL took too long: ask about a shorter time', {
      cause: error,
    });
  }
}

/** Whether the database ended a statement for its time. */
function isTimeOut(error: unknown): boolean {
  return (error as { code?: unknown }).code === QUERY_CANCELED;
}
