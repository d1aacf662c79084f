import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  isProblem,
  SEGMENT_RECORDS,
  type SegmentDigest,
  scanSegment,
  segmentName,
} from './segment.ts';
import { type ActiveSegment, keptLeaves } from './segments.ts';
import {
  consistencyProof,
  Frontier,
  inclusionProof,
  type RangeRoot,
  rootOfLeaves,
  splitOf,
} from './tree.ts';

/** Proofs out of a log's leaves, those of expired segments included. Throws where a segment they need is unreadable. */
export type LeafSource = {
  readonly inclusion: (index: number, size: number) => string[];
  readonly consistency: (from: number, size: number) => string[];
  /** The frontier of the first `size` leaves: from it on, whoever has the records can compute every later root. */
  readonly frontier: (size: number) => Frontier;
  readonly root: (size: number) => string;
  readonly leaf: (index: number) => string;
};

/** Segments whose leaves are remembered; one is half a megabyte. */
const REMEMBERED = 4;

/** The leaves of the full segments and of the active one. */
export function createLeafSource(
  folder: string,
  digests: readonly SegmentDigest[],
  active: () => ActiveSegment,
): LeafSource {
  const remembered = new Map<number, readonly string[]>();

  function leavesOf(first: number): readonly string[] {
    if (first === active().first) return active().leaves;
    const known = remembered.get(first) ?? readLeaves(folder, first);
    remembered.delete(first);
    remembered.set(first, known);
    const [oldest] = remembered.keys();
    if (remembered.size > REMEMBERED && oldest !== undefined) remembered.delete(oldest);
    return known;
  }

  const rangeRoot: RangeRoot = (first, end) => {
    const count = end - first;
    const segment = Math.floor(first / SEGMENT_RECORDS);
    if (count === SEGMENT_RECORDS && digests[segment]?.first === first) {
      return digests[segment].root;
    }
    if (count > SEGMENT_RECORDS) {
      // INVARIANT: proofs ask for ranges that begin where a power of two no smaller than they are does.
      return frontierOf(first, end).root();
    }
    const at = first - segment * SEGMENT_RECORDS;
    const leaves = leavesOf(segment * SEGMENT_RECORDS).slice(at, at + count);
    if (leaves.length < count) throw new Error(`the leaves from ${first} to ${end} are not there`);
    return rootOfLeaves(leaves);
  };

  function frontierOf(first: number, end: number): Frontier {
    const frontier = new Frontier();
    let at = first;
    while (end - at >= SEGMENT_RECORDS) {
      frontier.pushPerfect(rangeRoot(at, at + SEGMENT_RECORDS), SEGMENT_RECORDS);
      at += SEGMENT_RECORDS;
    }
    while (at < end) {
      const rest = end - at;
      // The largest perfect subtree that fits.
      const count = rest === 1 ? 1 : splitOf(rest + 1);
      frontier.pushPerfect(rangeRoot(at, at + count), count);
      at += count;
    }
    return frontier;
  }

  return {
    inclusion: (index, size) => inclusionProof(index, size, rangeRoot),
    consistency: (from, size) => consistencyProof(from, size, rangeRoot),
    frontier: (size) => frontierOf(0, size),
    root: (size) => frontierOf(0, size).root(),
    leaf(index) {
      const first = index - (index % SEGMENT_RECORDS);
      const leaf = leavesOf(first)[index - first];
      if (leaf === undefined) throw new Error(`there is no record ${index}`);
      return leaf;
    },
  };
}

/** The leaves of a full segment: out of its records, or what was kept of them. Throws where neither can be read. */
export function readLeaves(folder: string, first: number): readonly string[] {
  const kept = keptLeaves(folder, first);
  if (kept !== undefined) return kept;
  const scan = scanSegment(readFileSync(join(folder, segmentName(first))), first);
  if (isProblem(scan)) throw new Error(`record ${scan.index}: ${scan.message}`);
  return scan.leaves;
}
