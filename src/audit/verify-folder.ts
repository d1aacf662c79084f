import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { AuditProblem } from './segment.ts';
import type { TreeHead } from './tree.ts';
import {
  type CheckedSegment,
  checkSegment,
  expectedSegments,
  joinSegments,
  type LogCheck,
  rootAt,
} from './verify-log.ts';

/** What verifying a folder found. */
export type FolderCheck = LogCheck & {
  /** The first thing wrong, by index; undefined if nothing is. */
  readonly problem: AuditProblem | undefined;
};

/**
 * Reads a whole log and compares it with checkpoints that were signed. With `threads` above 0, on so many besides this
 * one, which pays for logs of some hundred thousand records.
 */
export async function verifyFolder(
  folder: string,
  signed: readonly TreeHead[],
  threads = 0,
): Promise<FolderCheck> {
  const firsts = expectedSegments(folder);
  const segments =
    threads > 0 ? await onThreads(folder, firsts, threads) : await here(folder, firsts);
  const joined = joinSegments(segments);
  const problem =
    joined.problems[0] ?? againstSigned(folder, segments, { size: joined.size, signed });
  return { ...joined, problem };
}

async function here(folder: string, firsts: readonly number[]): Promise<CheckedSegment[]> {
  const segments: CheckedSegment[] = [];
  for (const first of firsts) {
    segments.push(checkSegment(folder, first));
    // Others have things to do too.
    await new Promise(setImmediate);
  }
  return segments;
}

async function onThreads(
  folder: string,
  firsts: readonly number[],
  threads: number,
): Promise<CheckedSegment[]> {
  const checked = new Map<number, CheckedSegment>();
  const waiting = [...firsts];
  const run = async (): Promise<void> => {
    const worker = new Worker(new URL('../../bin/verify-thread.js', import.meta.url), {
      workerData: { folder },
    });
    try {
      for (let first = waiting.shift(); first !== undefined; first = waiting.shift()) {
        worker.postMessage(first);
        const [segment] = (await once(worker, 'message')) as [CheckedSegment];
        checked.set(first, segment);
      }
    } finally {
      await worker.terminate();
    }
  };
  await Promise.all(Array.from({ length: Math.min(threads, firsts.length) }, run));
  return firsts.flatMap((first) => checked.get(first) ?? []);
}

// The first of the signed checkpoints that the records do not bear out.
function againstSigned(
  folder: string,
  segments: readonly CheckedSegment[],
  { size, signed }: { readonly size: number; readonly signed: readonly TreeHead[] },
): AuditProblem | undefined {
  const sorted = signed.toSorted((a, b) => a.size - b.size);
  const newest = sorted.at(-1);
  if (newest === undefined) return undefined;
  if (newest.size > size) {
    const message = `records ${size} to ${newest.size - 1} are missing, though they were signed: the log was rolled back or cut off`;
    return { index: size, message };
  }
  if (rootAt(folder, segments, newest.size) === newest.root) return undefined;
  // A tree that is wrong at one checkpoint is wrong at all later ones: the first wrong one is found by halving.
  let good = -1;
  let bad = sorted.length - 1;
  while (bad - good > 1) {
    const middle = Math.floor((good + bad) / 2);
    const one = sorted[middle];
    if (one !== undefined && rootAt(folder, segments, one.size) === one.root) good = middle;
    else bad = middle;
  }
  const from = sorted[good]?.size ?? 0;
  const until = (sorted[bad]?.size ?? size) - 1;
  const message = `records ${from} to ${until} are not those that were signed: the log was rewritten or forked`;
  return { index: from, message };
}
