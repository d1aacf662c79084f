import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { FIRST_PREVIOUS } from './event.ts';
import { readLeaves } from './leaf-source.ts';
import {
  type AuditProblem,
  digestOf,
  isProblem,
  SEGMENT_RECORDS,
  type SegmentDigest,
  scanSegment,
  segmentName,
} from './segment.ts';
import { leavesPath, readDigests, segmentsIn } from './segments.ts';
import { Frontier, rootOfLeaves, type TreeHead } from './tree.ts';

/** One segment as it verified by itself. */
export type CheckedSegment = SegmentDigest & {
  readonly problems: readonly AuditProblem[];
  /** Its records are no longer kept; its leaves are. */
  readonly isExpired: boolean;
  /** Every leaf; none where it is full and was checked on another thread. */
  readonly leaves: readonly string[];
};

/** What verifying a folder found. */
export type LogCheck = TreeHead & {
  readonly last: string;
  /** The first thing wrong, by index. */
  readonly problems: readonly AuditProblem[];
  /** Records whose text was read, not only their hashes. */
  readonly read: number;
  readonly expired: number;
};

/** Checks one segment by itself: every record against the one before, or the leaves that were kept. Synchronous. */
export function checkSegment(folder: string, first: number): CheckedSegment {
  const path = join(folder, segmentName(first));
  if (existsSync(path)) {
    const scan = scanSegment(readFileSync(path), first);
    if (!isProblem(scan)) {
      const { problems, leaves } = scan;
      return { ...digestOf(scan), problems, isExpired: false, leaves };
    }
    return damaged(first, scan.message);
  }
  if (!existsSync(leavesPath(folder, first))) return damaged(first, 'its segment is missing');
  const leaves = readLeaves(folder, first);
  const known = readDigests(folder).get(first);
  if (known === undefined || leaves.length !== SEGMENT_RECORDS) {
    return damaged(first, 'what was kept of its expired segment is damaged');
  }
  const root = rootOfLeaves(leaves);
  const problems =
    root === known.root && leaves.at(-1) === known.last
      ? []
      : [{ index: first, message: 'what was kept of its expired segment is not what was logged' }];
  return { ...known, root, problems, isExpired: true, leaves };
}

/** The segments that a folder should have. */
export function expectedSegments(folder: string): number[] {
  const newest = Math.max(-1, ...segmentsIn(folder), ...readDigests(folder).keys());
  return Array.from(
    { length: Math.floor(newest / SEGMENT_RECORDS) + 1 },
    (_, i) => i * SEGMENT_RECORDS,
  );
}

/** Puts checked segments, in order, together to one chain and one tree. */
export function joinSegments(segments: readonly CheckedSegment[]): LogCheck {
  const frontier = new Frontier();
  const problems: AuditProblem[] = [];
  let last = FIRST_PREVIOUS;
  let expired = 0;
  for (const segment of segments) {
    const { first, count, previous } = segment;
    if (first !== frontier.size) {
      const message = `records ${frontier.size} to ${first - 1} are missing`;
      problems.push({ index: frontier.size, message });
      break;
    }
    problems.push(...segment.problems);
    if (count > 0 && previous !== last) {
      problems.push({ index: first, message: 'its segment does not continue the one before' });
    }
    if (count === SEGMENT_RECORDS) frontier.pushPerfect(segment.root, SEGMENT_RECORDS);
    else for (const leaf of segment.leaves) frontier.push(leaf);
    if (segment.isExpired) expired += count;
    last = segment.last;
  }
  return {
    size: frontier.size,
    root: frontier.root(),
    last,
    problems: problems.toSorted((a, b) => a.index - b.index),
    read: frontier.size - expired,
    expired,
  };
}

/** The root that the first `size` records have by what was checked; undefined if there are fewer. */
export function rootAt(
  folder: string,
  segments: readonly CheckedSegment[],
  size: number,
): string | undefined {
  const frontier = new Frontier();
  for (const { first, count, root } of segments) {
    if (first !== frontier.size || size === first) break;
    if (count === SEGMENT_RECORDS && size - first >= count) frontier.pushPerfect(root, count);
    else {
      for (const leaf of checkSegment(folder, first).leaves.slice(0, size - first)) {
        frontier.push(leaf);
      }
    }
  }
  return frontier.size === size ? frontier.root() : undefined;
}

function damaged(first: number, message: string): CheckedSegment {
  const nothing = { previous: FIRST_PREVIOUS, last: FIRST_PREVIOUS, root: FIRST_PREVIOUS };
  const problems = [{ index: first, message }];
  return { first, count: 0, ...nothing, problems, isExpired: false, leaves: [] };
}
