import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  write,
  writeSync,
} from 'node:fs';
import { open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readRecordLine, type SpooledRecord } from './spooled-record.ts';

/** Options of `openSpool`. */
export type SpoolOptions = {
  readonly folder: string;
  readonly maxSegmentBytes: number;
  /** Beyond this the oldest records go: first those of allowed calls, then denials. */
  readonly maxBytes: number;
  /** Called with the number of unacknowledged records that had to go. */
  readonly onLost: (count: number) => void;
};

/** `file` is named by the first seq it may hold. */
type Segment = {
  readonly firstSeq: number;
  readonly path: string;
  bytes: number;
  isCompacted: boolean;
};

const READ_CHUNK_BYTES = 256 * 1024;
const LINE_FEED = 0x0a;

/** Opens the records kept in `folder`; a missing or unwritable one is empty until an append succeeds. */
export function openSpool(options: SpoolOptions): Spool {
  return new Spool(options);
}

/** Segments of record lines on disk: written in order by one process, read by the shipper. */
class Spool {
  readonly #options: SpoolOptions;
  readonly #segments: Segment[] = [];
  #fd: number | undefined;
  #inFlight: { bytes: Buffer; position: number } | undefined;
  #lastSeq = 0;
  #ackedSeq = 0;
  #cursor: { readonly seq: number; readonly segment: Segment; readonly offset: number } | undefined;
  #isClosed = false;

  constructor(options: SpoolOptions) {
    this.#options = options;
    try {
      this.#scan();
    } catch {
      // Nothing readable there: records go to a new segment, and if that fails too, it is counted.
    }
  }

  lastSeq(): number {
    return this.#lastSeq;
  }

  /** Writes whole lines whose first seq is `firstSeq`; the caller waits for one append before the next. */
  async append(bytes: Buffer, firstSeq: number): Promise<void> {
    const segment = this.#segmentFor(firstSeq);
    const fd = this.#fd;
    if (fd === undefined) throw new Error('the spool is closed');
    this.#inFlight = { bytes, position: segment.bytes };
    try {
      await writeFully(fd, bytes, segment.bytes);
      segment.bytes += bytes.length;
    } catch (error) {
      this.#dropTornTail(fd, segment.bytes);
      throw error;
    } finally {
      this.#inFlight = undefined;
      if (this.#isClosed) closeSync(fd);
    }
    if (!this.#isClosed) await this.#shrink();
  }

  /** Writes `rest` behind whatever is still being written, blocking, and closes. */
  closeSync(rest: Buffer, firstSeq: number): void {
    if (this.#isClosed) return;
    const inFlight = this.#inFlight;
    const segment =
      rest.length > 0 && inFlight === undefined ? this.#segmentFor(firstSeq) : this.#current();
    this.#isClosed = true;
    const fd = this.#fd;
    if (fd === undefined || segment === undefined) return;
    let position = segment.bytes;
    if (inFlight !== undefined) {
      // Positioned writes: the same bytes at the same place twice do no harm, whoever comes first.
      position = inFlight.position + inFlight.bytes.length;
      writeFullySync(fd, inFlight.bytes, inFlight.position);
    }
    writeFullySync(fd, rest, position);
    // With a write in flight its completion closes: the number must not be used anew under it.
    if (inFlight === undefined) closeSync(fd);
  }

  /** Complete lines after `seq`, at most `limit`, oldest first. */
  async readAfter(seq: number, limit: number): Promise<readonly SpooledRecord[]> {
    const found: SpooledRecord[] = [];
    let { segment, offset } = this.#positionAfter(seq);
    let last = seq;
    let wasCompacted = segment?.isCompacted;
    while (segment !== undefined && found.length < limit) {
      // Offsets into the file as it was before a compaction mean nothing any more.
      if (segment.isCompacted !== wasCompacted) offset = 0;
      wasCompacted = segment.isCompacted;
      const chunk = await readChunk(segment, offset);
      const taken = takeLines(chunk, { after: last, limit: limit - found.length, into: found });
      offset += taken;
      last = found.at(-1)?.seq ?? last;
      if (taken > 0) continue;
      const next = this.#segments[this.#segments.indexOf(segment) + 1];
      if (next === undefined) break;
      segment = next;
      wasCompacted = next.isCompacted;
      offset = 0;
    }
    if (segment !== undefined && this.#segments.includes(segment)) {
      this.#cursor = { seq: last, segment, offset };
    }
    return found;
  }

  /** Deletes segments that hold nothing after `seq`. */
  acknowledge(seq: number): void {
    this.#ackedSeq = Math.max(this.#ackedSeq, seq);
    for (;;) {
      const [oldest, next] = this.#segments;
      if (oldest === undefined || next === undefined || next.firstSeq > this.#ackedSeq + 1) return;
      this.#segments.shift();
      rmSync(oldest.path, { force: true });
    }
  }

  #current(): Segment | undefined {
    return this.#segments.at(-1);
  }

  #segmentFor(firstSeq: number): Segment {
    const current = this.#current();
    if (this.#fd !== undefined && current !== undefined) {
      if (current.bytes < this.#options.maxSegmentBytes) return current;
      closeSync(this.#fd);
      this.#fd = undefined;
    }
    if (current !== undefined && current.bytes < this.#options.maxSegmentBytes) {
      this.#fd = openSync(current.path, 'r+');
      return current;
    }
    mkdirSync(this.#options.folder, { recursive: true, mode: 0o700 });
    const path = join(this.#options.folder, `records-${firstSeq}.jsonl`);
    this.#fd = openSync(path, 'w', 0o600);
    const segment = { firstSeq, path, bytes: 0, isCompacted: false };
    this.#segments.push(segment);
    return segment;
  }

  #positionAfter(seq: number): { segment: Segment | undefined; offset: number } {
    const cursor = this.#cursor;
    if (cursor !== undefined && cursor.seq === seq && this.#segments.includes(cursor.segment)) {
      return cursor;
    }
    const holds = this.#segments.findLast((segment) => segment.firstSeq <= seq + 1);
    return { segment: holds ?? this.#segments[0], offset: 0 };
  }

  #dropTornTail(fd: number, bytes: number): void {
    try {
      ftruncateSync(fd, bytes);
    } catch {
      // The next append overwrites it; a reader skips a torn line.
    }
  }

  async #shrink(): Promise<void> {
    let total = this.#segments.reduce((sum, segment) => sum + segment.bytes, 0);
    while (total > this.#options.maxBytes && this.#segments.length > 1) {
      const older = this.#segments.slice(0, -1);
      const victim = older.find((segment) => !segment.isCompacted) ?? older[0];
      if (victim === undefined) return;
      const before = victim.bytes;
      await (victim.isCompacted ? this.#remove(victim) : this.#compact(victim));
      total -= before - (this.#segments.includes(victim) ? victim.bytes : 0);
    }
  }

  /** Rewrites a segment with its denials and errors alone. */
  async #compact(segment: Segment): Promise<void> {
    const lines = linesOf(await readFile(segment.path));
    const kept = lines.filter((line) => line.class !== 'success');
    if (this.#cursor?.segment === segment) this.#cursor = undefined;
    const text = Buffer.concat(kept.flatMap((line) => [line.json, Buffer.of(LINE_FEED)]));
    await writeFile(`${segment.path}.tmp`, text, { mode: 0o600 });
    await rename(`${segment.path}.tmp`, segment.path);
    segment.bytes = text.length;
    segment.isCompacted = true;
    this.#tellLost(lines.filter((line) => line.class === 'success'));
  }

  async #remove(segment: Segment): Promise<void> {
    const lines = linesOf(await readFile(segment.path));
    this.#segments.splice(this.#segments.indexOf(segment), 1);
    await rm(segment.path, { force: true });
    this.#tellLost(lines);
  }

  #tellLost(lines: readonly SpooledRecord[]): void {
    const lost = lines.filter((line) => line.seq > this.#ackedSeq).length;
    if (lost > 0) this.#options.onLost(lost);
  }

  #scan(): void {
    const { folder } = this.#options;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    for (const name of readdirSync(folder)) {
      const firstSeq = /^records-(\d{1,15})\.jsonl$/.exec(name)?.[1];
      if (firstSeq === undefined) continue;
      const path = join(folder, name);
      this.#segments.push({ firstSeq: Number(firstSeq), path, bytes: 0, isCompacted: false });
    }
    this.#segments.sort((a, b) => a.firstSeq - b.firstSeq);
    for (const segment of this.#segments) this.#measure(segment);
  }

  /** Finds the end of a segment's last complete line and cuts off what a crash left behind it. */
  #measure(segment: Segment): void {
    const content = readFileSync(segment.path);
    segment.bytes = content.lastIndexOf(LINE_FEED) + 1;
    if (segment.bytes < content.length) truncateSync(segment.path, segment.bytes);
    const lastLine = content.subarray(
      content.lastIndexOf(LINE_FEED, Math.max(0, segment.bytes - 2)) + 1,
      Math.max(0, segment.bytes - 1),
    );
    const seq = readRecordLine(lastLine)?.seq ?? segment.firstSeq - 1;
    this.#lastSeq = Math.max(this.#lastSeq, seq);
  }
}

export type { Spool };

function linesOf(content: Buffer): SpooledRecord[] {
  const found: SpooledRecord[] = [];
  takeLines(content, { after: -1, limit: Number.POSITIVE_INFINITY, into: found });
  return found;
}

/** Moves complete lines with a seq beyond `after` into `into`; returns how many bytes were passed over. */
function takeLines(
  chunk: Buffer,
  options: { readonly after: number; readonly limit: number; readonly into: SpooledRecord[] },
): number {
  let start = 0;
  let taken = 0;
  while (taken < options.limit) {
    const end = chunk.indexOf(LINE_FEED, start);
    if (end < 0) break;
    const record = readRecordLine(chunk.subarray(start, end));
    start = end + 1;
    if (record === undefined || record.seq <= options.after) continue;
    options.into.push(record);
    taken++;
  }
  return start;
}

async function readChunk(segment: Segment, offset: number): Promise<Buffer> {
  // Only what has been written for certain: the rest may still be on its way.
  const length = Math.min(READ_CHUNK_BYTES, segment.bytes - offset);
  if (length <= 0) return Buffer.alloc(0);
  const file = await open(segment.path, 'r').catch(() => undefined);
  // Gone meanwhile: the bound or an acknowledgement took it.
  if (file === undefined) return Buffer.alloc(0);
  try {
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(length), 0, length, offset);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
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
