import { ok, type Result } from '#lib';
import { type Completeness, missingFrom } from './coverage.ts';
import type { AddedPlaces } from './embedded-store.ts';
import { denialConditions } from './filter.ts';
import { linesOf } from './lines.ts';
import { parseRecord } from './parse-record.ts';
import { readInOrder } from './read-in-order.ts';
import type {
  Added,
  RecordBounds,
  RecordPage,
  RecordStore,
  Report,
  StoredRecord,
  StoreState,
} from './record-store.ts';
import type { RollupAnswer } from './rollups.ts';
import type { ServeRecords } from './serve-records.ts';
import {
  byRule,
  denialTally,
  plaintextTally,
  ruleTally,
  type TallyKind,
  type TallyRow,
  trialTally,
} from './tallies.ts';
import { createWorkerClient, type Question, type WorkerClient } from './worker-client.ts';
import { packReports } from './worker-messages.ts';

/** What a store on this machine is made of. */
export type ThreadedOptions = {
  /** Holds a file a day; made with mode 0700. */
  readonly folder: string;
  readonly bounds: RecordBounds;
  /** A `records.db` of version 0.1, taken over at the first start and then removed; undefined: none. */
  readonly importFrom?: string | undefined;
  /** When the thread that does the work ended by itself; the next question starts another. */
  readonly onLost: (reason: string) => void;
};

/** Loads what the thread is made of: for the thread, and to compile it ahead. The rest of a process does without. */
export function loadRecordThread(): Promise<RecordThread> {
  return import('./serve-records.ts');
}

type RecordThread = { readonly serveRecords: ServeRecords };

const MAX_TRACE_RECORDS = 1_000;

/** Opens the embedded store in a thread of its own. Rejects where its folder cannot be used. */
export async function openThreadedStore(options: ThreadedOptions): Promise<RecordStore> {
  const { folder, bounds, importFrom, onLost } = options;
  const writer = createWorkerClient({ work: 'write', folder, bounds, importFrom }, onLost);
  try {
    await writer.ask<StoreState>({ kind: 'state' });
  } catch (error) {
    await writer.close();
    throw error;
  }
  const reader = createWorkerClient({ work: 'read', folder, bounds, importFrom }, onLost);
  return storeOf(writer, reader);
}

/** The reader's thread starts with the first question. */
function storeOf(writer: WorkerClient, reader: WorkerClient): RecordStore {
  // What damage does to an answer is the writer's business, which puts it aside and answers from the rest.
  const ask: WorkerClient['ask'] = <T>(question: Question) =>
    reader.ask<T>(question).catch(() => writer.ask<T>(question));
  const list: RecordStore['list'] = (query, page) => ask<RecordPage>({ kind: 'list', query, page });
  const byIds: RecordStore['byIds'] = async (ids) => {
    const found = await ask<readonly (StoredRecord | null)[]>({ kind: 'byIds', ids });
    return new Map(
      found.flatMap((record, at) => (record === null ? [] : [[ids[at] ?? 0, record]])),
    );
  };
  const tallies = (tally: TallyKind, sinceMs: number) =>
    ask<readonly TallyRow[]>({ kind: 'tallies', tally, sinceMs });
  const completeness: RecordStore['completeness'] = (range) =>
    ask<Completeness>({ kind: 'completeness', range });
  return {
    async add(reports, nowMs) {
      const packed = packReports(reports);
      const added = await writer.ask<Result<AddedPlaces, string>>({
        kind: 'add',
        reports: packed,
        nowMs,
      });
      return added.ok ? ok(addedOf(reports, added.value)) : added;
    },
    list,
    readAfter: (cursor, limit) => readInOrder(list, cursor, limit),
    newestId: () => ask({ kind: 'newestId' }),
    async denial(denialId) {
      const where = denialConditions(denialId);
      return (await listAll(list, { where }, { limit: 1, ascending: false }))[0];
    },
    byId: async (id) => (await byIds([id])).get(id),
    byIds,
    async trace(traceId) {
      const where = [{ kind: 'field', field: 'trace_id', operator: 'eq', value: traceId } as const];
      const found = await listAll(list, { where }, { limit: MAX_TRACE_RECORDS, ascending: false });
      return found.toSorted((a, b) => (a.time < b.time ? -1 : 1));
    },
    denials: async (sinceMs, limit) =>
      (await tallies('denial', sinceMs)).slice(0, limit).map(denialTally),
    hits: async (sinceMs) => (await tallies('hit', sinceMs)).map(ruleTally).sort(byRule),
    trials: async (sinceMs, limit) =>
      (await tallies('trial', sinceMs)).slice(0, limit).map(trialTally),
    plaintext: async (sinceMs, limit) =>
      (await tallies('plaintext', sinceMs)).slice(0, limit).map(plaintextTally),
    countDenied: async (sinceMs) =>
      (await tallies('denial', sinceMs)).reduce((sum, { count }) => sum + count, 0),
    rollups: (query) => ask<RollupAnswer>({ kind: 'rollups', query }),
    completeness,
    missing: async (range) => missingFrom(await completeness(range)),
    prune: (nowMs) => writer.ask({ kind: 'prune', nowMs }),
    state: () => writer.ask({ kind: 'state' }),
    async close() {
      // The writer last: whoever closes a file last tidies up after it, which a reader cannot.
      await reader.close();
      await writer.close();
    },
  };
}

/** All pages of a question whose answer is small. */
async function listAll(
  list: RecordStore['list'],
  query: Parameters<RecordStore['list']>[0],
  page: Parameters<RecordStore['list']>[1],
): Promise<readonly StoredRecord[]> {
  const records: StoredRecord[] = [];
  let cursor: number | undefined;
  do {
    const found: RecordPage = await list(query, {
      ...page,
      limit: page.limit - records.length,
      cursor,
    });
    records.push(...found.records);
    cursor = found.next;
  } while (cursor !== undefined && records.length < page.limit);
  return records;
}

/** The records are parsed here only if somebody asks: who stores twenty thousand a second mostly does not. */
function addedOf(reports: readonly Report[], { firstId, accepted, ...rest }: AddedPlaces): Added {
  let known: readonly StoredRecord[] | undefined;
  return {
    ...rest,
    records() {
      let id = firstId;
      known ??= reports.flatMap(({ node, blocks }, at) =>
        placesOf(blocks, accepted[at] ?? []).flatMap((bytes) => {
          const parsed = parseRecord(bytes);
          if (!parsed.ok) return [];
          const own = { ...parsed.value, node, 'record.id': String(id++) };
          return [own as unknown as StoredRecord];
        }),
      );
      return known;
    },
  };
}

/** The lines at these places, which are in order. */
function placesOf(blocks: readonly Uint8Array[], places: readonly number[]): readonly Uint8Array[] {
  const found: Uint8Array[] = [];
  let at = 0;
  for (const line of linesOf(blocks)) {
    if (found.length === places.length) break;
    if (at++ === places[found.length] && line.ok) found.push(line.value);
  }
  return found;
}
