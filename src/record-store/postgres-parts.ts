import type postgres from 'postgres';
import { PART_IDS, SPAN_RECORDS } from './postgres-schema.ts';
import type { RecordBounds } from './record-store.ts';

/** Where the next records go. */
export type Place = { readonly part: number; readonly nextId: number };

type Transaction = postgres.TransactionSql;

const DAY_MS = 86_400_000;
/** No part holds more than this share of all room, so that little goes at once. */
const PART_SHARE = 8;
// What was there before there were parts goes by its rows: so much each time, which is once a minute.
const SPANS_AT_ONCE = 4;

/** The table of a part. */
export function tableOf(part: number): string {
  return `records_${part}`;
}

/** Where records go now; a part is of a day at most, and made when it is needed. Callers hold the writers' lock. */
export async function placeNow(tx: Transaction, nowMs: number): Promise<Place> {
  const [last] = await tx<{ part: number; madeMs: number; nextId: number | null }[]>`
    SELECT part, made_ms AS "madeMs",
      (SELECT next_id FROM record_spans ORDER BY first_id DESC LIMIT 1) AS "nextId"
    FROM record_parts ORDER BY part DESC LIMIT 1`;
  if (last !== undefined && !isPast(last.madeMs, nowMs)) {
    return { part: last.part, nextId: Math.max(last.nextId ?? 0, last.part * PART_IDS) };
  }
  const part = (last?.part ?? 0) + 1;
  await makePart(tx, part, nowMs);
  return { part, nextId: part * PART_IDS };
}

/** Notes records that were written there, `times` in the order of their ids. */
export async function noteSpans(
  tx: Transaction,
  { part, nextId }: Place,
  times: readonly number[],
  nowMs: number,
): Promise<void> {
  const [last] = await tx<{ firstId: number; records: number }[]>`
    SELECT first_id AS "firstId", records FROM record_spans WHERE part = ${part} ORDER BY first_id DESC LIMIT 1`;
  let room = last === undefined ? 0 : Math.max(0, SPAN_RECORDS - last.records);
  let into = last?.firstId ?? nextId;
  for (let at = 0; at < times.length; ) {
    if (room === 0) [room, into] = [SPAN_RECORDS, nextId + at];
    const these = times.slice(at, at + room);
    const [minMs, maxMs] = [least(these), -least(these.map((ms) => -ms))];
    at += these.length;
    room = 0;
    await tx`INSERT INTO record_spans AS known (first_id, next_id, part, records, min_ms, max_ms, arrived_ms)
      VALUES (${into}, ${nextId + at}, ${part}, ${these.length}, ${minMs}, ${maxMs}, ${nowMs})
      ON CONFLICT (first_id) DO UPDATE SET next_id = excluded.next_id, records = known.records + excluded.records,
        min_ms = least(known.min_ms, excluded.min_ms), max_ms = greatest(known.max_ms, excluded.max_ms),
        arrived_ms = greatest(known.arrived_ms, excluded.arrived_ms)`;
  }
}

function least(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => Math.min(a, b));
}

/** Whether a part's day is over: replicas' clocks may differ about midnight, and one that was far ahead keeps no part. */
function isPast(madeMs: number, nowMs: number): boolean {
  const days = dayOf(nowMs) - dayOf(madeMs);
  return days > 0 || days < -1;
}

function dayOf(ms: number): number {
  return Math.floor(ms / DAY_MS);
}

/** `ATTACH`, unlike `PARTITION OF`, waits for nobody's question and holds up none. */
async function makePart(tx: Transaction, part: number, nowMs: number): Promise<void> {
  const [from, until] = [part * PART_IDS, (part + 1) * PART_IDS];
  await tx.unsafe(
    `CREATE TABLE ${tableOf(part)} (LIKE records INCLUDING ALL, CHECK (id >= ${from} AND id < ${until}));
     ALTER TABLE records ATTACH PARTITION ${tableOf(part)} FOR VALUES FROM (${from}) TO (${until})`,
  );
  await tx`INSERT INTO record_parts VALUES (${part}, ${nowMs}, NULL)`;
}

type Part = {
  readonly part: number;
  readonly madeMs: number;
  readonly takenOver: number | null;
  readonly records: number;
  readonly arrivedMs: number | null;
  readonly bytes: number;
};

/** Begins the next part where the newest one's day is over or it has its share. Callers hold the writers' lock. */
export async function beginPart(
  tx: Transaction,
  { maxBytes }: RecordBounds,
  nowMs: number,
): Promise<void> {
  const newest = (await partsOf(tx)).at(-1);
  if (newest === undefined || newest.records === 0) return;
  const isDone = isPast(newest.madeMs, nowMs) || newest.bytes > maxBytes / PART_SHARE;
  if (isDone) await makePart(tx, newest.part + 1, nowMs);
}

/**
 * Drops parts that are beyond the bounds, the oldest first and never the newest; how many records went. Callers hold the
 * writers' lock.
 */
export async function pruneParts(
  tx: Transaction,
  { maxBytes, maxAgeMs }: RecordBounds,
  nowMs: number,
): Promise<number> {
  const parts = await partsOf(tx);
  let bytes = parts.reduce((sum, part) => sum + liveBytes(part), 0);
  let gone = 0;
  for (const part of parts.slice(0, -1)) {
    const isOld = part.arrivedMs === null || part.arrivedMs < nowMs - maxAgeMs;
    if (isOld || (bytes > maxBytes && part.takenOver === null)) {
      bytes -= liveBytes(part);
      gone += await dropPart(tx, part);
    } else if (part.takenOver !== null) {
      const taken = await takeFrom(tx, part, bytes > maxBytes ? nowMs : nowMs - maxAgeMs);
      bytes -= (liveBytes(part) * taken) / part.records;
      gone += taken;
    }
  }
  return gone;
}

async function partsOf(tx: Transaction): Promise<Part[]> {
  return await tx<Part[]>`
    SELECT part, made_ms AS "madeMs", taken_over AS "takenOver", coalesce(sum(records), 0)::bigint AS records,
      max(arrived_ms) AS "arrivedMs", pg_total_relation_size(('records_' || part)::regclass) AS bytes
    FROM record_parts LEFT JOIN record_spans USING (part) GROUP BY part ORDER BY part`;
}

/** Rows that went leave their room in the file. */
function liveBytes({ bytes, records, takenOver }: Part): number {
  return takenOver === null ? bytes : (bytes * records) / takenOver;
}

async function dropPart(tx: Transaction, { part, records }: Part): Promise<number> {
  await tx.unsafe(`DROP TABLE ${tableOf(part)}`);
  await tx`DELETE FROM record_spans WHERE part = ${part}`;
  await tx`DELETE FROM record_parts WHERE part = ${part}`;
  return records;
}

/** The oldest spans of a part that arrived before an instant, a few of them. */
async function takeFrom(tx: Transaction, { part }: Part, beforeMs: number): Promise<number> {
  const spans = await tx<{ firstId: number; nextId: number; records: number }[]>`
    DELETE FROM record_spans WHERE first_id IN (
      SELECT first_id FROM record_spans WHERE part = ${part} AND arrived_ms < ${beforeMs}
      ORDER BY first_id LIMIT ${SPANS_AT_ONCE})
    RETURNING first_id AS "firstId", next_id AS "nextId", records`;
  for (const { firstId, nextId } of spans) {
    await tx`DELETE FROM records WHERE id >= ${firstId} AND id < ${nextId}`;
  }
  return spans.reduce((sum, { records }) => sum + records, 0);
}
