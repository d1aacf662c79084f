import { FLAG, type Frame } from './frames.ts';
import type { Guard } from './guard.ts';
import type { Http2Error } from './messages.ts';

/** A header block that is complete: `bytes[start, end)`, only lent. */
export type HeaderBlock = {
  readonly streamId: number;
  readonly isEnd: boolean;
  /** It names itself as the stream it depends on (RFC 7540 section 5.3.1). */
  readonly isSelfDependent: boolean;
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
};

/** Compressed bytes of a block, whatever its fields may be. */
const MAX_BLOCK_BYTES = 64 * 1024;

/** Puts HEADERS and its CONTINUATION frames together (RFC 9113 section 6.10). */
export class HeaderBlocks {
  /** The stream whose block is not complete; 0 if there is none: then only CONTINUATION may come. */
  openStreamId = 0;
  readonly #guard: Guard;
  #isEnd = false;
  #isSelfDependent = false;
  #held: Buffer = EMPTY;
  #length = 0;

  constructor(guard: Guard) {
    this.#guard = guard;
  }

  /** Takes HEADERS: the block, nothing yet, or why the connection has to end. */
  readHeaders(frame: Frame): HeaderBlock | Http2Error | undefined {
    let { start, end } = frame;
    const { bytes, flags } = frame;
    let padding = 0;
    if ((flags & FLAG.PADDED) !== 0) {
      if (start === end) return 'h2_bad_frame_size';
      padding = bytes[start++] as number;
    }
    let isSelfDependent = false;
    if ((flags & FLAG.PRIORITY) !== 0) {
      if (end - start < PRIORITY_BYTES) return 'h2_bad_frame_size';
      isSelfDependent = (bytes.readUInt32BE(start) & 0x7fff_ffff) === frame.streamId;
      start += PRIORITY_BYTES;
    }
    if (padding > end - start) return 'h2_bad_padding';
    end -= padding;
    const isEnd = (flags & FLAG.END_STREAM) !== 0;
    if ((flags & FLAG.END_HEADERS) !== 0) {
      return { streamId: frame.streamId, isEnd, isSelfDependent, bytes, start, end };
    }
    this.openStreamId = frame.streamId;
    this.#isEnd = isEnd;
    this.#isSelfDependent = isSelfDependent;
    this.#length = 0;
    return this.#guard.continuation(true) ?? this.#hold(bytes, start, end);
  }

  /** Takes CONTINUATION of the open stream. */
  readContinuation(frame: Frame): HeaderBlock | Http2Error | undefined {
    const flood = this.#guard.continuation(false);
    if (flood !== undefined) return flood;
    const error = this.#hold(frame.bytes, frame.start, frame.end);
    if (error !== undefined || (frame.flags & FLAG.END_HEADERS) === 0) return error;
    const bytes = this.#held;
    this.openStreamId = 0;
    this.#held = EMPTY;
    return {
      streamId: frame.streamId,
      isEnd: this.#isEnd,
      isSelfDependent: this.#isSelfDependent,
      bytes,
      start: 0,
      end: this.#length,
    };
  }

  // SECURITY: the size is bounded before a byte is decoded; nothing else ends a flood of fragments.
  #hold(bytes: Buffer, start: number, end: number): Http2Error | undefined {
    const length = this.#length + end - start;
    if (length > MAX_BLOCK_BYTES) return 'h2_headers_too_large';
    if (length > this.#held.length) {
      const grown = Buffer.allocUnsafe(Math.min(MAX_BLOCK_BYTES, Math.max(1024, length * 2)));
      this.#held.copy(grown, 0, 0, this.#length);
      this.#held = grown;
    }
    bytes.copy(this.#held, this.#length, start, end);
    this.#length = length;
    return undefined;
  }
}

const EMPTY: Buffer = Buffer.alloc(0);
const PRIORITY_BYTES = 5;
