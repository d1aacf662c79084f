import { hash } from 'node:crypto';
import { TAIL_BYTES } from './event.ts';
import { rootOfLeaves } from './tree.ts';

/** Records in a full segment: a power of two, so that each is one perfect subtree of the log's tree. */
export const SEGMENT_RECORDS = 8_192;

/** Something wrong in a log, and at which record. */
export type AuditProblem = { readonly index: number; readonly message: string };

/** What a segment's bytes say. */
export type SegmentScan = {
  readonly first: number;
  /** Hash of the record before the segment's first, as its header says. */
  readonly previous: string;
  /** One hash a record, in order. */
  readonly leaves: readonly string[];
  /** Where each record's line begins. */
  readonly offsets: readonly number[];
  /** Where what can be read ends. */
  readonly end: number;
  readonly problems: readonly AuditProblem[];
};

/** The file of the segment whose first record is `first`. */
export function segmentName(first: number): string {
  return `segment-${String(first).padStart(12, '0')}.jsonl`;
}

/** The first record's index of a file of that name; undefined if it is no segment. */
export function segmentOfName(name: string): number | undefined {
  const digits = /^segment-(\d{12})\.jsonl$/.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** The first line of a segment, which ends as records do: so the first record's hash is over what comes before it too. */
export function headerOf(first: number, previous: string): string {
  return `{"format":1,"first":${first},"hash":"${previous}"}\n`;
}

const LINE_FEED = 10;

/**
 * Reads a segment and checks each record against the one before. Damage is isolated: one bad record does not spoil those
 * after it, whose hashes vouch for the hash it had. Returns what is wrong where not even the header can be read.
 */
export function scanSegment(bytes: Buffer, first: number): SegmentScan | AuditProblem {
  const headerEnd = bytes.indexOf(LINE_FEED);
  const previous = headerEnd < TAIL_BYTES ? undefined : hashEndingAt(bytes, headerEnd + 1);
  const isHeader = bytes.toString('latin1', 0, headerEnd + 1) === headerOf(first, previous ?? '');
  if (previous === undefined || !isHeader) {
    return { index: first, message: 'the first line of its segment is damaged' };
  }
  return new Scanner(bytes, first, previous).scan(headerEnd + 1);
}

/** Whether a scan could not even begin. */
export function isProblem(scan: SegmentScan | AuditProblem): scan is AuditProblem {
  return 'message' in scan;
}

/** What stays of a full segment for ever: enough to go on with the chain and the tree without its records. */
export type SegmentDigest = {
  readonly first: number;
  readonly count: number;
  readonly previous: string;
  readonly last: string;
  readonly root: string;
};

/** The digest of what was read. */
export function digestOf(scan: SegmentScan): SegmentDigest {
  const { first, previous, leaves } = scan;
  const last = leaves.at(-1) ?? previous;
  return { first, count: leaves.length, previous, last, root: rootOfLeaves(leaves) };
}

class Scanner {
  readonly #bytes: Buffer;
  readonly #first: number;
  readonly #previous: string;
  readonly #leaves: string[] = [];
  readonly #offsets: number[] = [];
  readonly #problems: AuditProblem[] = [];
  /** What the record before should hash to where its own hash is in doubt. */
  #doubted: string | undefined;

  constructor(bytes: Buffer, first: number, previous: string) {
    this.#bytes = bytes;
    this.#first = first;
    this.#previous = previous;
  }

  scan(from: number): SegmentScan {
    let start = from;
    for (;;) {
      const end = this.#bytes.indexOf(LINE_FEED, start) + 1;
      if (end === 0) break;
      this.#take(start, end);
      start = end;
    }
    if (start < this.#bytes.length) this.#report('the line is cut off');
    return {
      first: this.#first,
      previous: this.#previous,
      leaves: this.#leaves,
      offsets: this.#offsets,
      end: start,
      problems: this.#problems,
    };
  }

  #take(start: number, end: number): void {
    const hashAt = Math.max(end - TAIL_BYTES, start);
    const made = hashOver(this.#bytes, start - TAIL_BYTES, hashAt);
    const isGood =
      this.#bytes.toString('latin1', hashAt, hashAt + 64) === made &&
      hasEnd(this.#bytes, end) &&
      startsWithIndex(this.#bytes, start, this.#first + this.#leaves.length);
    const written = isGood ? made : hashEndingAt(this.#bytes, end);
    if (isGood) {
      this.#doubted = undefined;
    } else if (!this.#isAfterDoubt(start, hashAt, written)) {
      this.#report('the record is not what was logged');
      this.#doubted = made;
    }
    this.#offsets.push(start);
    this.#leaves.push(written ?? made);
  }

  // Of the record before, was it the text or the hash that changed? This one's hash tells.
  #isAfterDoubt(start: number, hashAt: number, written: string | undefined): boolean {
    if (this.#doubted === undefined || written === undefined) return false;
    const was = Buffer.from(this.#bytes.subarray(start - TAIL_BYTES, hashAt));
    was.write(this.#doubted, 0, 'latin1');
    was.write('"}\n', 64, 'latin1');
    if (hash('sha256', Buffer.concat([Buffer.of(0), was]), 'hex') !== written) return false;
    this.#leaves[this.#leaves.length - 1] = this.#doubted;
    this.#doubted = undefined;
    return true;
  }

  #report(message: string): void {
    this.#problems.push({ index: this.#first + this.#leaves.length, message });
  }
}

// The byte before the hash is a quote; the leaf's domain byte takes its place for a moment, which saves a copy.
function hashOver(bytes: Buffer, hashAt: number, end: number): string {
  const quote = bytes[hashAt - 1] ?? 0;
  bytes[hashAt - 1] = 0;
  const digest = hash('sha256', bytes.subarray(hashAt - 1, end), 'hex');
  bytes[hashAt - 1] = quote;
  return digest;
}

function hashEndingAt(bytes: Buffer, end: number): string | undefined {
  const digest = bytes.toString('latin1', end - TAIL_BYTES, end - TAIL_BYTES + 64);
  return hasEnd(bytes, end) && /^[0-9a-f]{64}$/.test(digest) ? digest : undefined;
}

function hasEnd(bytes: Buffer, end: number): boolean {
  return bytes[end - 2] === 0x7d && bytes[end - 3] === 0x22;
}

function startsWithIndex(bytes: Buffer, start: number, index: number): boolean {
  const wanted = `{"index":${index},`;
  return bytes.toString('latin1', start, start + wanted.length) === wanted;
}
