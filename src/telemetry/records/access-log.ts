import { randomBytes } from 'node:crypto';
import type { EdgeCounters } from '../metrics/edge.ts';
import { type ClassCounts, decodeHeader, HEADER_BYTES, noneDropped } from '../spool/frame.ts';
import { openSpool, type Spool, type SpoolFrame } from '../spool/spool.ts';
import type { SpoolBatch } from '../spool/spool-reader.ts';
import { classOf, RECORD_CLASSES, type RecordClass } from '../spool/spooled-record.ts';
import type { KeptReason, RecordedCall } from './access-record.ts';
import { createRecordFormat } from './format-record.ts';
import { RecordBuffer } from './record-buffer.ts';
import type { Redactor } from './redactor.ts';
import { createSampler, type Sampler } from './sampler.ts';

/** Where finished calls go; never blocks and never throws. */
export type RecordSink = {
  /** `edge` is what the rate is adapted by; without it the call is always kept. */
  readonly record: (call: RecordedCall, edge?: EdgeCounters) => void;
};

/** What became of the calls since the process started, and what waits. */
export type RecordCounts = {
  /** Calls that got a number: all of `kept`, some of which may have been dropped since, and `sampled`. */
  readonly issued: number;
  readonly kept: Readonly<Record<KeptReason, number>>;
  readonly sampled: number;
  /** Calls that a change of policy touched, beyond what is kept of those for sure. */
  readonly rolloutExceeded: number;
  /** Lost because memory or disk had no room. */
  readonly dropped: Readonly<ClassCounts>;
  /** Places in files that were not what was written. */
  readonly damaged: number;
  readonly failedWrites: number;
  readonly lastSeq: number;
  readonly memoryBytes: number;
  readonly spoolBytes: number;
};

/** One proxy's access records on their way to disk, and on disk until they are shipped. */
export type AccessLog = RecordSink & {
  /** Names this start of the process in the ids of records. */
  readonly boot: string;
  /** Starts writing what is buffered; it is done anyhow within 100 ms. */
  readonly flush: () => void;
  /** Resolves when what was recorded so far is in the file, or cannot be written now. */
  readonly flushed: () => Promise<void>;
  /** Writes what is buffered at once, blocking; later records are dropped. */
  readonly close: () => void;
  /** What became of the calls after `seq`, oldest first: whole frames until there are `limit` records. */
  readonly readAfter: (seq: number, limit: number) => Promise<SpoolBatch>;
  /** Everything up to `seq` is kept elsewhere: segments that hold nothing newer go. */
  readonly acknowledge: (seq: number) => void;
  readonly counts: () => RecordCounts;
  /** Why records cannot be written now, in words; undefined if they can. */
  readonly problem: () => string | undefined;
};

/** What a log tells while it works; at most one of each a flush. */
export type RecordTrouble =
  | { readonly kind: 'dropped'; readonly counts: Readonly<ClassCounts> }
  | { readonly kind: 'write_failed'; readonly error: Error }
  | { readonly kind: 'damaged'; readonly file: string };

/** Options of `createAccessLog`; times are Unix milliseconds. */
export type AccessLogOptions = {
  /** Holds the segments `records-N.spool`, N being the first seq in it; made with mode 0700. */
  readonly folder: string;
  readonly maxSegmentBytes?: number;
  readonly maxSegments?: number;
  readonly maxAgeMs?: number;
  /** Seqs begin after this one even if the folder is empty: what the receiver has acknowledged. */
  readonly afterSeq?: number;
  /** Keeps all if absent. */
  readonly sampler?: Sampler;
  /** Takes out what must not be kept; nothing is if absent. */
  readonly redactor?: Redactor;
  readonly onTrouble?: (trouble: RecordTrouble) => void;
};

const FLUSH_AFTER_MS = 100;
const RETRY_AFTER_MS = 1_000;
// Records that were shipped within this time need no disk at all, so it is not asked sooner.
const SYNC_AFTER_MS = 1_000;
const DAY_MS = 86_400_000;

/**
 * Opens the access log of one proxy. Records go into a fixed buffer; a full one, or one that is 100 ms old, is packed
 * into a frame that is written asynchronously while the buffer fills again.
 */
export function createAccessLog(options: AccessLogOptions): AccessLog {
  return new BufferedAccessLog(options);
}

class BufferedAccessLog implements AccessLog {
  readonly boot = randomBytes(6).toString('base64url');
  readonly #format = createRecordFormat(this.boot);
  readonly #spool: Spool;
  readonly #sampler: Sampler;
  readonly #redactor: Redactor | undefined;
  readonly #onTrouble: (trouble: RecordTrouble) => void;
  readonly #filling = new RecordBuffer();
  /** The frame that is on its way to the disk. */
  #pending: SpoolFrame | undefined;
  /** Why the disk does not take it: it is tried again, and shipped from memory meanwhile. */
  #refusal: Error | undefined;
  #nextSeq: number;
  #ackedSeq: number;
  #writtenSeq = 0;
  #writing: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #retryTimer: NodeJS.Timeout | undefined;
  #syncTimer: NodeJS.Timeout | undefined;
  #isFirstFrame = true;
  #issued = 0;
  #sampled = 0;
  #damaged = 0;
  #failedWrites = 0;
  readonly #kept = noneKept();
  readonly #dropped = noneDropped();
  #untold: ClassCounts | undefined;
  #isClosed = false;

  constructor(options: AccessLogOptions) {
    const { maxSegmentBytes = 4 * 1024 * 1024, maxSegments = 32, afterSeq = 0 } = options;
    this.#onTrouble = options.onTrouble ?? (() => undefined);
    this.#sampler = options.sampler ?? createSampler(Number.POSITIVE_INFINITY);
    this.#redactor = options.redactor;
    this.#spool = openSpool({
      folder: options.folder,
      maxSegmentBytes,
      maxBytes: maxSegmentBytes * maxSegments,
      maxAgeMs: options.maxAgeMs ?? 3 * DAY_MS,
      ackedSeq: afterSeq,
      onLost: (counts) => this.#noteDropped(counts),
      onDamaged: (file) => {
        this.#damaged++;
        this.#onTrouble({ kind: 'damaged', file });
      },
    });
    this.#ackedSeq = afterSeq;
    this.#nextSeq = Math.max(this.#spool.lastSeq, afterSeq) + 1;
    this.#writtenSeq = this.#nextSeq - 1;
  }

  record(call: RecordedCall, edge?: EdgeCounters): void {
    if (this.#isClosed) return;
    const atMs = call.startedAt + call.durationUs / 1000;
    const isKept = this.#sampler.keeps(call, edge, atMs);
    if (isKept && !this.#filling.hasRoom && !this.#swap()) {
      this.#noteDropped(this.#filling.evictFor(classOf(call.kept)));
    }
    const buffer = this.#filling;
    const seq = this.#nextSeq++;
    this.#issued++;
    // INVARIANT: every number is told of in the frame of its time, whatever becomes of its record.
    buffer.number(seq, atMs);
    if (!isKept) {
      buffer.sample();
      this.#sampled++;
    } else {
      this.#kept[call.kept]++;
      if (buffer.hasRoom) {
        this.#redactor?.redact(call);
        buffer.add(this.#format, call, seq);
      } else this.#dropOne(buffer, classOf(call.kept));
    }
    // Armed only while something waits, so that an idle proxy has no timer at all.
    this.#timer ??= setTimeout(() => this.flush(), FLUSH_AFTER_MS).unref();
  }

  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (!this.#filling.isEmpty) this.#swap();
    this.#tellDropped();
  }

  async flushed(): Promise<void> {
    // What comes meanwhile is for others to wait for: under load there is always more.
    const until = this.#nextSeq - 1;
    do {
      this.flush();
      await this.#writing;
    } while (this.#writtenSeq < until && this.#refusal === undefined && !this.#isClosed);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const timer of [this.#timer, this.#retryTimer, this.#syncTimer]) clearTimeout(timer);
    const stuck = this.#writing === undefined ? this.#pending : undefined;
    if (this.#filling.isEmpty) this.#filling.clear(this.#nextSeq);
    const last = this.#seal(true);
    try {
      this.#spool.closeSync(stuck === undefined ? [last] : [stuck, last]);
    } catch (error) {
      this.#noteFailed(error);
    }
    this.#tellDropped();
  }

  async readAfter(seq: number, limit: number): Promise<SpoolBatch> {
    const batch = await this.#spool.readAfter(seq, limit);
    const frame = this.#pending;
    const isStuck = frame !== undefined && this.#refusal !== undefined;
    return isStuck && batch.accounts.length === 0 ? readFromMemory(frame.bytes, seq) : batch;
  }

  acknowledge(seq: number): void {
    this.#ackedSeq = Math.max(this.#ackedSeq, seq);
    this.#spool.acknowledge(seq);
    const frame = this.#pending;
    if (frame === undefined || this.#writing !== undefined) return;
    if (frame.lastSeq <= seq) this.#release();
  }

  counts(): RecordCounts {
    return {
      issued: this.#issued,
      kept: { ...this.#kept },
      sampled: this.#sampled,
      rolloutExceeded: this.#sampler.rollouts.exceeded(),
      dropped: { ...this.#dropped },
      damaged: this.#damaged,
      failedWrites: this.#failedWrites,
      lastSeq: this.#nextSeq - 1,
      memoryBytes: this.#filling.bytes + (this.#pending?.bytes.length ?? 0),
      spoolBytes: this.#spool.bytes,
    };
  }

  problem(): string | undefined {
    if (this.#refusal === undefined) return undefined;
    return `access records cannot be written to disk: ${this.#refusal.message}`;
  }

  /** Gives what was filled to the disk; false while the frame before is still on its way. */
  #swap(): boolean {
    if (this.#pending !== undefined) return false;
    this.#write(this.#seal(false));
    this.#filling.clear(this.#nextSeq);
    return true;
  }

  #write(frame: SpoolFrame): void {
    this.#pending = frame;
    this.#writing = this.#append(frame).then(() => {
      this.#writing = undefined;
      const isWaiting = !this.#filling.isEmpty && this.#timer === undefined;
      if (isWaiting && this.#pending === undefined && !this.#isClosed) this.flush();
    });
  }

  async #append(frame: SpoolFrame): Promise<void> {
    try {
      await this.#spool.append(frame);
    } catch (error) {
      if (!this.#isClosed) this.#stick(frame, error);
      return;
    }
    this.#writtenSeq = frame.lastSeq;
    this.#syncTimer ??= setTimeout(() => this.#sync(), SYNC_AFTER_MS).unref();
    this.#release();
  }

  #sync(): void {
    this.#syncTimer = undefined;
    if (this.#ackedSeq < this.#writtenSeq) void this.#spool.sync();
  }

  #stick(frame: SpoolFrame, cause: unknown): void {
    const error = this.#noteFailed(cause);
    // It was shipped from memory while the disk was asked once more.
    if (frame.lastSeq <= this.#ackedSeq) return this.#release();
    this.#refusal = error;
    this.#retryTimer = setTimeout(() => this.#write(frame), RETRY_AFTER_MS).unref();
  }

  /** The frame is safe: the next one may go. */
  #release(): void {
    clearTimeout(this.#retryTimer);
    this.#pending = undefined;
    this.#refusal = undefined;
  }

  #seal(isClosing: boolean): SpoolFrame {
    const afterCrash = this.#isFirstFrame && this.#spool.isAfterCrash;
    this.#isFirstFrame = false;
    const bytes = this.#filling.seal({ boot: this.boot, afterCrash, isClosing });
    return { bytes, ...this.#filling.range };
  }

  #noteFailed(cause: unknown): Error {
    this.#failedWrites++;
    const error = cause instanceof Error ? cause : new Error(String(cause));
    this.#onTrouble({ kind: 'write_failed', error });
    return error;
  }

  #dropOne(buffer: RecordBuffer, name: RecordClass): void {
    buffer.drop(name);
    this.#noteDropped({ ...noneDropped(), [name]: 1 });
  }

  #noteDropped(counts: Readonly<ClassCounts>): void {
    this.#untold ??= noneDropped();
    for (const name of RECORD_CLASSES) {
      this.#dropped[name] += counts[name];
      this.#untold[name] += counts[name];
    }
  }

  #tellDropped(): void {
    const counts = this.#untold;
    if (counts === undefined) return;
    this.#untold = undefined;
    if (RECORD_CLASSES.some((name) => counts[name] > 0))
      this.#onTrouble({ kind: 'dropped', counts });
  }
}

/** The frame in memory as the spool would tell of it, if it has anything after `seq`. */
function readFromMemory(bytes: Buffer, seq: number): SpoolBatch {
  const start = decodeHeader(bytes);
  if (start.kind === 'damaged' || start.header.lastSeq <= seq)
    return { accounts: [], blocks: [], records: 0, isFull: false };
  const { header } = start;
  const blocks = [bytes.subarray(HEADER_BYTES)];
  return { accounts: [header], blocks, records: header.records, isFull: false };
}

function noneKept(): Record<KeptReason, number> {
  return {
    audit: 0,
    denied: 0,
    error: 0,
    rollout: 0,
    first_seen: 0,
    slow: 0,
    sampled: 0,
    all: 0,
  };
}
