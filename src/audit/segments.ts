import { randomUUID } from 'node:crypto';
import {
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { FIRST_PREVIOUS } from './event.ts';
import {
  type AuditProblem,
  digestOf,
  headerOf,
  isProblem,
  SEGMENT_RECORDS,
  type SegmentDigest,
  scanSegment,
  segmentName,
  segmentOfName,
} from './segment.ts';

/** A log's folder as it was found, ready to go on from. */
export type OpenedSegments = {
  /** Of the full segments, oldest first. */
  readonly digests: SegmentDigest[];
  /** The segment that is being written; its first index is that after the last full one. */
  readonly active: ActiveSegment;
  /** What was found damaged at the end and set aside, so that the log could go on. */
  readonly setAside: readonly AuditProblem[];
};

/** The segment at the end. */
export type ActiveSegment = {
  readonly fd: number;
  readonly first: number;
  readonly previous: string;
  readonly leaves: string[];
  /** Where each record begins in the file. */
  readonly offsets: number[];
  /** Bytes of the file that count. */
  length: number;
};

const DIGESTS = 'digests.jsonl';
const DAMAGED = 'damaged';

/** The folder's digests of full segments; those that cannot be read are made again from the segments. */
export function readDigests(folder: string): Map<number, SegmentDigest> {
  const path = join(folder, DIGESTS);
  const digests = new Map<number, SegmentDigest>();
  if (!existsSync(path)) return digests;
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    const digest = parseDigest(line);
    if (digest !== undefined) digests.set(digest.first, digest);
  }
  return digests;
}

/** The first indexes of all segments that have a file, ascending. */
export function segmentsIn(folder: string): number[] {
  return readdirSync(folder)
    .flatMap((name) => segmentOfName(name) ?? [])
    .toSorted((a, b) => a - b);
}

/** Where the leaves of a segment lie whose records have been deleted: 32 bytes each. */
export function leavesPath(folder: string, first: number): string {
  return join(folder, segmentName(first).replace(/jsonl$/, 'leaves'));
}

/** What was kept of a segment whose records have been deleted: its leaves; undefined where nothing was. */
export function keptLeaves(folder: string, first: number): readonly string[] | undefined {
  const kept = leavesPath(folder, first);
  if (!existsSync(kept)) return undefined;
  const hex = readFileSync(kept).toString('hex');
  return Array.from({ length: Math.floor(hex.length / 64) }, (_, i) =>
    hex.slice(i * 64, i * 64 + 64),
  );
}

/**
 * Opens (on first use: makes) a log's folder with mode 0700. What a crash left half-written at the end, never
 * acknowledged, is moved to `damaged/`; so is what rotted there, unless a signed checkpoint of `trustedSize` records
 * covers it: then it stays, and verifying names it. Throws where the disk refuses.
 */
export function openSegments(options: {
  readonly folder: string;
  readonly trustedSize: number;
}): OpenedSegments {
  const { folder } = options;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const known = readDigests(folder);
  const present = segmentsIn(folder);
  const newest = Math.max(0, ...present, ...known.keys());
  const digests: SegmentDigest[] = [];
  for (let first = 0; first < newest; first += SEGMENT_RECORDS) {
    digests.push(known.get(first) ?? digestFromFile(folder, first, digests.at(-1)));
  }
  const newestKnown = known.get(newest);
  if (newestKnown !== undefined) digests.push(newestKnown);
  const setAside: AuditProblem[] = [];
  const active = openActive({ ...options, digests, first: nextOf(digests).first, setAside });
  if (active.leaves.length < SEGMENT_RECORDS) return { digests, active, setAside };
  const digest = digestOf({ ...active, end: active.length, problems: [] });
  sealSegment(folder, digest);
  digests.push(digest);
  const next = createSegment(folder, nextOf(digests));
  closeSync(active.fd);
  return { digests, active: next, setAside };
}

/** Puts the digest of a full segment on disk. */
export function sealSegment(folder: string, digest: SegmentDigest): void {
  const fd = openSync(join(folder, DIGESTS), 'a', 0o600);
  try {
    // What a full disk cut off stays a line of its own, which says nothing.
    writeFileSync(fd, `\n${JSON.stringify(digest)}\n`);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Begins the segment after `before`, header on disk. */
export function createSegment(
  folder: string,
  { first, previous }: { readonly first: number; readonly previous: string },
): ActiveSegment {
  const header = headerOf(first, previous);
  const path = join(folder, segmentName(first));
  const { O_APPEND, O_CREAT, O_TRUNC, O_WRONLY } = constants;
  const fd = openSync(`${path}.new`, O_APPEND | O_CREAT | O_TRUNC | O_WRONLY, 0o600);
  try {
    writeFileSync(fd, header);
    fsyncSync(fd);
    // INVARIANT: a segment has its name only once its first line is on disk.
    renameSync(`${path}.new`, path);
    syncFolder(folder);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return { fd, first, previous, leaves: [], offsets: [], length: Buffer.byteLength(header) };
}

/** Where the segment after the last full one begins. */
export function nextOf(digests: readonly SegmentDigest[]): { first: number; previous: string } {
  const last = digests.at(-1);
  return last === undefined
    ? { first: 0, previous: FIRST_PREVIOUS }
    : { first: last.first + last.count, previous: last.last };
}

/** Makes what was created, renamed or deleted in a folder survive a crash of the machine. */
export function syncFolder(folder: string): void {
  const fd = openSync(folder, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function openActive(options: {
  readonly folder: string;
  readonly trustedSize: number;
  readonly digests: readonly SegmentDigest[];
  readonly first: number;
  readonly setAside: AuditProblem[];
}): ActiveSegment {
  const { folder, digests, first, setAside } = options;
  const path = join(folder, segmentName(first));
  if (!existsSync(path)) return createSegment(folder, nextOf(digests));
  const bytes = readFileSync(path);
  const scan = scanSegment(bytes, first);
  if (isProblem(scan)) {
    setAside.push(scan);
    keepDamaged(folder, segmentName(first), bytes);
    return createSegment(folder, nextOf(digests));
  }
  const { leaves, offsets, previous } = scan;
  const keep = keptRecords(scan, options.trustedSize);
  const length = offsets[keep] ?? scan.end;
  if (length < bytes.length) {
    const problem = scan.problems.find(({ index }) => index >= first + keep);
    setAside.push(problem ?? { index: first + keep, message: 'the line is cut off' });
    keepDamaged(folder, segmentName(first), bytes.subarray(length));
  }
  const fd = openSync(path, 'r+');
  ftruncateSync(fd, length);
  fsyncSync(fd);
  closeSync(fd);
  return {
    fd: openSync(path, 'a'),
    first,
    previous,
    leaves: leaves.slice(0, keep),
    offsets: offsets.slice(0, keep),
    length,
  };
}

/**
 * How many records of the last segment stay. Damage that good records follow is not a torn end: it stays where it is.
 */
function keptRecords(
  scan: {
    readonly first: number;
    readonly leaves: readonly string[];
    readonly problems: readonly AuditProblem[];
  },
  trustedSize: number,
): number {
  const bad = new Set(scan.problems.map(({ index }) => index - scan.first));
  let keep = scan.leaves.length;
  while (keep > 0 && bad.has(keep - 1) && scan.first + keep > trustedSize) keep -= 1;
  return keep;
}

function keepDamaged(folder: string, name: string, bytes: Uint8Array): void {
  const aside = join(folder, DAMAGED);
  mkdirSync(aside, { recursive: true, mode: 0o700 });
  writeFileSync(join(aside, `${name}.tail.${randomUUID()}`), bytes, { mode: 0o600, flush: true });
}

function digestFromFile(
  folder: string,
  first: number,
  before: SegmentDigest | undefined,
): SegmentDigest {
  const path = join(folder, segmentName(first));
  const scan = existsSync(path) ? scanSegment(readFileSync(path), first) : undefined;
  if (scan !== undefined && !isProblem(scan) && scan.leaves.length === SEGMENT_RECORDS) {
    return digestOf(scan);
  }
  const previous = before?.last ?? FIRST_PREVIOUS;
  const leaves = existsSync(path) ? undefined : keptLeaves(folder, first);
  if (leaves?.length === SEGMENT_RECORDS) {
    return digestOf({ first, previous, leaves, offsets: [], end: 0, problems: [] });
  }
  // The log goes on all the same; verifying says what is missing, since no root is of nothing.
  return { first, count: SEGMENT_RECORDS, previous, last: previous, root: FIRST_PREVIOUS };
}

function parseDigest(line: string): SegmentDigest | undefined {
  try {
    const digest = JSON.parse(line) as SegmentDigest;
    const isDigest = [digest.previous, digest.last, digest.root].every((each) =>
      /^[0-9a-f]{64}$/.test(each),
    );
    const isAligned = digest.first % SEGMENT_RECORDS === 0 && digest.first >= 0;
    return isDigest && isAligned && digest.count === SEGMENT_RECORDS ? digest : undefined;
  } catch {
    // A line cut off by a crash, or rotten: the segment itself says what it said.
    return undefined;
  }
}
