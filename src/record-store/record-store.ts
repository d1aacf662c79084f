import type { Result } from '#lib';
import type { AccessRecord } from '#telemetry';
import type { Account, Completeness, MissingRecords } from './coverage.ts';
import type { Condition } from './filter.ts';
import type { RollupAnswer, RollupQuery } from './rollups.ts';
import type { DenialTally, PlaintextTally, RuleTally, TrialTally } from './tallies.ts';

/** A record with the node that reported it and its number in this store, which grows with arrival. */
export type StoredRecord = AccessRecord & { readonly node: string; readonly 'record.id': string };

/** What one message of a source brought. */
export type Report = {
  /** `NAMESPACE/SERVICE/SUFFIX`, already checked against who sent it. */
  readonly node: string;
  /** The SPIFFE ID that the node proved, as far as it is known. */
  readonly identity: string | undefined;
  /** Records, JSON in UTF-8 as their source wrote them, each with a line feed, in order of their numbers; packed. */
  readonly blocks: readonly Uint8Array[];
  /** What became of each number; records outside of them are taken as accounted for by themselves. */
  readonly accounts: readonly Account[];
  /** Out of our own files, of whichever node: whose records they are was checked when they came. */
  readonly isOurs?: true;
};

/** What became of reports. */
export type Added = {
  readonly stored: number;
  /** Came before, or bear a number that is no successor within their message. */
  readonly duplicates: number;
  /** Not records, or not of the node that sent them: why, at most a few. */
  readonly refused: number;
  readonly refusals: readonly { readonly node: string; readonly reason: string }[];
  /** Edges with a new denial, as their destinations reported, each with the last denial's id. */
  readonly denied: number;
  readonly deniedEdges: readonly DeniedEdge[];
  /** The new records, parsed when asked for. */
  readonly records: () => readonly StoredRecord[];
};

/** Who was denied what. */
export type DeniedEdge = {
  readonly sourceId: string | null;
  readonly sourceService: string | null;
  readonly namespace: string;
  readonly service: string;
  readonly denialId: string;
};

/** Which records; times in ms since 1970, `until` exclusive. All conditions hold. */
export type RecordQuery = {
  readonly sinceMs?: number | undefined;
  readonly untilMs?: number | undefined;
  readonly where?: readonly Condition[] | undefined;
};

/** One page: newest first unless ascending; `cursor` is the `record.id` to go on after. */
export type PageQuery = {
  readonly limit: number;
  readonly cursor?: number | undefined;
  readonly ascending?: boolean | undefined;
};

/** `next` is undefined at the end; with it the page may be short, or empty: the time for one answer was over. */
export type RecordPage = {
  readonly records: readonly StoredRecord[];
  readonly next: number | undefined;
};

/** How the store is; sizes in bytes, times in ms since 1970. */
export type StoreState = {
  readonly kind: 'embedded' | 'postgres';
  readonly records: number;
  readonly bytes: number;
  /** Files or blocks that could not be read: named, kept aside, and left out of answers. */
  readonly damaged: readonly { readonly name: string; readonly reason: string }[];
  readonly oldestMs: number | undefined;
  readonly newestId: number;
};

/** Bounds: at most `maxBytes` on disk, no record that arrived more than `maxAgeMs` ago. */
export type RecordBounds = { readonly maxBytes: number; readonly maxAgeMs: number };

/**
 * Access records of all enforcement points, with what is counted from them. Every method rejects with an `Error`
 * where the store itself fails; `add` tells a failed write as a value, since its callers go on.
 */
export type RecordStore = {
  /** All or nothing, on disk when it resolves; what came before (same source and number) is stored once. */
  readonly add: (reports: readonly Report[], nowMs: number) => Promise<Result<Added, string>>;
  readonly list: (query: RecordQuery, page: PageQuery) => Promise<RecordPage>;
  /** In order of arrival, after `cursor` (0: from the oldest). */
  readonly readAfter: (cursor: number, limit: number) => Promise<readonly StoredRecord[]>;
  readonly newestId: () => Promise<number>;
  /** The record of who denied. */
  readonly denial: (denialId: string) => Promise<StoredRecord | undefined>;
  readonly byId: (id: number) => Promise<StoredRecord | undefined>;
  readonly byIds: (ids: readonly number[]) => Promise<ReadonlyMap<number, StoredRecord>>;
  /** All records of one trace, oldest first, at most 1,000. */
  readonly trace: (traceId: string) => Promise<readonly StoredRecord[]>;
  /** The latest first, since about `sinceMs`: exact but for its first five minutes. */
  readonly denials: (sinceMs: number, limit: number) => Promise<readonly DenialTally[]>;
  readonly hits: (sinceMs: number) => Promise<readonly RuleTally[]>;
  readonly trials: (sinceMs: number, limit: number) => Promise<readonly TrialTally[]>;
  readonly plaintext: (sinceMs: number, limit: number) => Promise<readonly PlaintextTally[]>;
  readonly countDenied: (sinceMs: number) => Promise<number>;
  readonly rollups: (query: RollupQuery) => Promise<RollupAnswer>;
  readonly completeness: (range: TimeRange) => Promise<Completeness>;
  /** What is missing of the records of a time, by source. */
  readonly missing: (range: TimeRange) => Promise<readonly MissingRecords[]>;
  /** Forgets what is beyond the bounds, and sums of finer steps than their age needs; returns how many records went. */
  readonly prune: (nowMs: number) => Promise<Result<number, string>>;
  readonly state: () => Promise<StoreState>;
  readonly close: () => Promise<void>;
};

/** From `fromMs` to before `untilMs`, ms since 1970. */
export type TimeRange = { readonly fromMs: number; readonly untilMs: number };
