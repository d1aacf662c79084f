import { readSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { decodeHeader, FRAME_MARK, type FrameHeader, HEADER_BYTES, isBodyOf } from './frame.ts';

/** A file of frames, named by the first number that it may tell of. */
export type Segment = {
  readonly firstSeq: number;
  readonly path: string;
  /** What has been written for certain. */
  bytes: number;
  /** How many classes of records have been dropped from it. */
  level: number;
  /** Changes when the file is replaced: offsets from before mean nothing any more. */
  generation: number;
  /** When its last frame was written, by the clock of records; Unix milliseconds. */
  untilMs: number;
  /** Something in it could not be read. */
  isDamaged: boolean;
};

/** What is at an offset of a segment; `next` is where to go on. */
export type FoundFrame =
  | {
      readonly kind: 'frame';
      readonly header: FrameHeader;
      /** Its block of records; empty where there are none. */
      readonly body: Buffer;
      readonly next: number;
    }
  /** Without a header not even its numbers are known: they show as a gap before the next frame. */
  | { readonly kind: 'damaged'; readonly header: FrameHeader | undefined; readonly next: number }
  | { readonly kind: 'end' };

const SCAN_BYTES = 64 * 1024;

/** Reads the frame at `offset`, and tells what is none from what is damaged. */
export async function readFrame(
  file: FileHandle,
  segment: Pick<Segment, 'bytes'>,
  offset: number,
): Promise<FoundFrame> {
  if (offset >= segment.bytes) return { kind: 'end' };
  const start = decodeHeader(await readPart(file, offset, HEADER_BYTES));
  if (start.kind === 'damaged') {
    return { kind: 'damaged', header: undefined, next: await nextMark(file, segment, offset + 1) };
  }
  const { header } = start;
  const next = offset + HEADER_BYTES + header.bytes;
  const body = await readPart(file, offset + HEADER_BYTES, header.bytes);
  // Even where the bytes behind a good header are not its own, the numbers are.
  if (!isBodyOf(header, body)) {
    return { kind: 'damaged', header, next: await nextMark(file, segment, offset + HEADER_BYTES) };
  }
  return { kind: 'frame', header, body, next };
}

/** `length` bytes at `offset`, fewer at the end of the file. */
async function readPart(file: FileHandle, offset: number, length: number): Promise<Buffer> {
  if (length === 0) return Buffer.alloc(0);
  const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(length), 0, length, offset);
  return buffer.subarray(0, bytesRead);
}

/** Where the next header may begin: its mark stands at the start of a line. */
async function nextMark(
  file: FileHandle,
  segment: Pick<Segment, 'bytes'>,
  from: number,
): Promise<number> {
  for (let at = from; at < segment.bytes; at += SCAN_BYTES - FRAME_MARK.length) {
    const part = await readPart(file, at, Math.min(SCAN_BYTES, segment.bytes - at));
    const found = part.indexOf(FRAME_MARK);
    if (found >= 0) return at + found;
    if (part.length === 0) break;
  }
  return segment.bytes;
}

/** As `nextMark`, blocking; `end` if there is none. */
export function nextMarkSync(fd: number, from: number, end: number): number {
  const part = Buffer.allocUnsafe(Math.min(SCAN_BYTES, Math.max(0, end - from)));
  for (let at = from; at < end; at += SCAN_BYTES - FRAME_MARK.length) {
    const read = readSync(fd, part, 0, part.length, at);
    const found = part.subarray(0, read).indexOf(FRAME_MARK);
    if (found >= 0) return at + found;
    if (read === 0) break;
  }
  return end;
}

/** A segment with nothing in it yet. */
export function newSegment(firstSeq: number, path: string, untilMs: number): Segment {
  return { firstSeq, path, bytes: 0, level: 0, generation: 0, untilMs, isDamaged: false };
}
