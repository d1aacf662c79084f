import { type FileHandle, open } from 'node:fs/promises';
import { type Account, type FrameHeader, noneDropped } from './frame.ts';
import { MAX_BLOCKS } from './record-block.ts';
import { readFrame, type Segment } from './segment.ts';

/** Some frames in a row: their records, and what became of every number of theirs. */
export type SpoolBatch = {
  readonly accounts: readonly Account[];
  /** The records, packed, frame by frame. */
  readonly blocks: readonly Buffer[];
  /** How many there are in the blocks. */
  readonly records: number;
  /** It ends where one message does: there may be more. */
  readonly isFull: boolean;
};

/** What a reader reads and tells. */
export type SpoolReaderOptions = {
  /** In order; changes as the spool is written and shrunk. */
  readonly segments: readonly Segment[];
  /** Numbers up to this one were never in this spool. */
  readonly floorSeq: () => number;
  /** Called for each damaged place in a segment, once for each reading of it. */
  readonly onDamaged: (segment: Segment) => void;
};

type Position = { readonly segment: Segment; readonly generation: number; readonly offset: number };
type Batch = {
  readonly accounts: Account[];
  readonly blocks: Buffer[];
  records: number;
  bytes: number;
  lastSeq: number;
};

// A batch is one message, and gRPC's bound for those is 4 MiB.
const MAX_BATCH_BYTES = 512 * 1024;

/** Reads a spool in order, frame by frame; damaged ones become accounts of what was lost. */
export class SpoolReader {
  readonly #options: SpoolReaderOptions;
  /** Where the frame after `seq` begins. */
  #cursor: (Position & { readonly seq: number }) | undefined;

  constructor(options: SpoolReaderOptions) {
    this.#options = options;
  }

  /** Whole frames after the number `seq`, until there are `limit` records or what one message holds. */
  async readAfter(seq: number, limit: number): Promise<SpoolBatch> {
    const { segments, floorSeq } = this.#options;
    const batch: Batch = {
      accounts: [],
      blocks: [],
      records: 0,
      bytes: 0,
      lastSeq: Math.max(seq, floorSeq()),
    };
    let position = this.#positionAfter(seq);
    while (position !== undefined && !isFull(batch, limit)) {
      const { segment } = position;
      const reached = await this.#readSegment(position, batch, limit);
      this.#cursor = {
        seq: batch.lastSeq,
        segment,
        generation: position.generation,
        offset: reached,
      };
      if (isFull(batch, limit)) break;
      const next: Segment | undefined = segments[segments.indexOf(segment) + 1];
      if (next === undefined || next === segment || !segments.includes(segment)) break;
      position = { segment: next, generation: next.generation, offset: 0 };
    }
    const { accounts, blocks, records } = batch;
    return { accounts, blocks, records, isFull: isFull(batch, limit) };
  }

  async #readSegment(from: Position, batch: Batch, limit: number): Promise<number> {
    const { segment } = from;
    let { offset } = from;
    // Gone meanwhile: the bound or an acknowledgement took it.
    const file = await open(segment.path, 'r').catch(() => undefined);
    if (file === undefined) return offset;
    try {
      while (!isFull(batch, limit)) {
        const next = await this.#readOne(file, { ...from, offset }, batch);
        if (next === undefined) break;
        offset = next;
      }
    } finally {
      await file.close();
    }
    return offset;
  }

  /** Takes one frame into the batch; where to go on, or undefined at the segment's end. */
  async #readOne(file: FileHandle, at: Position, batch: Batch): Promise<number | undefined> {
    const found = await readFrame(file, at.segment, at.offset);
    if (found.kind === 'end') return undefined;
    if (found.kind === 'damaged') this.#options.onDamaged(at.segment);
    const { header } = found;
    if (header !== undefined && header.lastSeq > batch.lastSeq) {
      const gap = gapBefore(header, batch.lastSeq);
      if (gap !== undefined) batch.accounts.push(gap);
      batch.accounts.push(found.kind === 'frame' ? header : damagedOf(header));
      if (found.kind === 'frame' && header.records > 0) {
        batch.blocks.push(found.body);
        batch.records += header.records;
      }
      batch.bytes += header.bytes;
      batch.lastSeq = header.lastSeq;
    }
    return found.next;
  }

  #positionAfter(seq: number): Position | undefined {
    const { segments } = this.#options;
    const cursor = this.#cursor;
    const isCurrent = cursor?.seq === seq && cursor.generation === cursor.segment.generation;
    if (cursor !== undefined && isCurrent && segments.includes(cursor.segment)) return cursor;
    const segment = segments.findLast(({ firstSeq }) => firstSeq <= seq + 1) ?? segments[0];
    return segment && { segment, generation: segment.generation, offset: 0 };
  }
}

function isFull({ accounts, blocks, records, bytes }: Batch, limit: number): boolean {
  if (blocks.length >= MAX_BLOCKS || bytes >= MAX_BATCH_BYTES) return true;
  return records >= limit || accounts.length >= limit;
}

/** Of a frame whose records cannot be believed only the numbers are left. */
function damagedOf(header: FrameHeader): Account {
  return { ...header, records: 0, damaged: header.damaged + header.records };
}

/** Numbers are given without gaps, so what is missing before a frame was in one that is gone. */
function gapBefore(header: FrameHeader, lastSeq: number): Account | undefined {
  if (header.firstSeq <= lastSeq + 1) return undefined;
  return {
    boot: header.boot,
    firstSeq: lastSeq + 1,
    lastSeq: header.firstSeq - 1,
    sinceMs: header.sinceMs,
    untilMs: header.sinceMs,
    records: 0,
    sampled: 0,
    dropped: noneDropped(),
    damaged: header.firstSeq - 1 - lastSeq,
    afterCrash: false,
  };
}
