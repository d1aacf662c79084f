import { open, rename } from 'node:fs/promises';
import {
  type Account,
  type ClassCounts,
  encodeHeader,
  type FrameHeader,
  HEADER_BYTES,
  noneDropped,
  recordsOf,
} from './frame.ts';
import { packLines } from './record-block.ts';
import { readFrame, type Segment } from './segment.ts';
import type { RecordClass, SpooledRecord } from './spooled-record.ts';

const HOUR_MS = 3_600_000;
const LINE_FEED = Buffer.of(0x0a);

/**
 * Rewrites a segment without the records of some classes, frame by frame so that memory stays small. Frames that are left
 * without records become one for each start and hour: an account of what was dropped. What is acknowledged goes
 * altogether. Returns the records dropped.
 */
export async function compactSegment(
  segment: Segment,
  victims: readonly RecordClass[],
  ackedSeq: number,
): Promise<ClassCounts> {
  const dropped = noneDropped();
  const from = await open(segment.path, 'r');
  const path = `${segment.path}.tmp`;
  const to = await open(path, 'w', 0o600);
  let written = 0;
  let held: FrameHeader | undefined;
  const write = async (header: FrameHeader, records: readonly SpooledRecord[]): Promise<void> => {
    const frame = frameOf(header, records);
    await to.writeFile(frame);
    written += frame.length;
  };
  try {
    for (let offset = 0; ; ) {
      const found = await readFrame(from, segment, offset);
      if (found.kind === 'end') break;
      offset = found.next;
      if (found.kind === 'damaged') segment.isDamaged = true;
      const { header } = found;
      if (header === undefined || (header.lastSeq <= ackedSeq && !header.isClosing)) continue;
      const records = found.kind === 'frame' ? recordsOf(found.body) : [];
      const kept = records.filter((record) => !victims.includes(record.class));
      const gone = records.filter((record) => victims.includes(record.class));
      for (const record of gone) dropped[record.class]++;
      const left = accountWithout(header, { gone, kept: kept.length, read: records.length });
      if (held !== undefined && kept.length === 0 && isSameHour(held, left)) {
        held = merged(held, left);
        continue;
      }
      if (held !== undefined) await write(held, []);
      held = kept.length === 0 ? left : undefined;
      if (kept.length > 0) await write(left, kept);
    }
    if (held !== undefined) await write(held, []);
  } finally {
    await Promise.all([from.close(), to.close()]);
  }
  await rename(path, segment.path);
  segment.bytes = written;
  segment.generation++;
  segment.level += victims.length;
  return dropped;
}

function accountWithout(
  header: FrameHeader,
  left: { readonly gone: readonly SpooledRecord[]; readonly kept: number; readonly read: number },
): FrameHeader {
  const dropped = { ...header.dropped };
  for (const record of left.gone) dropped[record.class]++;
  const damaged = header.damaged + header.records - left.read;
  return { ...header, dropped, records: left.kept, damaged };
}

function isSameHour(a: Account, b: Account): boolean {
  const hour = ({ sinceMs }: Account): number => Math.floor(sinceMs / HOUR_MS);
  return a.boot === b.boot && hour(a) === hour(b) && b.firstSeq === a.lastSeq + 1 && !b.afterCrash;
}

function merged(a: FrameHeader, b: FrameHeader): FrameHeader {
  const dropped = noneDropped();
  for (const name of Object.keys(dropped) as RecordClass[]) {
    dropped[name] = a.dropped[name] + b.dropped[name];
  }
  return {
    ...a,
    lastSeq: b.lastSeq,
    untilMs: b.untilMs,
    sampled: a.sampled + b.sampled,
    damaged: a.damaged + b.damaged,
    dropped,
    isClosing: b.isClosing,
  };
}

function frameOf(header: FrameHeader, records: readonly SpooledRecord[]): Buffer {
  const body = packLines(Buffer.concat(records.flatMap(({ json }) => [json, LINE_FEED])));
  const frame = Buffer.concat([Buffer.alloc(HEADER_BYTES), body]);
  encodeHeader(frame, body, header);
  return frame;
}
