import {
  closeSync,
  fstatSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import {
  decodeFrame,
  decodeHead,
  encodeFrame,
  type FrameHead,
  HEAD_BYTES,
  nextFrame,
} from './frame.ts';

/** One file of a queue, and what its frames say of themselves. */
export type Segment = {
  readonly number: number;
  readonly path: string;
  bytes: number;
  items: number;
  /** Of the last item; -1 where there is none. */
  position: number;
  /** When the last frame was written; Unix milliseconds. */
  newestAt: number;
  /** Whether what it could spare is gone. */
  isThin: boolean;
};

/** What stands at a place of a segment. */
export type ReadFrame =
  | { readonly kind: 'frame'; readonly head: FrameHead; readonly lines: readonly string[] }
  /** Unreadable up to `next`; `items` is what its head claims, at least 1. */
  | { readonly kind: 'damaged'; readonly next: number; readonly items: number }
  | { readonly kind: 'end' };

/** An empty segment. */
export function emptySegment(number: number, path: string): Segment {
  return { number, path, bytes: 0, items: 0, position: -1, newestAt: 0, isThin: false };
}

/**
 * Reads the heads of a segment's frames. `isTail`: it may end in a torn frame, as a killed process leaves it, which
 * is cut off; whoever wrote it has the items still.
 */
export function openSegment(number: number, path: string, isTail: boolean): Segment {
  const segment = emptySegment(number, path);
  const file = openSync(path, 'r');
  try {
    const { size } = fstatSync(file);
    let offset = 0;
    while (offset < size) {
      const head = headAt(file, offset);
      const isWhole = head !== undefined && offset + head.bytes <= size;
      const isSound = isWhole && (!isTail || decodeFrame(bytesAt(file, offset, head.bytes)).ok);
      if (!isSound) {
        const next = nextFrame(readFileSync(path), offset);
        if (isTail && next >= size) {
          truncateSync(path, offset);
          break;
        }
        offset = next;
        continue;
      }
      count(segment, head);
      offset += head.bytes;
    }
    segment.bytes = offset;
  } finally {
    closeSync(file);
  }
  return segment;
}

/** Adds a frame that was written to what is known of its segment. */
export function count(segment: Segment, head: FrameHead): void {
  segment.bytes += head.bytes;
  segment.items += head.items;
  segment.position = Math.max(segment.position, head.position);
  segment.newestAt = Math.max(segment.newestAt, head.at);
}

/** Reads the frame at `offset`. */
export function readFrame(segment: Segment, offset: number): ReadFrame {
  const { path, bytes } = segment;
  if (offset >= bytes) return { kind: 'end' };
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch {
    // Somebody deleted it, or the disk is gone.
    return { kind: 'damaged', next: bytes, items: Math.max(1, segment.items) };
  }
  try {
    const head = headAt(file, offset);
    if (head !== undefined && offset + head.bytes <= bytes) {
      const lines = decodeFrame(bytesAt(file, offset, head.bytes));
      if (lines.ok) return { kind: 'frame', head, lines: lines.value };
    }
    const next = nextFrame(readFileSync(path), offset);
    return { kind: 'damaged', next, items: Math.max(1, head?.items ?? 1) };
  } finally {
    closeSync(file);
  }
}

/** Writes the segment anew without its spare lines. Throws where the disk does not take it; then it is as it was. */
export function thinSegment(segment: Segment, isSpare: (line: string) => boolean): void {
  const frames: Buffer[] = [];
  const thin = emptySegment(segment.number, segment.path);
  for (let offset = 0; ; ) {
    const read = readFrame(segment, offset);
    if (read.kind === 'end') break;
    offset = read.kind === 'frame' ? offset + read.head.bytes : read.next;
    const lines = read.kind === 'frame' ? read.lines.filter((line) => !isSpare(line)) : [];
    if (read.kind !== 'frame' || lines.length === 0) continue;
    const { position, at } = read.head;
    const frame = encodeFrame({ lines, position, at });
    frames.push(frame);
    count(thin, { bytes: frame.length, items: lines.length, position, at });
  }
  writeFileSync(`${segment.path}.new`, Buffer.concat(frames), { mode: 0o600 });
  renameSync(`${segment.path}.new`, segment.path);
  Object.assign(segment, thin, {
    isThin: true,
    position: segment.position,
    newestAt: segment.newestAt,
  });
}

function headAt(file: number, offset: number): FrameHead | undefined {
  return decodeHead(bytesAt(file, offset, HEAD_BYTES));
}

function bytesAt(file: number, offset: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  return bytes.subarray(0, readSync(file, bytes, 0, length, offset));
}
