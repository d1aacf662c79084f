import { constants, crc32, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { fail, ok, type Result } from '#lib';

/** What a frame says of itself before it is unpacked. */
export type FrameHead = {
  /** Of the whole frame. */
  readonly bytes: number;
  readonly items: number;
  /** Of its last item. */
  readonly position: number;
  /** Unix milliseconds. */
  readonly at: number;
};

/** A group of queue entries, written as one. */
export type Frame = Pick<FrameHead, 'position' | 'at'> & { readonly lines: readonly string[] };

/** Bytes before a frame's payload: magic, CRC-32 of what follows, payload length, items, position, time. */
export const HEAD_BYTES = 32;
const MAGIC = Buffer.from('PSQ1', 'latin1');
const MAX_PAYLOAD = 64 * 1024 * 1024;
// Fast rather than small; records still shrink to about a tenth.
const OPTIONS = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };

/** Writes lines, none of which holds a newline, as one frame. */
export function encodeFrame({ lines, position, at }: Frame): Buffer {
  const payload = zstdCompressSync(lines.join('\n'), OPTIONS);
  const frame = Buffer.allocUnsafe(HEAD_BYTES + payload.length);
  MAGIC.copy(frame, 0);
  frame.writeUInt32LE(payload.length, 8);
  frame.writeUInt32LE(lines.length, 12);
  frame.writeDoubleLE(position, 16);
  frame.writeDoubleLE(at, 24);
  payload.copy(frame, HEAD_BYTES);
  frame.writeUInt32LE(crc32(frame.subarray(8)), 4);
  return frame;
}

/** Reads a head from its `HEAD_BYTES` bytes; undefined where they are none. */
export function decodeHead(bytes: Buffer): FrameHead | undefined {
  if (bytes.length < HEAD_BYTES || !bytes.subarray(0, 4).equals(MAGIC)) return undefined;
  const length = bytes.readUInt32LE(8);
  if (length > MAX_PAYLOAD) return undefined;
  return {
    bytes: HEAD_BYTES + length,
    items: bytes.readUInt32LE(12),
    position: bytes.readDoubleLE(16),
    at: bytes.readDoubleLE(24),
  };
}

/** The lines of a whole frame; an error where a bit of it has changed. */
export function decodeFrame(frame: Buffer): Result<readonly string[], 'damaged'> {
  const head = decodeHead(frame);
  if (head === undefined || head.bytes !== frame.length) return fail('damaged');
  if (frame.readUInt32LE(4) !== crc32(frame.subarray(8))) return fail('damaged');
  try {
    const packed = frame.subarray(HEAD_BYTES);
    const text = zstdDecompressSync(packed, { maxOutputLength: MAX_PAYLOAD }).toString('utf8');
    const lines = text.split('\n');
    return lines.length === head.items ? ok(lines) : fail('damaged');
  } catch {
    // What another program wrote with a checksum that fits, or larger than any frame of ours.
    return fail('damaged');
  }
}

/** Where the next intact frame begins in `segment` after `offset`; its length where there is none. */
export function nextFrame(segment: Buffer, offset: number): number {
  let at = segment.indexOf(MAGIC, offset + 1);
  while (at >= 0) {
    const head = decodeHead(segment.subarray(at, at + HEAD_BYTES));
    if (head !== undefined && decodeFrame(segment.subarray(at, at + head.bytes)).ok) return at;
    at = segment.indexOf(MAGIC, at + 1);
  }
  return segment.length;
}
