import { FLAG, FRAME, FRAME_HEADER_BYTES, type Frame, MAX_FRAME_BYTES } from './frames.ts';

/** What a connection's bytes are, frame by frame. Bytes are only lent. */
export type FrameSink = {
  /** A whole frame of another type than DATA; the object is used again for the next one. */
  readonly onFrame: (frame: Frame) => void;
  /** A DATA frame begins: its payload has `length` bytes, padding included. */
  readonly onDataFrame: (streamId: number, flags: number, length: number) => void;
  /** Bytes `chunk[start, end)` of the DATA frame; `isLast` once for each frame, at the end. */
  readonly onDataPart: (chunk: Buffer, start: number, end: number, isLast: boolean) => void;
  /** Padding that is longer than its frame (RFC 9113 section 6.1). */
  readonly onBadPadding: () => void;
  /** The payload is larger than we ever allowed. */
  readonly onOversize: () => void;
};

const STATE = { header: 0, payload: 1, padLength: 2, data: 3, padding: 4, stopped: 5 } as const;

/**
 * Cuts a connection's bytes into frames (RFC 9113 section 4.1). DATA is passed on as it comes and
 * never held; other frames are read in place, or gathered where they span chunks.
 * INVARIANT: the outcome depends on the bytes alone, never on how they were cut into chunks.
 */
export class FrameReader {
  readonly #sink: FrameSink;
  readonly #frame: Frame = { type: 0, flags: 0, streamId: 0, bytes: EMPTY, start: 0, end: 0 };
  readonly #header: Buffer = Buffer.alloc(FRAME_HEADER_BYTES);
  #headerLength = 0;
  #state: number = STATE.header;
  #length = 0;
  #payload: Buffer = EMPTY;
  #held = 0;
  #dataLeft = 0;
  #padding = 0;
  #isPaused = false;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /** Whether a frame has begun that is not complete. */
  get partial(): boolean {
    return this.#headerLength > 0 || this.#state !== STATE.header;
  }

  /** Reads all of `chunk` from `from`, unless `pause` or `stop` is called meanwhile; how far it came. */
  read(chunk: Buffer, from: number): number {
    let at = from;
    this.#isPaused = false;
    while (at < chunk.length && this.#state !== STATE.stopped && !this.#isPaused) {
      if (this.#state === STATE.header) at = this.#readHeader(chunk, at);
      else if (this.#state === STATE.data) at = this.#readData(chunk, at);
      else if (this.#state === STATE.payload) at = this.#gather(chunk, at);
      else if (this.#state === STATE.padLength) at = this.#readPadLength(chunk, at);
      else at = this.#skipPadding(chunk, at);
    }
    return at;
  }

  /** Reads no further than the frame under way until the next `read`. */
  pause(): void {
    this.#isPaused = true;
  }

  /** Reads nothing more. */
  stop(): void {
    this.#state = STATE.stopped;
    this.#payload = EMPTY;
  }

  #readHeader(chunk: Buffer, from: number): number {
    if (this.#headerLength === 0 && chunk.length - from >= FRAME_HEADER_BYTES) {
      return this.#begin(chunk, chunk, from);
    }
    const count = Math.min(FRAME_HEADER_BYTES - this.#headerLength, chunk.length - from);
    chunk.copy(this.#header, this.#headerLength, from, from + count);
    this.#headerLength += count;
    if (this.#headerLength < FRAME_HEADER_BYTES) return from + count;
    this.#headerLength = 0;
    return this.#begin(chunk, this.#header, from + count);
  }

  // `header` is the chunk itself at `at`, or the gathered header, with the chunk going on at `at`.
  #begin(chunk: Buffer, header: Buffer, at: number): number {
    const inPlace = header === chunk;
    const from = inPlace ? at : 0;
    const next = inPlace ? at + FRAME_HEADER_BYTES : at;
    const length = header.readUIntBE(from, 3);
    const type = header[from + 3] as number;
    const flags = header[from + 4] as number;
    // RFC 9113 section 4.1: the reserved bit is ignored.
    const streamId = header.readUInt32BE(from + 5) & 0x7fff_ffff;
    this.#length = length;
    if (length > MAX_FRAME_BYTES) {
      this.#sink.onOversize();
      return next;
    }
    if (type === FRAME.DATA) return this.#beginData(chunk, next, flags, streamId);
    const frame = this.#frame;
    frame.type = type;
    frame.flags = flags;
    frame.streamId = streamId;
    if (chunk.length - next >= length) {
      this.#deliver(chunk, next, next + length);
      return next + length;
    }
    this.#state = STATE.payload;
    this.#payload = Buffer.allocUnsafe(length);
    this.#held = 0;
    return next;
  }

  #gather(chunk: Buffer, from: number): number {
    const count = Math.min(this.#length - this.#held, chunk.length - from);
    chunk.copy(this.#payload, this.#held, from, from + count);
    this.#held += count;
    if (this.#held === this.#length) {
      const payload = this.#payload;
      this.#payload = EMPTY;
      this.#state = STATE.header;
      this.#deliver(payload, 0, payload.length);
    }
    return from + count;
  }

  #deliver(bytes: Buffer, start: number, end: number): void {
    const frame = this.#frame;
    frame.bytes = bytes;
    frame.start = start;
    frame.end = end;
    this.#sink.onFrame(frame);
    frame.bytes = EMPTY;
  }

  #beginData(chunk: Buffer, at: number, flags: number, streamId: number): number {
    this.#padding = 0;
    this.#dataLeft = this.#length;
    const isPadded = (flags & FLAG.PADDED) !== 0;
    this.#state = isPadded ? STATE.padLength : STATE.data;
    this.#sink.onDataFrame(streamId, flags, this.#length);
    if (this.#state === STATE.stopped) return at;
    if (isPadded && this.#length === 0) this.#sink.onBadPadding();
    else if (this.#length === 0) this.#endData(chunk, at, at);
    return at;
  }

  #readPadLength(chunk: Buffer, at: number): number {
    this.#padding = chunk[at] as number;
    this.#dataLeft = this.#length - 1 - this.#padding;
    this.#state = STATE.data;
    if (this.#dataLeft < 0) this.#sink.onBadPadding();
    else if (this.#dataLeft === 0) this.#endData(chunk, at + 1, at + 1);
    return at + 1;
  }

  #readData(chunk: Buffer, from: number): number {
    const end = Math.min(chunk.length, from + this.#dataLeft);
    this.#dataLeft -= end - from;
    if (this.#dataLeft === 0) this.#endData(chunk, from, end);
    else this.#sink.onDataPart(chunk, from, end, false);
    return end;
  }

  #endData(chunk: Buffer, start: number, end: number): void {
    this.#state = this.#padding > 0 ? STATE.padding : STATE.header;
    this.#sink.onDataPart(chunk, start, end, true);
  }

  #skipPadding(chunk: Buffer, from: number): number {
    const count = Math.min(this.#padding, chunk.length - from);
    this.#padding -= count;
    if (this.#padding === 0) this.#state = STATE.header;
    return from + count;
  }
}

const EMPTY: Buffer = Buffer.alloc(0);
