import type { Account } from './coverage.ts';
import type { PageQuery, RecordBounds, RecordQuery, Report, TimeRange } from './record-store.ts';
import type { RollupQuery } from './rollups.ts';
import type { TallyKind } from './tallies.ts';

/** What the worker is started with. */
export type WorkerStart = {
  readonly folder: string;
  readonly bounds: RecordBounds;
  /** Records of the version before, to be taken over once; see import-records.ts. */
  readonly importFrom: string | undefined;
};

/** One question to the worker; each gets one answer with its number. */
export type WorkerRequest = { readonly number: number } & (
  | { readonly kind: 'add'; readonly reports: PackedReports; readonly nowMs: number }
  | { readonly kind: 'list'; readonly query: RecordQuery; readonly page: PageQuery }
  | { readonly kind: 'byIds'; readonly ids: readonly number[] }
  | { readonly kind: 'tallies'; readonly tally: TallyKind; readonly sinceMs: number }
  | { readonly kind: 'rollups'; readonly query: RollupQuery }
  | { readonly kind: 'completeness'; readonly range: TimeRange }
  | { readonly kind: 'prune'; readonly nowMs: number }
  | { readonly kind: 'newestId' | 'state' | 'close' }
);

/** An answer: JSON, since text crosses threads at the cost of a copy and objects at that of a walk. */
export type WorkerAnswer =
  | { readonly number: number; readonly ok: true; readonly json: string }
  | { readonly number: number; readonly ok: false; readonly message: string };

/** Reports whose records lie one after the other in one piece of memory, which changes its owner with the message. */
export type PackedReports = {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly reports: readonly {
    readonly node: string;
    readonly identity: string | undefined;
    readonly accounts: readonly Account[];
    readonly lengths: readonly number[];
  }[];
};

/** Copies records into one piece. */
export function packReports(reports: readonly Report[]): PackedReports {
  let size = 0;
  for (const { records } of reports) for (const record of records) size += record.length;
  const bytes = new Uint8Array(new ArrayBuffer(size));
  let at = 0;
  const packed = reports.map(({ node, identity, accounts, records }) => {
    for (const record of records) {
      bytes.set(record, at);
      at += record.length;
    }
    return { node, identity, accounts, lengths: records.map(({ length }) => length) };
  });
  return { bytes, reports: packed };
}

/** The reports again; their records are views, not copies. */
export function unpackReports({ bytes, reports }: PackedReports): readonly Report[] {
  let at = 0;
  return reports.map(({ node, identity, accounts, lengths }) => ({
    node,
    identity,
    accounts,
    records: lengths.map((length) => bytes.subarray(at, (at += length))),
  }));
}
