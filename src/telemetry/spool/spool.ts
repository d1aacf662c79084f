import {
  closeSync,
  fdatasync,
  fdatasyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  write,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { compactSegment } from './compact-segment.ts';
import { type ClassCounts, decodeHeader, HEADER_BYTES, sumOf } from './frame.ts';
import { newSegment, nextMarkSync, type Segment } from './segment.ts';
import { type SpoolBatch, SpoolReader } from './spool-reader.ts';
import { RECORD_CLASSES } from './spooled-record.ts';

/** Options of `openSpool`. */
export type SpoolOptions = {
  readonly folder: string;
  readonly maxSegmentBytes: number;
  /** Beyond this records go, the oldest first: calls that went through, then errors, denials, and audited calls. */
  readonly maxBytes: number;
  /** Segments whose last record is older than this go whole. */
  readonly maxAgeMs: number;
  /** Numbers up to this one are known to be stored elsewhere. */
  readonly ackedSeq: number;
  /** Called with the records that had to go before they were acknowledged. */
  readonly onLost: (counts: Readonly<ClassCounts>) => void;
  /** Called when something in a file is not what was written. */
  readonly onDamaged: (file: string) => void;
};

/** A frame to be written; `bytes` stay the caller's and must not change before it is done. */
export type SpoolFrame = {
  readonly bytes: Buffer;
  readonly firstSeq: number;
  /** One less than `firstSeq` if it tells of no call. */
  readonly lastSeq: number;
  readonly untilMs: number;
};

const NAME = /^records-(\d{1,15})\.spool$/;
/** Of the format of before 0.2, which nothing reads any more. */
const OLD_NAME = /^records-\d{1,15}\.jsonl$/;
const DAMAGED_FILE = 'damaged.spool';

/** Opens the records kept in `folder`; a missing or unwritable one is empty until an append succeeds. */
export function openSpool(options: SpoolOptions): Spool {
  return new Spool(options);
}

/** Segments of frames on disk: written in order by one process, read by the shipper. */
class Spool {
  readonly #options: SpoolOptions;
  readonly #segments: Segment[] = [];
  readonly #reader: SpoolReader;
  #fd: number | undefined;
  #inFlight: { readonly bytes: Buffer; readonly position: number } | undefined;
  #lastSeq = 0;
  #floorSeq: number;
  #ackedSeq: number;
  #endedClosed = true;
  #isClosed = false;

  constructor(options: SpoolOptions) {
    this.#options = options;
    this.#ackedSeq = options.ackedSeq;
    this.#floorSeq = options.ackedSeq;
    this.#reader = new SpoolReader({
      segments: this.#segments,
      floorSeq: () => this.#floorSeq,
      onDamaged: (segment) => this.#noteDamaged(segment),
    });
    try {
      this.#scan();
    } catch {
      // Nothing readable there: records go to a new segment, and if that fails too, it is counted.
    }
  }

  /** The last number that any frame tells of. */
  get lastSeq(): number {
    return this.#lastSeq;
  }

  /** The start before this one wrote here and did not close. */
  get isAfterCrash(): boolean {
    return !this.#endedClosed;
  }

  get bytes(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.bytes, 0);
  }

  /** Writes a frame; the caller waits for one append before the next. */
  async append(frame: SpoolFrame): Promise<void> {
    const segment = this.#segmentFor(frame);
    const fd = this.#fd;
    if (fd === undefined) throw new Error('the spool is closed');
    this.#inFlight = { bytes: frame.bytes, position: segment.bytes };
    try {
      await writeFully(fd, frame.bytes, segment.bytes);
      segment.bytes += frame.bytes.length;
      segment.untilMs = frame.untilMs;
    } catch (error) {
      dropTornTail(fd, segment.bytes);
      throw error;
    } finally {
      this.#inFlight = undefined;
      if (this.#isClosed) closeSync(fd);
    }
    if (!this.#isClosed) await this.#shrink(frame.untilMs);
  }

  /** Asks the disk to keep what was written; what fails shows with the next write. */
  sync(): Promise<void> {
    const fd = this.#fd;
    if (fd === undefined || this.#isClosed) return Promise.resolve();
    return new Promise((resolve) => fdatasync(fd, () => resolve()));
  }

  /** Writes frames behind whatever is still being written, blocking, and closes. */
  closeSync(frames: readonly SpoolFrame[]): void {
    if (this.#isClosed) return;
    const inFlight = this.#inFlight;
    const [first] = frames;
    // Nothing here and nothing to say: a spool that was never used stays none.
    const isNeeded = this.#segments.length > 0 || frames.some((one) => one.lastSeq >= one.firstSeq);
    if (!isNeeded || first === undefined) return;
    const segment = inFlight === undefined ? this.#segmentFor(first) : this.#segments.at(-1);
    this.#isClosed = true;
    const fd = this.#fd;
    if (fd === undefined || segment === undefined) return;
    let position = segment.bytes;
    if (inFlight !== undefined) {
      // Positioned writes: the same bytes at the same place twice do no harm, whoever comes first.
      position = inFlight.position + inFlight.bytes.length;
      writeFullySync(fd, inFlight.bytes, inFlight.position);
    }
    for (const { bytes } of frames) {
      writeFullySync(fd, bytes, position);
      position += bytes.length;
    }
    fdatasyncSync(fd);
    // With a write in flight its completion closes: the number must not be used anew under it.
    if (inFlight === undefined) closeSync(fd);
  }

  /** Whole frames after `seq`, oldest first, until there are `limit` records. */
  readAfter(seq: number, limit: number): Promise<SpoolBatch> {
    return this.#reader.readAfter(seq, limit);
  }

  /** Deletes segments that tell of nothing after `seq`. */
  acknowledge(seq: number): void {
    this.#ackedSeq = Math.max(this.#ackedSeq, seq);
    for (;;) {
      const [oldest, next] = this.#segments;
      if (oldest === undefined || next === undefined || next.firstSeq > this.#ackedSeq + 1) return;
      this.#remove(oldest);
    }
  }

  #segmentFor({ firstSeq, untilMs }: SpoolFrame): Segment {
    const current = this.#segments.at(-1);
    const isFull = current !== undefined && current.bytes >= this.#options.maxSegmentBytes;
    if (this.#fd !== undefined && current !== undefined) {
      if (!isFull) return current;
      closeSync(this.#fd);
      this.#fd = undefined;
    }
    if (current !== undefined && !isFull) {
      this.#fd = openSync(current.path, 'r+');
      return current;
    }
    mkdirSync(this.#options.folder, { recursive: true, mode: 0o700 });
    const path = join(this.#options.folder, `records-${firstSeq}.spool`);
    this.#fd = openSync(path, 'w', 0o600);
    const segment = newSegment(firstSeq, path, untilMs);
    this.#segments.push(segment);
    return segment;
  }

  /** Keeps to the bounds of size and age; the segment that is written to is left alone. */
  async #shrink(nowMs: number): Promise<void> {
    const { maxBytes, maxAgeMs } = this.#options;
    while (this.bytes > maxBytes && this.#segments.length > 1) {
      const older = this.#segments.slice(0, -1);
      const level = Math.min(...older.map((segment) => segment.level));
      const victim = RECORD_CLASSES[level];
      const segment = older.find((one) => one.level === level);
      if (segment === undefined) return;
      if (victim === undefined) this.#remove(segment);
      else this.#tellLost(await compactSegment(segment, [victim], this.#ackedSeq));
    }
    for (const segment of this.#segments.slice(0, -1)) {
      if (nowMs - segment.untilMs <= maxAgeMs) return;
      const left = RECORD_CLASSES.slice(segment.level);
      // What is left is an account of what was there.
      if (left.length > 0) this.#tellLost(await compactSegment(segment, left, this.#ackedSeq));
    }
  }

  #remove(segment: Segment): void {
    const index = this.#segments.indexOf(segment);
    if (index < 0) return;
    this.#segments.splice(index, 1);
    try {
      // What was damaged is worth a look: the last such file stays.
      if (segment.isDamaged) renameSync(segment.path, join(this.#options.folder, DAMAGED_FILE));
      else rmSync(segment.path, { force: true });
    } catch {
      // On a disk that cannot be written it stays, and is found again by the next start.
    }
  }

  #noteDamaged(segment: Segment): void {
    if (segment.isDamaged) return;
    segment.isDamaged = true;
    this.#options.onDamaged(segment.path);
  }

  #tellLost(counts: Readonly<ClassCounts>): void {
    if (sumOf(counts) > 0) this.#options.onLost(counts);
  }

  #scan(): void {
    const { folder } = this.#options;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    for (const name of readdirSync(folder)) {
      const path = join(folder, name);
      const firstSeq = NAME.exec(name)?.[1];
      if (firstSeq === undefined) {
        if (OLD_NAME.test(name) || name.endsWith('.tmp')) rmSync(path, { force: true });
        continue;
      }
      const { size, mtimeMs } = statSync(path);
      this.#segments.push({ ...newSegment(Number(firstSeq), path, mtimeMs), bytes: size });
    }
    this.#segments.sort((a, b) => a.firstSeq - b.firstSeq);
    const [first] = this.#segments;
    const last = this.#segments.at(-1);
    if (first !== undefined) this.#floorSeq = Math.max(this.#floorSeq, first.firstSeq - 1);
    if (last !== undefined) this.#findEnd(last);
  }

  /** Walks the headers of the newest segment; what a crash left behind its last whole frame does not count. */
  #findEnd(segment: Segment): void {
    const fd = openSync(segment.path, 'r');
    const size = segment.bytes;
    this.#lastSeq = segment.firstSeq - 1;
    this.#endedClosed = false;
    let at = 0;
    try {
      const header = Buffer.alloc(HEADER_BYTES);
      while (at < size) {
        const start = decodeHeader(header.subarray(0, readSync(fd, header, 0, HEADER_BYTES, at)));
        // Damage in the middle is the reader's to tell; the frames behind it are worth keeping.
        if (start.kind === 'damaged') at = nextMarkSync(fd, at + 1, size);
        else {
          this.#lastSeq = Math.max(this.#lastSeq, start.header.lastSeq);
          const next = at + HEADER_BYTES + start.header.bytes;
          this.#endedClosed = start.header.isClosing && next <= size;
          if (next > size) break;
          at = next;
        }
      }
    } finally {
      closeSync(fd);
    }
    segment.bytes = Math.min(at, size);
    if (segment.bytes < size) cutOff(segment.path, segment.bytes);
  }
}

export type { Spool };

function cutOff(path: string, bytes: number): void {
  try {
    truncateSync(path, bytes);
  } catch {
    // The next append overwrites it, and nobody reads beyond what was written for certain.
  }
}

function dropTornTail(fd: number, bytes: number): void {
  try {
    ftruncateSync(fd, bytes);
  } catch {
    // The next append overwrites it; a start that finds it sees that it is torn.
  }
}

async function writeFully(fd: number, bytes: Buffer, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    done += await writeSome(fd, bytes.subarray(done), position + done);
  }
}

function writeSome(fd: number, bytes: Buffer, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    write(fd, bytes, 0, bytes.length, position, (error, written) =>
      error === null ? resolve(written) : reject(error),
    );
  });
}

function writeFullySync(fd: number, bytes: Buffer, position: number): void {
  for (let done = 0; done < bytes.length; ) {
    done += writeSync(fd, bytes, done, bytes.length - done, position + done);
  }
}
