import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { encodeFrame } from './frame.ts';
import {
  count,
  emptySegment,
  openSegment,
  type ReadFrame,
  readFrame,
  type Segment,
  thinSegment,
} from './segment.ts';

/** One thing that waits; `line` holds no newline. */
export type QueueEntry = { readonly position: number; readonly line: string };

/** Where a reader stands: so many items into the frame at `offset`, and so many into the segment. */
export type Place = {
  readonly segment: number;
  readonly offset: number;
  readonly index: number;
  readonly passed: number;
};

/** Lines in the order they came in, and where to go on after them. */
export type QueueBatch = { readonly lines: readonly string[]; readonly after: Place };

/** Why something that waited never left. */
export type LossReason = 'full' | 'expired' | 'disk' | 'damaged';

/** What waits, and what was lost since the process started. */
export type QueueState = {
  readonly items: number;
  readonly bytes: number;
  /** When the oldest was written; undefined where nothing waits. */
  readonly oldestAt: number | undefined;
  readonly lost: Readonly<Record<LossReason, number>>;
};

/**
 * A bounded first-in first-out queue on disk. It survives the end of the process, not that of the power: its sources
 * keep what they gave, and give it again from `position` on.
 */
export type Queue = {
  /** Position of the last item that was taken in; -1 before the first. */
  readonly position: () => number;
  /** Everything up to `position` was taken in or is not wanted; on disk with the next `tend`. */
  readonly startAt: (position: number) => void;
  readonly append: (entries: readonly QueueEntry[]) => void;
  /** Up to `maxItems` lines from the reader's place on, or undefined; does not move it. */
  readonly read: (maxItems: number) => QueueBatch | undefined;
  /** Moves the reader's place, durably. */
  readonly advance: (place: Place) => void;
  /** Writes what is in memory, and drops what is beyond the bounds. */
  readonly tend: () => void;
  readonly state: () => QueueState;
  readonly close: () => void;
};

/** Bounds and place of a queue. */
export type QueueOptions = {
  readonly folder: string;
  readonly maxBytes: number;
  readonly maxAgeMs: number;
  readonly clock: () => number;
  /** Which lines go first when there are too many bytes; without it the oldest do. */
  readonly isSpare?: (line: string) => boolean;
};

const SEGMENT_BYTES = 1024 * 1024;
const FRAME_CHARS = 256 * 1024;
// With the disk full, so much waits in memory.
const MAX_PENDING_CHARS = 8 * 1024 * 1024;
const BATCH_CHARS = 1024 * 1024;

/** Opens a queue, making its folder where there is none. Throws where the folder cannot be read. */
export function openQueue(options: QueueOptions): Queue {
  return new DiskQueue(options);
}

type HeldFrame = {
  readonly kind: 'frame';
  readonly segment: number;
  readonly offset: number;
  readonly lines: readonly string[];
  readonly bytes: number;
  /** When it was written; Unix milliseconds. */
  readonly at: number;
};

class DiskQueue implements Queue {
  readonly #options: QueueOptions;
  readonly #segments: Segment[];
  readonly #lost = { full: 0, expired: 0, disk: 0, damaged: 0 };
  #place: Place;
  /** Of the last item on disk, and of the last one that was taken in or left out. */
  #position: number;
  #seen: number;
  #pending: QueueEntry[] = [];
  #pendingChars = 0;
  #isStuck = false;
  #tail: number | undefined;
  /** The frame last read, since a batch seldom ends with one. */
  #frame: HeldFrame | undefined;
  /** When what stands at a place was written, once it was read: its segment only knows of its newest. */
  #oldest: { readonly place: Place; readonly at: number } | undefined;

  constructor(options: QueueOptions) {
    this.#options = options;
    mkdirSync(options.folder, { recursive: true, mode: 0o700 });
    this.#segments = openSegments(options.folder);
    const kept = readCursor(join(options.folder, 'cursor.json'));
    const first = this.#segments[0]?.number ?? 0;
    const start = { segment: first, offset: 0, index: 0, passed: 0 };
    // A cursor that was lost means that some things leave twice, with the ids they had.
    this.#place = kept !== undefined && kept.place.segment >= first ? kept.place : start;
    this.#position = Math.max(
      kept?.position ?? -1,
      ...this.#segments.map(({ position }) => position),
    );
    this.#seen = this.#position;
    this.#forget();
  }

  position(): number {
    return Math.max(this.#seen, this.#pending.at(-1)?.position ?? this.#position);
  }

  startAt(position: number): void {
    this.#seen = Math.max(this.#seen, position);
  }

  append(entries: readonly QueueEntry[]): void {
    for (const entry of entries) {
      this.#pending.push(entry);
      this.#pendingChars += entry.line.length;
      if (this.#pendingChars < FRAME_CHARS) continue;
      // A disk that took nothing a moment ago is tried again by `tend`.
      if (this.#isStuck) this.#shedPending();
      else this.#flush();
    }
  }

  read(maxItems: number): QueueBatch | undefined {
    const lines: string[] = [];
    let chars = 0;
    let place = this.#place;
    while (lines.length < maxItems && chars < BATCH_CHARS) {
      const frame = this.#frameAt(place);
      if (frame === 'end') {
        const next = this.#following(place);
        if (next === undefined) break;
        place = next;
        continue;
      }
      if (frame.kind === 'damaged') {
        // First what stands before it has to leave: only then does the durable place move on past it.
        if (lines.length > 0) break;
        this.#lost.damaged += frame.items;
        const { segment, passed } = place;
        place = { segment, offset: frame.next, index: 0, passed: passed + frame.items };
        this.#place = place;
        continue;
      }
      if (lines.length === 0) this.#oldest = { place: this.#place, at: frame.at };
      const from = place.index;
      const taken = frame.lines.slice(from, from + maxItems - lines.length);
      for (const line of taken) {
        lines.push(line);
        chars += line.length;
      }
      const index = from + taken.length;
      const isDone = index >= frame.lines.length;
      place = {
        segment: place.segment,
        offset: isDone ? place.offset + frame.bytes : place.offset,
        index: isDone ? 0 : index,
        passed: place.passed + taken.length,
      };
    }
    return lines.length === 0 ? undefined : { lines, after: place };
  }

  advance(place: Place): void {
    this.#place = place;
    this.#saveCursor();
    this.#forget();
  }

  tend(): void {
    this.#flush();
    if (this.#pending.length === 0 && this.#seen > this.#position) {
      this.#position = this.#seen;
      this.#saveCursor();
    }
    const { maxBytes, maxAgeMs, clock } = this.#options;
    const expired = clock() - maxAgeMs;
    for (let [oldest] = this.#segments; oldest !== undefined; [oldest] = this.#segments) {
      const isOver = this.#bytes() > maxBytes && this.#segments.length > 1;
      if (isOver && this.#thin()) continue;
      const isOld = oldest.items > 0 && oldest.newestAt < expired;
      if (!isOver && !isOld) return;
      this.#drop(oldest, isOver ? 'full' : 'expired');
    }
  }

  state(): QueueState {
    const waiting = this.#segments.filter(({ number }) => number >= this.#place.segment);
    const stored = waiting.reduce((sum, { items }) => sum + items, 0) - this.#place.passed;
    const items = Math.max(0, stored) + this.#pending.length;
    const oldest = waiting.find(
      ({ number, items }) => items > (number === this.#place.segment ? this.#place.passed : 0),
    );
    return {
      items,
      bytes: this.#bytes(),
      oldestAt: items === 0 ? undefined : this.#oldestAt(oldest),
      lost: { ...this.#lost },
    };
  }

  #oldestAt(segment: Segment | undefined): number {
    if (this.#oldest?.place === this.#place) return this.#oldest.at;
    return segment?.newestAt ?? this.#options.clock();
  }

  close(): void {
    this.tend();
    if (this.#tail !== undefined) closeSync(this.#tail);
    this.#tail = undefined;
  }

  #frameAt(place: Place): HeldFrame | Extract<ReadFrame, { kind: 'damaged' }> | 'end' {
    const known = this.#frame;
    if (known?.segment === place.segment && known.offset === place.offset) return known;
    const segment = this.#segments.find(({ number }) => number === place.segment);
    if (segment === undefined) return 'end';
    const read = readFrame(segment, place.offset);
    if (read.kind === 'end') return 'end';
    if (read.kind === 'damaged') return read;
    const { segment: number, offset } = place;
    this.#frame = {
      kind: 'frame',
      segment: number,
      offset,
      lines: read.lines,
      bytes: read.head.bytes,
      at: read.head.at,
    };
    return this.#frame;
  }

  /** Where to go on from the end of a segment; undefined at the end of the queue. */
  #following(place: Place): Place | undefined {
    const next = this.#segments.find(({ number }) => number > place.segment);
    if (next !== undefined) return { segment: next.number, offset: 0, index: 0, passed: 0 };
    if (this.#pending.length === 0) return undefined;
    this.#flush();
    const last = this.#segments.at(-1);
    // With the disk full there is nothing new to read.
    if (last === undefined || this.#pending.length > 0) return undefined;
    if (last.number > place.segment) {
      return { segment: last.number, offset: 0, index: 0, passed: 0 };
    }
    return place;
  }

  #flush(): void {
    if (this.#pending.length === 0) return;
    const position = this.#pending.at(-1)?.position ?? -1;
    const lines = this.#pending.map(({ line }) => line);
    const frame = encodeFrame({ lines, position, at: this.#options.clock() });
    try {
      this.#write(frame, { items: lines.length, position });
      this.#position = Math.max(this.#position, position);
      this.#pending = [];
      this.#pendingChars = 0;
      this.#isStuck = false;
    } catch {
      // The disk is full or gone: what fits stays in memory for the next try, and the count says what did not.
      this.#isStuck = true;
      this.#shedPending();
    }
  }

  #write(frame: Buffer, { items, position }: { items: number; position: number }): void {
    let segment = this.#segments.at(-1);
    if (segment === undefined || segment.bytes + frame.length > SEGMENT_BYTES) {
      segment = this.#newSegment(segment);
    }
    this.#tail ??= openSync(segment.path, 'a', 0o600);
    try {
      let written = 0;
      while (written < frame.length) written += writeSync(this.#tail, frame, written);
    } catch (error) {
      // Half a frame must not stand before the next one.
      ftruncateSync(this.#tail, segment.bytes);
      throw error;
    }
    count(segment, { bytes: frame.length, items, position, at: this.#options.clock() });
  }

  #newSegment(last: Segment | undefined): Segment {
    if (this.#tail !== undefined) closeSync(this.#tail);
    this.#tail = undefined;
    const number = Math.max((last?.number ?? -1) + 1, this.#place.segment);
    const path = join(this.#options.folder, `${String(number).padStart(12, '0')}.seg`);
    const segment = emptySegment(number, path);
    this.#tail = openSync(path, 'a', 0o600);
    this.#segments.push(segment);
    return segment;
  }

  #shedPending(): void {
    let from = 0;
    while (this.#pendingChars > MAX_PENDING_CHARS) {
      this.#pendingChars -= this.#pending[from]?.line.length ?? this.#pendingChars;
      from++;
    }
    this.#pending.splice(0, from);
    this.#lost.disk += from;
  }

  #drop(segment: Segment, reason: LossReason): void {
    const isCurrent = segment.number === this.#place.segment;
    this.#lost[reason] += Math.max(0, segment.items - (isCurrent ? this.#place.passed : 0));
    this.#remove(segment);
    if (this.#place.segment <= segment.number) {
      const next = this.#segments[0]?.number ?? segment.number + 1;
      this.#place = { segment: next, offset: 0, index: 0, passed: 0 };
      this.#saveCursor();
    }
  }

  /** Takes the spare lines out of the oldest segment that has any and that nobody reads; false where there is none. */
  #thin(): boolean {
    const { isSpare } = this.#options;
    const last = this.#segments.at(-1);
    const fat = this.#segments.find(
      (segment) => segment.number > this.#place.segment && segment !== last && !segment.isThin,
    );
    if (isSpare === undefined || fat === undefined) return false;
    const before = fat.items;
    try {
      thinSegment(fat, isSpare);
    } catch {
      // A disk that takes nothing: it is dropped as a whole, in its turn.
      return false;
    }
    this.#lost.full += before - fat.items;
    return true;
  }

  /** Deletes what is behind the reader. */
  #forget(): void {
    for (let [first] = this.#segments; first !== undefined; [first] = this.#segments) {
      if (first.number >= this.#place.segment) return;
      this.#remove(first);
    }
  }

  #remove(segment: Segment): void {
    if (segment === this.#segments.at(-1) && this.#tail !== undefined) {
      closeSync(this.#tail);
      this.#tail = undefined;
    }
    this.#segments.splice(this.#segments.indexOf(segment), 1);
    rmSync(segment.path, { force: true });
  }

  #bytes(): number {
    return this.#segments.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  #saveCursor(): void {
    const path = join(this.#options.folder, 'cursor.json');
    try {
      const cursor = { place: this.#place, position: this.#position };
      writeFileSync(`${path}.new`, JSON.stringify(cursor), { mode: 0o600 });
      renameSync(`${path}.new`, path);
    } catch {
      // With the disk full the old cursor stays: after a restart some things leave twice, with the ids they had.
    }
  }
}

function openSegments(folder: string): Segment[] {
  const names = readdirSync(folder)
    .filter((name) => /^\d{12}\.seg$/.test(name))
    .sort();
  return names.map((name, i) =>
    openSegment(Number(name.slice(0, 12)), join(folder, name), i === names.length - 1),
  );
}

function readCursor(path: string): { place: Place; position: number } | undefined {
  try {
    const { place, position } = JSON.parse(readFileSync(path, 'utf8'));
    const numbers = [place.segment, place.offset, place.index, place.passed, position];
    return numbers.every(Number.isSafeInteger) ? { place, position } : undefined;
  } catch {
    // There is none yet, or a loss of power left half of one.
    return undefined;
  }
}
