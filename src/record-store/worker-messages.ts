import type { PageQuery, RecordBounds, RecordQuery, Report, TimeRange } from './record-store.ts';
import type { RollupQuery } from './rollups.ts';
import type { TallyKind } from './tallies.ts';

/** What the worker is started with. */
export type WorkerStart = {
  /** One thread writes, and answers whatever it is asked; others may read beside it. */
  readonly work: 'write' | 'read';
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

/** Reports whose blocks lie one after the other in one piece of memory, which changes its owner with the message. */
export type PackedReports = {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly reports: readonly (Omit<Report, 'blocks'> & { readonly lengths: readonly number[] })[];
};

/** Copies blocks into one piece. */
export function packReports(reports: readonly Report[]): PackedReports {
  let size = 0;
  for (const { blocks } of reports) for (const block of blocks) size += block.length;
  const bytes = new Uint8Array(new ArrayBuffer(size));
  let at = 0;
  const packed = reports.map(({ blocks, ...report }) => {
    for (const block of blocks) {
      bytes.set(block, at);
      at += block.length;
    }
    return { ...report, lengths: blocks.map(({ length }) => length) };
  });
  return { bytes, reports: packed };
}

/** The reports again; their blocks are views, not copies. */
export function unpackReports({ bytes, reports }: PackedReports): readonly Report[] {
  let at = 0;
  return reports.map(({ lengths, ...report }) => ({
    ...report,
    blocks: lengths.map((length) => bytes.subarray(at, (at += length))),
  }));
}
