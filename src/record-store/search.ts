import { type BlockQuery, matchBlock } from './block-match.ts';
import type { BlockPlace } from './day-file.ts';
import type { Day, ReadableDays } from './day-files.ts';
import type { PageQuery, RecordPage, RecordQuery, StoredRecord } from './record-store.ts';
import type { Row } from './row.ts';
import { mayMatch, type Needs, needsOf } from './terms.ts';
import { isDamage, messageOf } from './transact.ts';

/**
 * How long one answer may take, in ms. What is not found until then is looked for by the next page: so a question
 * that only reading everything can answer holds up nobody, and is answered all the same.
 */
export const ANSWER_MS = 150;

type Search = {
  readonly query: BlockQuery;
  readonly needs: Needs;
  readonly page: PageQuery;
  readonly endsAt: number;
  readonly found: StoredRecord[];
};

/** The records of a query, one page of them; `nowMs` a monotonic clock. */
export function search(
  files: ReadableDays,
  query: RecordQuery,
  page: PageQuery,
  nowMs: () => number,
): RecordPage {
  const { sinceMs, untilMs, where = [] } = query;
  const one: Search = {
    query: { sinceMs, untilMs, where },
    needs: needsOf(where),
    page,
    endsAt: nowMs() + ANSWER_MS,
    found: [],
  };
  const ascending = page.ascending === true;
  const days = ascending ? files.all() : files.all().toReversed();
  for (const day of days) {
    if (!reaches(day, page)) continue;
    const next = tolerate(files, day, () => searchDay(files, day, one, nowMs));
    if (next !== undefined) return { records: one.found, next };
  }
  return { records: one.found, next: undefined };
}

/** Whether a file has ids on the far side of the cursor. */
function reaches({ base, file }: Day, { cursor, ascending }: PageQuery): boolean {
  if (cursor === undefined) return true;
  return ascending === true ? base + file.next() - 1 > cursor : base < cursor;
}

/** Searches one file; the cursor to go on after, or undefined when all of it was searched. */
function searchDay(
  files: ReadableDays,
  day: Day,
  one: Search,
  nowMs: () => number,
): number | undefined {
  const { page, found } = one;
  const ascending = page.ascending === true;
  const from = startIn(day, page);
  for (const place of day.file.places(from, ascending)) {
    if (nowMs() > one.endsAt) return cursorBefore(day, place, ascending);
    if (!mayHaveTime(place, one.query)) continue;
    const matches = tolerateBlock(files, day, () => {
      const index = day.file.index(place);
      if (index !== undefined && !mayMatch(index, one.needs)) return [];
      const block = day.file.block(place);
      const at = ascending
        ? Math.max(0, from - place.first)
        : Math.min(place.count - 1, from - place.first);
      const limit = page.limit - found.length;
      return matchBlock(block, one.query, { from: at, ascending, limit }).map((match) =>
        storedRecord(block.row(match), day.base + place.first + match),
      );
    });
    found.push(...(matches ?? []));
    if (found.length >= page.limit) return Number(found.at(-1)?.['record.id']);
  }
  return undefined;
}

/** Where in a file to begin, counted within it. */
function startIn({ base }: Day, { cursor, ascending }: PageQuery): number {
  if (ascending === true) return cursor === undefined ? 0 : Math.max(0, cursor - base + 1);
  return cursor === undefined ? Number.MAX_SAFE_INTEGER : cursor - base - 1;
}

function cursorBefore({ base }: Day, { first, count }: BlockPlace, ascending: boolean): number {
  return ascending ? base + first - 1 : base + first + count;
}

function mayHaveTime({ minMs, maxMs }: BlockPlace, { sinceMs, untilMs }: BlockQuery): boolean {
  return (sinceMs === undefined || maxMs >= sinceMs) && (untilMs === undefined || minMs < untilMs);
}

/** A row as readers get it. */
export function storedRecord({ node, fields }: Omit<Row, 'ms'>, id: number): StoredRecord {
  return { ...fields, node, 'record.id': String(id) } as unknown as StoredRecord;
}

/** Does something with a file; one that turns out to be damaged is put aside and the others are read on. */
export function tolerate<T>(files: ReadableDays, day: Day, work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (!isDamage(error)) throw error;
    files.setAside(day, error);
    return undefined;
  }
}

function tolerateBlock<T>(files: ReadableDays, day: Day, work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    // What a damaged block throws is of many kinds; what SQLite throws is of its own.
    if ((error as { errcode?: unknown }).errcode !== undefined) throw error;
    files.note({ name: day.name, reason: `a block cannot be read: ${messageOf(error)}` });
    return undefined;
  }
}

/** One record by its id. */
export function recordById(files: ReadableDays, id: number): StoredRecord | undefined {
  const day = files.of(id);
  if (day === undefined) return undefined;
  const at = id - day.base;
  return tolerate(files, day, () => {
    for (const place of day.file.places(at, false)) {
      if (at >= place.first + place.count) return undefined;
      return tolerateBlock(files, day, () =>
        storedRecord(day.file.block(place).row(at - place.first), id),
      );
    }
    return undefined;
  });
}
