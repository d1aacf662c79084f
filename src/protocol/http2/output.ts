import { FRAME_HEADER_BYTES } from './frames.ts';

// Buffers go round between all connections of the process: each is needed for one turn of the loop
// only, and a fresh one for every turn would be the largest garbage of all.
const FREE: Buffer[] = [];
const BUFFER_BYTES = 128 * 1024;
const MAX_FREE = 8;

/** Frames of many streams behind one another, to be written at once. */
export class Output {
  length = 0;
  #bytes: Buffer | undefined;

  /** The buffer with room for `count` more bytes at `length`; the caller moves `length` on. */
  room(count: number): Buffer {
    const bytes = this.#bytes ?? (this.#bytes = FREE.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES));
    if (bytes.length - this.length >= count) return bytes;
    const grown = Buffer.allocUnsafeSlow(Math.max(bytes.length * 2, this.length + count));
    bytes.copy(grown, 0, 0, this.length);
    this.#bytes = grown;
    return grown;
  }

  /** Writes the header of a frame; `room` for it and its payload has been made. */
  frame(length: number, type: number, flags: number, streamId: number): void {
    const bytes = this.#bytes as Buffer;
    const at = this.length;
    bytes[at] = length >>> 16;
    bytes[at + 1] = length >>> 8;
    bytes[at + 2] = length;
    bytes[at + 3] = type;
    bytes[at + 4] = flags;
    writeUint32(bytes, at + 5, streamId);
    this.length = at + FRAME_HEADER_BYTES;
  }

  /** Writes a frame whose payload is one number of 32 bits. */
  word(type: number, streamId: number, value: number): void {
    const bytes = this.room(FRAME_HEADER_BYTES + 4);
    this.frame(4, type, 0, streamId);
    writeUint32(bytes, this.length, value);
    this.length += 4;
  }

  /** What was gathered; it belongs to the caller until `release`. */
  take(): Buffer | undefined {
    const bytes = this.#bytes;
    if (bytes === undefined || this.length === 0) return undefined;
    const taken = bytes.subarray(0, this.length);
    this.#bytes = undefined;
    this.length = 0;
    return taken;
  }
}

/**
 * Gives back what `take` returned, once it has been written.
 * INVARIANT: nobody reads or writes it afterwards.
 */
export function releaseOutput(taken: Buffer): void {
  if (taken.buffer.byteLength !== BUFFER_BYTES || FREE.length >= MAX_FREE) return;
  FREE.push(Buffer.from(taken.buffer));
}

/** Writes a big-endian number of 32 bits. */
export function writeUint32(bytes: Buffer, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}
