import {
  FLAG,
  FRAME,
  FRAME_HEADER_BYTES,
  INITIAL_WINDOW,
  MAX_FRAME_BYTES,
  MAX_WINDOW,
  SETTING,
} from './frames.ts';
import type { Guard } from './guard.ts';
import { HpackEncoder } from './hpack-encoder.ts';
import { forgetBytes, keepBytes } from './kept-bytes.ts';
import { Output, writeUint32 } from './output.ts';
import type { H2Stream } from './stream.ts';

/** What the sending side tells its connection. */
export type SenderEvents = {
  /** There is output where there was none. */
  readonly onOutput: () => void;
  /** END_STREAM has left on it. */
  readonly onLocalEnd: (stream: H2Stream) => void;
};

/**
 * The sending side of a connection: frames of all streams go into one buffer, at once where windows
 * allow it, otherwise stream by stream in turn, one frame each.
 */
export class Sender {
  readonly output = new Output();
  readonly encoder = new HpackEncoder();
  window: number = INITIAL_WINDOW;
  readonly #events: SenderEvents;
  readonly #guard: Guard;
  readonly #maxGatherBytes: number;
  /** Streams with pending bytes and an open window, in turn. */
  #queue: H2Stream[] = [];
  #isAnnounced = false;

  constructor(events: SenderEvents, guard: Guard, maxGatherBytes: number) {
    this.#events = events;
    this.#guard = guard;
    this.#maxGatherBytes = maxGatherBytes;
  }

  /** Writes bytes that are no frame: the preface. */
  raw(bytes: Buffer): void {
    const out = this.output.room(bytes.length);
    bytes.copy(out, this.output.length);
    this.output.length += bytes.length;
    this.#announce();
  }

  /** HEADERS, and CONTINUATION where the block needs it. */
  headers(stream: H2Stream, fields: readonly string[], isEnd: boolean): void {
    const { output } = this;
    const out = output.room(FRAME_HEADER_BYTES + this.encoder.bound(fields));
    const start = output.length + FRAME_HEADER_BYTES;
    const length = this.encoder.encode(fields, out, start) - start;
    const endFlag = isEnd ? FLAG.END_STREAM : 0;
    if (length <= MAX_FRAME_BYTES) {
      output.frame(length, FRAME.HEADERS, FLAG.END_HEADERS | endFlag, stream.id);
      output.length += length;
    } else this.#splitBlock(stream, Buffer.from(out.subarray(start, start + length)), endFlag);
    if (isEnd) this.#ended(stream);
    this.#announce();
  }

  /** Sends or keeps body bytes; false if some had to be kept. */
  data(stream: H2Stream, chunk: Buffer, start: number, end: number, isEnd: boolean): boolean {
    const wanted = end - start;
    if (wanted === 0 && !isEnd) return stream.pendingBytes === 0;
    const room = this.#maxGatherBytes - this.output.length;
    const count =
      stream.pendingBytes > 0
        ? 0
        : Math.max(0, Math.min(wanted, stream.sendWindow, this.window, room));
    stream.localEnd = isEnd;
    if (count === wanted && stream.pendingBytes === 0) {
      this.#frames(stream, chunk, start, end, isEnd);
      this.#announce();
      return true;
    }
    if (count > 0) this.#frames(stream, chunk, start, start + count, false);
    if (count < wanted) {
      if (stream.pendingBytes === 0) stream.waitingSince = this.#guard.nowMs;
      stream.pending.push(keepBytes(chunk, start + count, end));
      stream.pendingBytes += wanted - count;
    }
    this.#enqueue(stream);
    this.#announce();
    return false;
  }

  /** Ends the stream with `fields`, behind what is pending. */
  trailers(stream: H2Stream, fields: readonly string[]): void {
    stream.localEnd = true;
    if (stream.pendingBytes > 0) stream.pendingTrailers = fields;
    else this.headers(stream, fields, true);
  }

  /** A frame whose payload is one number: RST_STREAM, WINDOW_UPDATE. */
  word(type: number, streamId: number, value: number): void {
    this.output.word(type, streamId, value);
    this.#announce();
  }

  /** SETTINGS with pairs of identifier and value; with none and `isAck`, the acknowledgement. */
  settings(pairs: readonly (readonly [number, number])[], isAck: boolean): void {
    const length = pairs.length * 6;
    const out = this.output.room(FRAME_HEADER_BYTES + length);
    this.output.frame(length, FRAME.SETTINGS, isAck ? FLAG.ACK : 0, 0);
    for (const [id, value] of pairs) {
      const at = this.output.length;
      out[at] = 0;
      out[at + 1] = id;
      writeUint32(out, at + 2, value);
      this.output.length += 6;
    }
    this.#announce();
  }

  /** PING with the 8 bytes `bytes[start, start + 8)`. */
  ping(bytes: Buffer, start: number, isAck: boolean): void {
    const out = this.output.room(FRAME_HEADER_BYTES + 8);
    this.output.frame(8, FRAME.PING, isAck ? FLAG.ACK : 0, 0);
    bytes.copy(out, this.output.length, start, start + 8);
    this.output.length += 8;
    this.#announce();
  }

  /** GOAWAY; `reason` is ASCII and short. */
  goaway(lastStreamId: number, code: number, reason: string): void {
    const out = this.output.room(FRAME_HEADER_BYTES + 8 + reason.length);
    this.output.frame(8 + reason.length, FRAME.GOAWAY, 0, 0);
    writeUint32(out, this.output.length, lastStreamId);
    writeUint32(out, this.output.length + 4, code);
    out.write(reason, this.output.length + 8, 'latin1');
    this.output.length += 8 + reason.length;
    this.#announce();
  }

  /** The peer gave credit; false if the window is larger than any may be. */
  credit(stream: H2Stream | undefined, bytes: number): boolean {
    if (stream === undefined) {
      this.window += bytes;
      if (this.window > MAX_WINDOW) return false;
    } else {
      stream.sendWindow += bytes;
      if (stream.sendWindow > MAX_WINDOW) return false;
      this.#enqueue(stream);
    }
    if (this.#queue.length > 0 && this.window > 0) this.#announce();
    return true;
  }

  /** Forgets what a stream has pending. */
  drop(stream: H2Stream): void {
    for (const kept of stream.pending) forgetBytes(kept);
    stream.pending.length = 0;
    stream.pendingAt = 0;
    stream.pendingBytes = 0;
    stream.pendingTrailers = undefined;
  }

  /** Whether there is anything to take now. */
  get hasOutput(): boolean {
    return this.output.length > 0 || (this.#queue.length > 0 && this.window > 0);
  }

  /** Everything that can go out now, in one piece, up to the gather limit. */
  take(): Buffer | undefined {
    while (this.#queue.length > 0 && this.window > 0 && this.output.length < this.#maxGatherBytes) {
      this.#sendPending(this.#queue.shift() as H2Stream);
    }
    this.#isAnnounced = false;
    const taken = this.output.take();
    // More than one buffer's worth waits: its taker has to come again.
    if (this.hasOutput) this.#announce();
    return taken;
  }

  #announce(): void {
    if (this.#isAnnounced) return;
    this.#isAnnounced = true;
    this.#events.onOutput();
  }

  #enqueue(stream: H2Stream): void {
    if (stream.isQueued || stream.pendingBytes === 0 || stream.sendWindow <= 0) return;
    stream.isQueued = true;
    this.#queue.push(stream);
  }

  // One frame of what is pending, so that streams take turns.
  #sendPending(stream: H2Stream): void {
    stream.isQueued = false;
    const count = Math.min(stream.pendingBytes, stream.sendWindow, this.window, MAX_FRAME_BYTES);
    if (count <= 0 || stream.isReset) return this.#enqueue(stream);
    stream.waitingSince = this.#guard.nowMs;
    const isLast = count === stream.pendingBytes;
    const isEnd = isLast && stream.localEnd && stream.pendingTrailers === undefined;
    const out = this.output.room(FRAME_HEADER_BYTES + count);
    this.output.frame(count, FRAME.DATA, isEnd ? FLAG.END_STREAM : 0, stream.id);
    this.#copyPending(stream, out, count);
    this.#spend(stream, count);
    if (!isLast) return this.#enqueue(stream);
    const trailers = stream.pendingTrailers;
    this.drop(stream);
    if (trailers !== undefined) this.headers(stream, trailers, true);
    else if (isEnd) this.#ended(stream);
    else stream.sink.onDrain();
  }

  #copyPending(stream: H2Stream, out: Buffer, count: number): void {
    let left = count;
    while (left > 0) {
      const first = stream.pending[0] as Buffer;
      const part = Math.min(left, first.length - stream.pendingAt);
      first.copy(out, this.output.length, stream.pendingAt, stream.pendingAt + part);
      this.output.length += part;
      left -= part;
      stream.pendingAt += part;
      if (stream.pendingAt === first.length) {
        stream.pending.shift();
        stream.pendingAt = 0;
        forgetBytes(first);
      }
    }
  }

  #frames(stream: H2Stream, chunk: Buffer, start: number, end: number, isEnd: boolean): void {
    const { output } = this;
    let at = start;
    do {
      const count = Math.min(MAX_FRAME_BYTES, end - at);
      const isLast = isEnd && at + count === end;
      const out = output.room(FRAME_HEADER_BYTES + count);
      output.frame(count, FRAME.DATA, isLast ? FLAG.END_STREAM : 0, stream.id);
      chunk.copy(out, output.length, at, at + count);
      output.length += count;
      at += count;
    } while (at < end);
    this.#spend(stream, end - start);
    if (isEnd) this.#ended(stream);
  }

  #spend(stream: H2Stream, bytes: number): void {
    stream.pendingBytes = Math.max(0, stream.pendingBytes - bytes);
    stream.sendWindow -= bytes;
    this.window -= bytes;
    if (bytes > 0) this.#guard.sent(bytes);
  }

  #ended(stream: H2Stream): void {
    stream.localEnd = true;
    stream.localClosed = true;
    this.#events.onLocalEnd(stream);
  }

  #splitBlock(stream: H2Stream, block: Buffer, endFlag: number): void {
    const { output } = this;
    for (let at = 0; at < block.length; at += MAX_FRAME_BYTES) {
      const count = Math.min(MAX_FRAME_BYTES, block.length - at);
      const isLast = at + count === block.length;
      const out = output.room(FRAME_HEADER_BYTES + count);
      const flags = (isLast ? FLAG.END_HEADERS : 0) | (at === 0 ? endFlag : 0);
      output.frame(count, at === 0 ? FRAME.HEADERS : FRAME.CONTINUATION, flags, stream.id);
      block.copy(out, output.length, at, at + count);
      output.length += count;
    }
  }
}

/** What a peer is told first (RFC 9113 section 6.5.2). */
export function ownSettings(
  limits: {
    readonly maxStreams: number;
    readonly streamWindow: number;
    readonly maxFieldBytes: number;
  },
  isClient: boolean,
): readonly (readonly [number, number])[] {
  const common: readonly (readonly [number, number])[] = [
    [SETTING.INITIAL_WINDOW_SIZE, limits.streamWindow],
    [SETTING.MAX_HEADER_LIST_SIZE, limits.maxFieldBytes],
  ];
  if (isClient) return [[SETTING.ENABLE_PUSH, 0], ...common];
  return [[SETTING.MAX_CONCURRENT_STREAMS, limits.maxStreams], ...common];
}
