import { closeSync, fdatasync, ftruncateSync, write } from 'node:fs';
import { promisify } from 'node:util';
import {
  type AuditEvent,
  type AuditFields,
  bodyOf,
  eventOfLine,
  hashOfBody,
  lineOf,
} from './event.ts';
import { createLeafSource, type LeafSource } from './leaf-source.ts';
import { readEvents } from './read-events.ts';
import { type AuditProblem, SEGMENT_RECORDS } from './segment.ts';
import {
  type ActiveSegment,
  createSegment,
  nextOf,
  type OpenedSegments,
  openSegments,
  sealSegment,
} from './segments.ts';
import { Frontier, type TreeHead } from './tree.ts';

/** An append-only log on disk: hash-chained records in segments, under one growing tree. */
export type AuditLog = {
  /**
   * Resolves when the record is on disk; records of one moment share one write and one sync. Rejects, nothing being
   * logged, when the disk refuses; the log goes on once it takes writes again.
   */
  readonly append: (fields: AuditFields) => Promise<AuditEvent>;
  /** Up to `limit` events with an index above `index`, oldest first; those whose segment expired are left out. */
  readonly readAfter: (index: number, limit: number) => Promise<AuditEvent[]>;
  /** -1 while there is none. */
  readonly newestIndex: () => number;
  /** Hears of each event once it is on disk, in order. */
  readonly onEvent: (listener: (event: AuditEvent) => void) => () => void;
  /** Size, root and last hash of what is on disk. */
  readonly head: () => LogTip;
  readonly leaves: LeafSource;
  /** Index of the first record of the segment that is being written. */
  readonly activeFirst: () => number;
  readonly folder: string;
  /** What was damaged at the end when the log was opened. */
  readonly setAside: readonly AuditProblem[];
  /** Resolves when all that was handed in is on disk or refused. */
  readonly close: () => Promise<void>;
};

/** The end of a log. */
export type LogTip = TreeHead & { readonly last: string };

/** What a log is opened with; `clock` in Unix milliseconds. */
export type AuditLogOptions = {
  readonly folder: string;
  readonly clock: () => number;
  /** How many records a signed checkpoint covers that is known here; 0 if there is none. */
  readonly trustedSize?: number;
  /** Hears what a listener threw. */
  readonly onError: (error: unknown) => void;
};

type Waiting = {
  readonly fields: AuditFields;
  readonly time: string;
  readonly resolve: (event: AuditEvent) => void;
  readonly reject: (error: unknown) => void;
};

// Enough for one sync to carry thousands a second, few enough not to hold the event loop for long.
const MAX_BATCH = 2_048;

const writeAsync = promisify(write);
const syncAsync = promisify(fdatasync);

/** Opens a log, making its folder on first use. Throws where the folder cannot be written. */
export function openAuditLog(options: AuditLogOptions): AuditLog {
  const { folder, trustedSize = 0 } = options;
  return new SegmentedLog(options, openSegments({ folder, trustedSize }));
}

class SegmentedLog implements AuditLog {
  readonly folder: string;
  readonly leaves: LeafSource;
  readonly setAside: readonly AuditProblem[];
  readonly #options: AuditLogOptions;
  readonly #opened: OpenedSegments;
  readonly #listeners = new Set<(event: AuditEvent) => void>();
  #active: ActiveSegment;
  /** Over the full segments. */
  readonly #full = new Frontier();
  /** Over the active one: it has the segment's root once that is full, which nobody then waits for. */
  #open = new Frontier();
  #last: string;
  /** INVARIANT: what others hear of, above all who signs it, is on disk: a crash must not take back what was signed. */
  #durable: { readonly frontier: Frontier; readonly last: string };
  #waiting: Waiting[] = [];
  #flushing: Promise<void> | undefined;
  #isTailUnknown = false;

  constructor(options: AuditLogOptions, opened: OpenedSegments) {
    this.#options = options;
    this.#opened = opened;
    this.folder = options.folder;
    this.setAside = opened.setAside;
    this.#active = opened.active;
    for (const { root, count } of opened.digests) this.#full.pushPerfect(root, count);
    for (const leaf of opened.active.leaves) this.#open.push(leaf);
    this.#last = opened.active.leaves.at(-1) ?? opened.active.previous;
    this.#durable = { frontier: this.#full.followedBy(this.#open), last: this.#last };
    this.leaves = createLeafSource(this.folder, opened.digests, () => this.#active);
  }

  append(fields: AuditFields): Promise<AuditEvent> {
    const time = new Date(this.#options.clock()).toISOString();
    return new Promise((resolve, reject) => {
      this.#waiting.push({ fields, time, resolve, reject });
      this.#flushing ??= this.#flushAll();
    });
  }

  readAfter(index: number, limit: number): Promise<AuditEvent[]> {
    return readEvents(this, { after: index, limit, size: this.#durable.frontier.size });
  }

  newestIndex(): number {
    return this.#durable.frontier.size - 1;
  }

  onEvent(listener: (event: AuditEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  head(): LogTip {
    const { frontier, last } = this.#durable;
    return { size: frontier.size, root: frontier.root(), last };
  }

  activeFirst(): number {
    return this.#active.first;
  }

  async close(): Promise<void> {
    await this.#flushing;
    closeSync(this.#active.fd);
  }

  async #flushAll(): Promise<void> {
    // Whatever else this turn of the event loop logs comes along.
    await new Promise(setImmediate);
    while (this.#waiting.length > 0) {
      const room = SEGMENT_RECORDS - this.#active.leaves.length;
      const batch = this.#waiting.splice(
        0,
        Math.min(room === 0 ? SEGMENT_RECORDS : room, MAX_BATCH),
      );
      try {
        if (room === 0) this.#rotate();
        for (const [i, event] of (await this.#write(batch)).entries()) batch[i]?.resolve(event);
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.#flushing = undefined;
  }

  async #write(batch: readonly Waiting[]): Promise<AuditEvent[]> {
    const active = this.#active;
    const begun = {
      last: this.#last,
      open: this.#open.copy(),
      count: active.leaves.length,
    };
    if (this.#isTailUnknown) this.#cutTail();
    const { text, events } = this.#chain(batch);
    try {
      const bytes = Buffer.from(text);
      for (let at = 0; at < bytes.length; ) {
        at += (await writeAsync(active.fd, bytes, at)).bytesWritten;
      }
      await syncAsync(active.fd);
      active.length += bytes.length;
      this.#durable = { frontier: this.#full.followedBy(this.#open), last: this.#last };
    } catch (error) {
      // INVARIANT: what was not acknowledged is not in the log: the next record takes its place.
      this.#last = begun.last;
      this.#open = begun.open;
      active.leaves.length = begun.count;
      active.offsets.length = begun.count;
      this.#isTailUnknown = true;
      throw error;
    }
    for (const event of events) this.#tell(event);
    return events;
  }

  #chain(batch: readonly Waiting[]): { text: string; events: AuditEvent[] } {
    const events: AuditEvent[] = [];
    let text = '';
    let offset = this.#active.length;
    let index = this.#active.first + this.#active.leaves.length;
    for (const { fields, time } of batch) {
      const body = bodyOf(index++, time, fields);
      const previous = this.#last;
      const digest = hashOfBody(previous, body);
      const line = lineOf(body, digest);
      this.#active.offsets.push(offset);
      this.#active.leaves.push(digest);
      this.#open.push(digest);
      this.#last = digest;
      offset += Buffer.byteLength(line);
      text += line;
      events.push(eventOfLine(line, previous));
    }
    return { text, events };
  }

  #rotate(): void {
    const known = this.#opened.digests;
    const { fd, first, previous, leaves } = this.#active;
    // Where the disk refused the next segment, this one has its digest already.
    if (known.at(-1)?.first !== first) {
      const [count, root] = [leaves.length, this.#open.root()];
      const digest = { first, count, previous, last: this.#last, root };
      sealSegment(this.folder, digest);
      known.push(digest);
      this.#full.pushPerfect(root, count);
      this.#open = new Frontier();
    }
    this.#active = createSegment(this.folder, nextOf(known));
    closeSync(fd);
  }

  #cutTail(): void {
    ftruncateSync(this.#active.fd, this.#active.length);
    this.#isTailUnknown = false;
  }

  #tell(event: AuditEvent): void {
    for (const listener of Array.from(this.#listeners)) {
      try {
        listener(event);
      } catch (error) {
        this.#options.onError(error);
      }
    }
  }
}
