import {
  type Account,
  type ClassCounts,
  encodeHeader,
  HEADER_BYTES,
  noneDropped,
} from '../spool/frame.ts';
import { packLines } from '../spool/record-block.ts';
import { RECORD_CLASSES, type RecordClass, readRecordLine } from '../spool/spooled-record.ts';
import type { RecordedCall } from './access-record.ts';
import type { RecordFormat } from './format-record.ts';
import { MAX_RECORD_BYTES } from './format-record.ts';

const BUFFER_BYTES = 256 * 1024;
// What one eviction makes room for, so that it is done once in dozens of records.
const EVICTED_BYTES = 64 * 1024;
const LINE_FEED = 0x0a;

/** A frame in the making: the records since the last one, in a buffer that stays, and the count of those left out. */
export class RecordBuffer {
  // Not pooled: its pages take memory only once they are written.
  readonly #bytes = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  #used = 0;
  #records = 0;
  #firstSeq = 0;
  #lastSeq = -1;
  #sinceMs = 0;
  #untilMs = 0;
  #sampled = 0;
  #dropped: ClassCounts = noneDropped();

  /** Whether no call was told of since `clear`. */
  get isEmpty(): boolean {
    return this.#lastSeq < this.#firstSeq;
  }

  get records(): number {
    return this.#records;
  }

  /** Whether any record fits. */
  get hasRoom(): boolean {
    return this.#used + MAX_RECORD_BYTES <= BUFFER_BYTES;
  }

  /** Bytes of records. */
  get bytes(): number {
    return this.#used;
  }

  /** A call got this number at this time, ms since 1970; each has to be told of, in order. */
  number(seq: number, atMs: number): void {
    if (this.#lastSeq < this.#firstSeq) {
      this.#firstSeq = seq;
      this.#sinceMs = atMs;
    }
    this.#lastSeq = seq;
    this.#untilMs = atMs;
  }

  add(format: RecordFormat, call: RecordedCall, seq: number): void {
    this.#used = format(this.#bytes, this.#used, call, seq);
    this.#records++;
  }

  /** The call just numbered is left out by the rate. */
  sample(): void {
    this.#sampled++;
  }

  /** The call just numbered, or one that was in here, is left out for want of room. */
  drop(name: RecordClass, count = 1): void {
    this.#dropped[name] += count;
  }

  /**
   * Makes room for a record of this class by dropping what counts less and then its like, the oldest first.
   * Returns what was dropped, by class; there may be no room all the same.
   */
  evictFor(name: RecordClass): ClassCounts {
    const evicted = noneDropped();
    for (const victim of RECORD_CLASSES) {
      if (this.#used + MAX_RECORD_BYTES <= BUFFER_BYTES - EVICTED_BYTES) break;
      evicted[victim] = this.#evict(victim);
      this.drop(victim, evicted[victim]);
      if (victim === name) break;
    }
    return evicted;
  }

  /** The frame, packed; the buffer is free for the next one once it is cleared. */
  seal(more: Pick<Account, 'boot' | 'afterCrash'> & { readonly isClosing: boolean }): Buffer {
    const body = packLines(this.#bytes.subarray(0, this.#used));
    const frame = Buffer.allocUnsafe(HEADER_BYTES + body.length);
    encodeHeader(frame, body, { ...this.#account(), ...more });
    body.copy(frame, HEADER_BYTES);
    return frame;
  }

  /** What it tells of. */
  get range(): { readonly firstSeq: number; readonly lastSeq: number; readonly untilMs: number } {
    return { firstSeq: this.#firstSeq, lastSeq: this.#lastSeq, untilMs: this.#untilMs };
  }

  /** The frame begins anew; for one without calls, `nextSeq` is the number of the next. */
  clear(nextSeq: number): void {
    this.#used = 0;
    this.#records = 0;
    this.#sampled = 0;
    this.#dropped = noneDropped();
    this.#firstSeq = nextSeq;
    this.#lastSeq = nextSeq - 1;
  }

  #account(): Omit<Account, 'boot' | 'afterCrash'> {
    return {
      firstSeq: this.#firstSeq,
      lastSeq: this.#lastSeq,
      sinceMs: Math.floor(this.#sinceMs),
      untilMs: Math.floor(this.#untilMs),
      records: this.#records,
      sampled: this.#sampled,
      dropped: this.#dropped,
      damaged: 0,
    };
  }

  /** Drops the oldest of one class and moves the rest together; returns how many went. */
  #evict(victim: RecordClass): number {
    const bytes = this.#bytes;
    const wanted = this.#used + MAX_RECORD_BYTES + EVICTED_BYTES - BUFFER_BYTES;
    let freed = 0;
    let evicted = 0;
    let to = 0;
    for (let from = 0; from < this.#used; ) {
      const end = bytes.indexOf(LINE_FEED, from) + 1;
      const isVictim =
        freed < wanted && readRecordLine(bytes.subarray(from, end - 1))?.class === victim;
      if (isVictim) {
        freed += end - from;
        evicted++;
      } else {
        if (to !== from) bytes.copyWithin(to, from, end);
        to += end - from;
      }
      from = end;
    }
    this.#used = to;
    this.#records -= evicted;
    return evicted;
  }
}
