import type postgres from 'postgres';
import { fail, ok, type Result } from '#lib';
import type { AccessRecord } from '#telemetry';
import {
  addCounts,
  type Completeness,
  completenessOf,
  type HourCounts,
  hourOf,
  missingFrom,
  type SourceState,
} from './coverage.ts';
import { denialConditions } from './filter.ts';
import { type Intake, takeIn } from './ingest.ts';
import { createPostgresRollups, type PostgresRollups } from './postgres-rollups.ts';
import { POSTGRES_MIGRATIONS } from './postgres-schema.ts';
import { whereOf } from './postgres-where.ts';
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
import { answerOf, rollUp } from './rollups.ts';
import {
  byRule,
  denialTally,
  mergeTallies,
  plaintextTally,
  ruleTally,
  slotOf,
  type TallyKind,
  type TallyRow,
  tallyUp,
  trialTally,
} from './tallies.ts';
import { messageOf } from './transact.ts';

/** Where records go in PostgreSQL. */
export type PostgresOptions = {
  /** `postgres://USER:PASSWORD@HOST/DATABASE` */
  readonly url: string;
  readonly bounds: RecordBounds;
};

type Sql = postgres.Sql;
type Transaction = postgres.TransactionSql;

const CONNECTIONS = 4;
const MAX_TRACE_RECORDS = 1_000;
// One writer at a time, whichever replica it is: what a source's numbers cover is read and written together.
const WRITER_LOCK = 0x70616c69;
const INSERT_ROWS = 1_000;
const PRUNE_AT_ONCE = 20_000;
// A question that reads everything ends, and says so.
const STATEMENT_TIMEOUT_MS = 10_000;

/** Opens the store in a database, whose schema it makes. Rejects where that cannot be done. */
export async function openPostgresStore(options: PostgresOptions): Promise<RecordStore> {
  const { default: connect } = await import('postgres');
  const sql = connect(options.url, {
    max: CONNECTIONS,
    onnotice: () => {},
    connection: { application_name: 'palisade', statement_timeout: STATEMENT_TIMEOUT_MS },
    types: { bigint: BIGINT },
  });
  try {
    await migrate(sql as unknown as Sql);
    return new PostgresStore(sql as unknown as Sql, options.bounds);
  } catch (error) {
    await sql.end();
    throw error;
  }
}

/** Ids and times are below 2^53. */
const BIGINT = { to: 20, from: [20, 1700], parse: Number, serialize: String };

async function migrate(sql: Sql): Promise<void> {
  await sql.begin(async (tx) => {
    await tx`SELECT pg_advisory_xact_lock(${WRITER_LOCK})`;
    await tx`CREATE TABLE IF NOT EXISTS palisade_records_schema (version int NOT NULL)`;
    const [row] = await tx<{ version: number }[]>`SELECT version FROM palisade_records_schema`;
    const from = row?.version ?? 0;
    if (from > POSTGRES_MIGRATIONS.length) {
      throw new Error(`the schema version ${from} of records is newer than this program's`);
    }
    for (const script of POSTGRES_MIGRATIONS.slice(from)) await tx.unsafe(script);
    await tx`DELETE FROM palisade_records_schema`;
    await tx`INSERT INTO palisade_records_schema VALUES (${POSTGRES_MIGRATIONS.length})`;
  });
}

type Row = { readonly id: number; readonly node: string; readonly record: object };

class PostgresStore implements RecordStore {
  readonly #sql: Sql;
  readonly #bounds: RecordBounds;
  readonly #rollups: PostgresRollups;

  constructor(sql: Sql, bounds: RecordBounds) {
    this.#sql = sql;
    this.#bounds = bounds;
    this.#rollups = createPostgresRollups(sql);
  }

  async add(reports: readonly Report[], nowMs: number): Promise<Result<Added, string>> {
    try {
      return ok(await this.#sql.begin((tx) => this.#write(tx, reports, nowMs)));
    } catch (error) {
      return fail(messageOf(error));
    }
  }

  async #write(tx: Transaction, reports: readonly Report[], nowMs: number): Promise<Added> {
    await tx`SELECT pg_advisory_xact_lock(${WRITER_LOCK})`;
    const known = await knownSources(tx, [...new Set(reports.map(({ node }) => node))]);
    const intake = takeIn(reports, (node) => known.get(node), nowMs);
    const stored = await insertRows(tx, intake, nowMs);
    await saveTallies(tx, stored);
    await this.#rollups.add(
      tx,
      rollUp(stored.map((record) => [Date.parse(record.time), record] as const)),
    );
    for (const hour of intake.hours) await saveHour(tx, hour);
    for (const [node, state] of intake.sources) {
      await tx`INSERT INTO sources VALUES (${node}, ${JSON.stringify(state)})
        ON CONFLICT (node) DO UPDATE SET state = excluded.state`;
    }
    const { duplicates, refused, refusals, denied, deniedEdges } = intake;
    const counts = { stored: stored.length, duplicates, refused, refusals, denied, deniedEdges };
    return { ...counts, records: () => stored };
  }

  async list(query: RecordQuery, page: PageQuery): Promise<RecordPage> {
    const { sql, values } = whereOf(query, page);
    const order = page.ascending === true ? 'ASC' : 'DESC';
    const text = `SELECT id, node, record FROM records WHERE ${sql} ORDER BY id ${order} LIMIT ${Number(page.limit)}`;
    const rows = await this.#sql.unsafe<Row[]>(text, [...values]);
    const records = rows.map(storedOf);
    const isFull = records.length === page.limit;
    return { records, next: isFull ? Number(records.at(-1)?.['record.id']) : undefined };
  }

  async readAfter(cursor: number, limit: number): Promise<readonly StoredRecord[]> {
    return (await this.list({}, { limit, cursor, ascending: true })).records;
  }

  async newestId(): Promise<number> {
    const [row] = await this.#sql<{ id: number | null }[]>`SELECT max(id) AS id FROM records`;
    return row?.id ?? 0;
  }

  async denial(denialId: string): Promise<StoredRecord | undefined> {
    const page = { limit: 1, ascending: true };
    return (await this.list({ where: denialConditions(denialId) }, page)).records[0];
  }

  async byId(id: number): Promise<StoredRecord | undefined> {
    return (await this.byIds([id])).get(id);
  }

  async byIds(ids: readonly number[]): Promise<ReadonlyMap<number, StoredRecord>> {
    const rows = await this.#sql<Row[]>`
      SELECT id, node, record FROM records WHERE id = ANY(${[...ids]}::bigint[])`;
    return new Map(rows.map((row) => [row.id, storedOf(row)]));
  }

  async trace(traceId: string): Promise<readonly StoredRecord[]> {
    const where = [{ kind: 'field', field: 'trace_id', operator: 'eq', value: traceId } as const];
    const { records } = await this.list({ where }, { limit: MAX_TRACE_RECORDS });
    return records.toSorted((a, b) => (a.time < b.time ? -1 : 1));
  }

  async #tallies(kind: TallyKind, sinceMs: number): Promise<readonly TallyRow[]> {
    const rows = await this.#sql<TallyRow[]>`
      SELECT key, sum(count) AS count, min(first_ms) AS "firstMs", max(last_ms) AS "lastMs",
        max(sample_id) AS "sampleId"
      FROM tallies WHERE kind = ${kind} AND slot >= ${slotOf(sinceMs)} GROUP BY key`;
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
    return answerOf(await this.#rollups.read(query), query);
  }

  async completeness({ fromMs, untilMs }: TimeRange): Promise<Completeness> {
    const rows = await this.#sql<{ hourMs: number; node: string; counts: string }[]>`
      SELECT hour_ms AS "hourMs", node, counts FROM source_hours
      WHERE hour_ms >= ${hourOf(fromMs)} AND hour_ms < ${untilMs}`;
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
        await tx`SELECT pg_advisory_xact_lock(${WRITER_LOCK})`;
        await this.#rollups.forget(tx, nowMs);
        await tx`DELETE FROM rollups WHERE time_ms < ${hourOf(oldest)}`;
      });
      await this.#sql`DELETE FROM tallies WHERE slot < ${slotOf(oldest)}`;
      await this.#sql`DELETE FROM source_hours WHERE hour_ms < ${hourOf(oldest)}`;
      const gone = await this.#sql`DELETE FROM records WHERE id IN (
        SELECT id FROM records WHERE arrived_ms < ${oldest} ORDER BY id LIMIT ${PRUNE_AT_ONCE})`;
      return ok(gone.count + (await this.#shrink()));
    } catch (error) {
      return fail(messageOf(error));
    }
  }

  /** A part of the oldest goes while there is too much; PostgreSQL gives the room to what comes next. */
  async #shrink(): Promise<number> {
    const { bytes, records } = await this.state();
    if (bytes <= this.#bounds.maxBytes) return 0;
    const excess = Math.ceil(records * (1 - this.#bounds.maxBytes / bytes));
    const gone = await this.#sql`DELETE FROM records WHERE id IN (
      SELECT id FROM records ORDER BY id LIMIT ${Math.min(excess, PRUNE_AT_ONCE)})`;
    return gone.count;
  }

  async state(): Promise<StoreState> {
    const [row] = await this.#sql<
      { records: number; bytes: number; oldest: number | null; newest: number }[]
    >`
      SELECT count(*) AS records, pg_total_relation_size('records') AS bytes, min(time_ms) AS oldest,
        coalesce(max(id), 0) AS newest FROM records`;
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
    await this.#sql.end();
  }
}

function storedOf({ id, node, record }: Row): StoredRecord {
  return { ...record, node, 'record.id': String(id) } as unknown as StoredRecord;
}

async function knownSources(
  sql: Sql | Transaction,
  nodes: readonly string[],
): Promise<ReadonlyMap<string, SourceState>> {
  const rows = await (sql as Sql)<{ node: string; state: string }[]>`
    SELECT node, state FROM sources WHERE node = ANY(${[...nodes]}::text[])`;
  return new Map(rows.map(({ node, state }) => [node, JSON.parse(state) as SourceState]));
}

async function insertRows(
  tx: Transaction,
  { rows }: Intake,
  nowMs: number,
): Promise<readonly StoredRecord[]> {
  const stored: StoredRecord[] = [];
  for (let at = 0; at < rows.length; at += INSERT_ROWS) {
    const part = rows.slice(at, at + INSERT_ROWS);
    const texts = part.map(({ fields }) => JSON.stringify(fields).replaceAll('\\u0000', '\\ufffd'));
    const ids = await tx<{ id: number }[]>`
      INSERT INTO records (node, arrived_ms, time_ms, source_service, service, verdict, status, path, trace_id,
        denial_id, record, fields)
      SELECT node, ${nowMs}::bigint, time_ms, f ->> 'source.service', f ->> 'destination.service', f ->> 'verdict',
        (f ->> 'status')::bigint, f ->> 'path', f ->> 'trace_id', f ->> 'denial_id', text::json, f
      FROM (
        SELECT node, time_ms, text, text::jsonb AS f, place FROM unnest(
          ${part.map(({ node }) => node)}::text[], ${part.map(({ ms }) => ms)}::bigint[], ${texts}::text[]
        ) WITH ORDINALITY AS one (node, time_ms, text, place)
      ) AS all_of_them ORDER BY place
      RETURNING id`;
    for (const [i, { node, fields }] of part.entries()) {
      stored.push(storedOf({ id: ids[i]?.id ?? 0, node, record: fields }));
    }
  }
  return stored;
}

async function saveTallies(tx: Transaction, stored: readonly StoredRecord[]): Promise<void> {
  const tallies = tallyUp(
    stored.map((record) => ({
      id: Number(record['record.id']),
      ms: Date.parse(record.time),
      record: record as AccessRecord,
    })),
  );
  for (const { kind, slot, key, count, firstMs, lastMs, sampleId } of tallies) {
    await tx`INSERT INTO tallies VALUES (${kind}, ${slot}, ${key}, ${count}, ${firstMs}, ${lastMs}, ${sampleId})
      ON CONFLICT (kind, slot, key) DO UPDATE SET count = tallies.count + excluded.count,
        first_ms = least(tallies.first_ms, excluded.first_ms), last_ms = greatest(tallies.last_ms, excluded.last_ms),
        sample_id = greatest(tallies.sample_id, excluded.sample_id)`;
  }
}

async function saveHour(
  tx: Transaction,
  { hourMs, node, counts }: Intake['hours'][number],
): Promise<void> {
  const [known] = await tx<{ counts: string }[]>`
    SELECT counts FROM source_hours WHERE hour_ms = ${hourMs} AND node = ${node}`;
  const sum =
    known === undefined ? counts : addCounts(JSON.parse(known.counts) as HourCounts, counts);
  await tx`INSERT INTO source_hours VALUES (${hourMs}, ${node}, ${JSON.stringify(sum)})
    ON CONFLICT (hour_ms, node) DO UPDATE SET counts = excluded.counts`;
}
