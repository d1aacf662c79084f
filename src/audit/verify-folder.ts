import type { AuditProblem } from './segment.ts';
import type { TreeHead } from './tree.ts';
import {
  type CheckedSegment,
  checkSegment,
  expectedSegments,
  joinSegments,
  rootAt,
} from './verify-log.ts';

/** Reads a whole log and compares it with checkpoints that were signed; resolves to the first thing wrong, by index. */
export async function verifyFolder(
  folder: string,
  signed: readonly TreeHead[],
): Promise<AuditProblem | undefined> {
  const segments: CheckedSegment[] = [];
  for (const first of expectedSegments(folder)) {
    segments.push(checkSegment(folder, first));
    // Others have things to do too.
    await new Promise(setImmediate);
  }
  const { size, problems } = joinSegments(segments);
  return problems[0] ?? againstSigned(segments, size, signed);
}

/** The first of the signed checkpoints that the records do not bear out. */
export function againstSigned(
  segments: readonly CheckedSegment[],
  size: number,
  signed: readonly TreeHead[],
): AuditProblem | undefined {
  const sorted = signed.toSorted((a, b) => a.size - b.size);
  const newest = sorted.at(-1);
  if (newest === undefined) return undefined;
  if (newest.size > size) {
    const message = `records ${size} to ${newest.size - 1} are missing, though they were signed: the log was rolled back or cut off`;
    return { index: size, message };
  }
  if (rootAt(segments, newest.size) === newest.root) return undefined;
  // A tree that is wrong at one checkpoint is wrong at all later ones: the first wrong one is found by halving.
  let good = -1;
  let bad = sorted.length - 1;
  while (bad - good > 1) {
    const middle = Math.floor((good + bad) / 2);
    const one = sorted[middle];
    if (one !== undefined && rootAt(segments, one.size) === one.root) good = middle;
    else bad = middle;
  }
  const from = sorted[good]?.size ?? 0;
  const until = (sorted[bad]?.size ?? size) - 1;
  const message = `records ${from} to ${until} are not those that were signed: the log was rewritten or forked`;
  return { index: from, message };
}
