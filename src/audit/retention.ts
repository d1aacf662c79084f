import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventOf, linesOf } from './read-events.ts';
import {
  type AuditProblem,
  isProblem,
  SEGMENT_RECORDS,
  scanSegment,
  segmentName,
} from './segment.ts';
import { leavesPath, syncFolder } from './segments.ts';

/** Records that nobody may delete; times in Unix milliseconds. */
export type LegalHold = {
  readonly name: string;
  /** Why, and who asked for it. */
  readonly reason: string;
  readonly by: string;
  readonly since: number;
  /** Undefined: up to whatever comes. */
  readonly until: number | undefined;
  readonly createdAt: number;
};

/** What goes: segments whose newest record is of before `before`, and of which all is signed. */
export type Expiry = {
  readonly before: number;
  /** Records that a signed checkpoint covers. */
  readonly signedSize: number;
  readonly holds: readonly LegalHold[];
  /** Where the segment that is written begins; it never goes. */
  readonly activeFirst: number;
};

/** Segments that went, by their first index; and what could not go because it is damaged. */
export type Expired = {
  readonly segments: readonly number[];
  readonly problems: readonly AuditProblem[];
};

/**
 * Deletes the records of expired segments and keeps their hashes, so that chain, tree and every proof go on.
 * INVARIANT: the hashes are on disk before a record goes. Throws where the disk refuses.
 */
export function expireSegments(folder: string, expiry: Expiry): Expired {
  const segments: number[] = [];
  const problems: AuditProblem[] = [];
  for (let first = 0; first < expiry.activeFirst; first += SEGMENT_RECORDS) {
    const path = join(folder, segmentName(first));
    if (!existsSync(path)) continue;
    if (first + SEGMENT_RECORDS > expiry.signedSize) break;
    const bytes = readFileSync(path);
    const span = spanOf(bytes);
    // Segments are in order of time, give or take a step of the clock: the first that is young enough ends it.
    if (span.newest >= expiry.before) break;
    if (expiry.holds.some((hold) => isHeld(span, hold))) continue;
    const scan = scanSegment(bytes, first);
    const problem = isProblem(scan) ? scan : scan.problems[0];
    if (problem !== undefined || isProblem(scan)) {
      // Whoever damaged it would be glad if it went.
      if (problem !== undefined) problems.push(problem);
      continue;
    }
    keepLeaves(folder, first, scan.leaves);
    rmSync(path);
    syncFolder(folder);
    segments.push(first);
  }
  return { segments, problems };
}

const HOLDS = 'holds.json';

/** The holds of a folder. Throws where they cannot be read: nothing may expire then. */
export function readHolds(folder: string): readonly LegalHold[] {
  const path = join(folder, HOLDS);
  if (!existsSync(path)) return [];
  const holds = JSON.parse(readFileSync(path, 'utf8')) as readonly LegalHold[];
  return holds.map((hold) => ({ ...hold, until: hold.until ?? undefined }));
}

/** Replaces the holds; on disk when it returns. */
export function writeHolds(folder: string, holds: readonly LegalHold[]): void {
  const path = join(folder, HOLDS);
  writeFileSync(`${path}.new`, JSON.stringify(holds), { mode: 0o600, flush: true });
  renameSync(`${path}.new`, path);
  syncFolder(folder);
}

type Span = { readonly oldest: number; readonly newest: number };

function isHeld({ oldest, newest }: Span, { since, until }: LegalHold): boolean {
  return newest >= since && (until === undefined || oldest <= until);
}

// Clocks step: the span is over all records, not between the first and the last.
function spanOf(bytes: Buffer): Span {
  let oldest = Infinity;
  let newest = -Infinity;
  for (const line of linesOf(bytes, 0)) {
    const at = Date.parse(eventOf(line)?.time ?? '');
    if (Number.isNaN(at)) continue;
    oldest = Math.min(oldest, at);
    newest = Math.max(newest, at);
  }
  // Of a segment without a time that can be read nobody knows that it is old.
  return newest === -Infinity ? { oldest: -Infinity, newest: Infinity } : { oldest, newest };
}

function keepLeaves(folder: string, first: number, leaves: readonly string[]): void {
  const path = leavesPath(folder, first);
  writeFileSync(`${path}.new`, Buffer.from(leaves.join(''), 'hex'), { mode: 0o600, flush: true });
  renameSync(`${path}.new`, path);
  syncFolder(folder);
}
