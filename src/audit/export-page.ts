import { fail, ok, type Result } from '#lib';
import type { DsseEnvelope } from '#trust';
import { FIRST_PREVIOUS } from './event.ts';
import { type ExportProof, exportLine, proofLine } from './export.ts';
import type { AuditLog } from './log.ts';
import { type AuditQuery, matches } from './search.ts';

/** Which records to export, and with what. */
export type ExportRequest = {
  /** Index of the first record wanted. */
  readonly from: number;
  /** How many records whoever asks knows of: where segments expired since, the page proves how the tree goes on. */
  readonly after: number;
  /** Records read at most. */
  readonly limit: number;
  /** Where it asks for anything, each record comes with a proof of its own. */
  readonly query: AuditQuery;
  readonly checkpoint: { readonly size: number; readonly envelope: DsseEnvelope } | undefined;
  readonly log: string;
  readonly version: string;
  readonly timeMs: number;
};

/** A page of an export: OCSF lines, and the line that proves them. Fails where `from` or `after` is past the end. */
export async function exportPage(
  audit: Pick<AuditLog, 'readAfter' | 'head' | 'leaves'>,
  request: ExportRequest,
): Promise<Result<string, string>> {
  const { from, after, limit, query, checkpoint, timeMs } = request;
  const about = { log: request.log, version: request.version };
  const { size } = audit.head();
  if (from > size || after > size) return fail(`there are ${size} records`);
  const partial = Object.values(query).some((each) => each !== undefined);
  // Records that no signature covers yet cannot be proved one by one.
  const end = partial ? (checkpoint?.size ?? 0) : size;
  const found = (await audit.readAfter(from - 1, limit)).filter(({ index }) => index < end);
  const first = partial ? from : (found[0]?.index ?? from);
  // A page ends where the next segment expired: the one after says how the tree goes on.
  const read = partial ? found : found.filter(({ index }, i) => index === first + i);
  const lines = read
    .filter((event) => matches(event, query))
    .map((event) => {
      const isProved = partial && checkpoint !== undefined;
      const path = isProved ? audit.leaves.inclusion(event.index, checkpoint.size) : undefined;
      return exportLine(event, about, path);
    });
  const last = read.at(-1)?.index;
  const isGap = after > 0 && after < first;
  const proof: ExportProof = {
    log: about.log,
    first,
    previous: first === 0 ? FIRST_PREVIOUS : audit.leaves.leaf(first - 1),
    frontier: audit.leaves.frontier(first).hashes(),
    ...(isGap ? { gap: { from: after, proof: audit.leaves.consistency(after, first) } } : {}),
    partial,
    checkpoint: checkpoint?.envelope ?? null,
    next: last !== undefined && last + 1 < end ? last + 1 : null,
  };
  return ok(lines.join('') + proofLine(proof, { ...about, timeMs }));
}
