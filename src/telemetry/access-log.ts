import { randomBytes } from 'node:crypto';
import type { RecordedCall } from './access-record.ts';
import { classify } from './classify.ts';
import { createRecordFormat, MAX_RECORD_BYTES } from './format-record.ts';
import { openSpool, type Spool } from './spool.ts';
import { classOf, type SpooledRecord } from './spooled-record.ts';

/** Where finished calls go; never blocks and never throws. */
export type RecordSink = { readonly record: (call: RecordedCall) => void };

/** How many records were taken, lost, and are on disk. */
export type RecordCounts = {
  readonly recorded: number;
  /** Lost because memory or disk had no room; denials are lost last. */
  readonly dropped: number;
  readonly failedWrites: number;
  readonly lastSeq: number;
};

/** One proxy's access records on their way to disk, and on disk until they are shipped. */
export type AccessLog = RecordSink & {
  /** Names this start of the process in the ids of records. */
  readonly boot: string;
  /** Starts writing what is buffered; it is done anyhow within 100 ms. */
  readonly flush: () => void;
  /** Resolves when what was recorded so far is in the file. */
  readonly flushed: () => Promise<void>;
  /** Writes what is buffered at once, blocking; later records are dropped. */
  readonly close: () => void;
  /** Records on disk after `seq`, at most `limit`, oldest first. */
  readonly readAfter: (seq: number, limit: number) => Promise<readonly SpooledRecord[]>;
  /** Everything up to `seq` is kept elsewhere: segments that hold nothing newer go. */
  readonly acknowledge: (seq: number) => void;
  readonly counts: () => RecordCounts;
};

/** Options of `createAccessLog`; times are Unix milliseconds. */
export type AccessLogOptions = {
  /** Holds the segments `records-N.jsonl`, N being the first seq in it; made with mode 0700. */
  readonly folder: string;
  readonly maxSegmentBytes?: number;
  readonly maxSegments?: number;
  /** Seqs begin after this one even if the folder is empty: what the receiver has acknowledged. */
  readonly afterSeq?: number;
  /** Called when records had to be dropped or a write failed, at most once a flush. */
  readonly onDrop?: (what: { readonly dropped: number; readonly error?: Error }) => void;
};

const BUFFER_BYTES = 256 * 1024;
// Records of allowed calls leave this much of the last buffer to denials.
const DENIAL_RESERVE_BYTES = 64 * 1024;
const FLUSH_AFTER_MS = 100;

/**
 * Opens the access log of one proxy. Records go into one of two fixed buffers; a full buffer, or one that
 * is 100 ms old, is written asynchronously while the other fills.
 */
export function createAccessLog(options: AccessLogOptions): AccessLog {
  return new BufferedAccessLog(options);
}

class BufferedAccessLog implements AccessLog {
  readonly boot = randomBytes(6).toString('base64url');
  readonly #format = createRecordFormat(this.boot);
  readonly #spool: Spool;
  readonly #onDrop: AccessLogOptions['onDrop'];
  #filling: Buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  #spare: Buffer | undefined = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  #used = 0;
  #firstSeq = 0;
  #nextSeq: number;
  #writing: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #recorded = 0;
  #dropped = 0;
  #reportedDropped = 0;
  #failedWrites = 0;
  #isClosed = false;

  constructor(options: AccessLogOptions) {
    this.#spool = openSpool({
      folder: options.folder,
      maxSegmentBytes: options.maxSegmentBytes ?? 16 * 1024 * 1024,
      maxBytes: (options.maxSegmentBytes ?? 16 * 1024 * 1024) * (options.maxSegments ?? 8),
      onLost: (count) => this.#noteDropped(count),
    });
    this.#onDrop = options.onDrop;
    this.#nextSeq = Math.max(this.#spool.lastSeq(), options.afterSeq ?? 0) + 1;
  }

  record(call: RecordedCall): void {
    if (this.#used + MAX_RECORD_BYTES > BUFFER_BYTES && !this.#swap()) {
      this.#dropped++;
      return;
    }
    const isReserved = this.#used + MAX_RECORD_BYTES > BUFFER_BYTES - DENIAL_RESERVE_BYTES;
    const isScarce =
      isReserved && this.#spare === undefined && classOf(classify(call)) === 'success';
    if (this.#isClosed || isScarce) {
      this.#dropped++;
      return;
    }
    call.kept = classify(call);
    if (this.#used === 0) this.#firstSeq = this.#nextSeq;
    this.#used = this.#format(this.#filling, this.#used, call, this.#nextSeq++);
    this.#recorded++;
    // Armed only while something waits, so that an idle proxy has no timer at all.
    this.#timer ??= setTimeout(() => this.flush(), FLUSH_AFTER_MS).unref();
  }

  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#used > 0) this.#swap();
    this.#reportDrops();
  }

  async flushed(): Promise<void> {
    do {
      this.flush();
      await this.#writing;
    } while (this.#used > 0 && !this.#isClosed);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#timer);
    try {
      this.#spool.closeSync(this.#filling.subarray(0, this.#used), this.#firstSeq);
    } catch (error) {
      this.#failed(error, this.#used === 0 ? 0 : this.#nextSeq - this.#firstSeq);
    }
    this.#used = 0;
    this.#reportDrops();
  }

  readAfter(seq: number, limit: number): Promise<readonly SpooledRecord[]> {
    return this.#spool.readAfter(seq, limit);
  }

  acknowledge(seq: number): void {
    this.#spool.acknowledge(seq);
  }

  counts(): RecordCounts {
    return {
      recorded: this.#recorded,
      dropped: this.#dropped,
      failedWrites: this.#failedWrites,
      lastSeq: this.#nextSeq - 1,
    };
  }

  /** Gives the filled buffer to the disk and goes on with the other one; false if that is still being written. */
  #swap(): boolean {
    const spare = this.#spare;
    if (spare === undefined) return false;
    const filled = this.#filling;
    const records = this.#nextSeq - this.#firstSeq;
    const write = this.#spool.append(filled.subarray(0, this.#used), this.#firstSeq);
    this.#filling = spare;
    this.#spare = undefined;
    this.#used = 0;
    this.#writing = write
      .catch((error: unknown) => this.#failed(error, records))
      .then(() => {
        this.#spare = filled;
        this.#writing = undefined;
        if (this.#used > 0 && this.#timer === undefined && !this.#isClosed) this.flush();
      });
    return true;
  }

  #failed(error: unknown, records: number): void {
    this.#failedWrites++;
    this.#dropped += records;
    this.#reportedDropped += records;
    const cause = error instanceof Error ? error : new Error(String(error));
    this.#onDrop?.({ dropped: records, error: cause });
  }

  #noteDropped(count: number): void {
    this.#dropped += count;
    this.#reportDrops();
  }

  #reportDrops(): void {
    const dropped = this.#dropped - this.#reportedDropped;
    if (dropped === 0) return;
    this.#reportedDropped = this.#dropped;
    this.#onDrop?.({ dropped });
  }
}
