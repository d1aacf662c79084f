import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type AuditEvent, eventOfLine, TAIL_BYTES } from './event.ts';
import { SEGMENT_RECORDS, segmentName } from './segment.ts';

/** Which part of a log to read: above index `after`, within the first `size` records. */
export type ReadRange = { readonly after: number; readonly limit: number; readonly size: number };

/** Up to `limit` events of a folder, oldest first; records that cannot be read are left out. */
export async function readEvents(
  { folder }: { readonly folder: string },
  { after, limit, size }: ReadRange,
): Promise<AuditEvent[]> {
  const events: AuditEvent[] = [];
  let next = after + 1;
  while (next < size && events.length < limit) {
    const first = next - (next % SEGMENT_RECORDS);
    const most = Math.min(limit - events.length, size - next);
    events.push(...(await readSegment(folder, first, next - first, most)));
    next = first + SEGMENT_RECORDS;
  }
  return events;
}

async function readSegment(
  folder: string,
  first: number,
  skip: number,
  limit: number,
): Promise<AuditEvent[]> {
  const events: AuditEvent[] = [];
  for (const line of linesOf(await segmentBytes(folder, first), skip)) {
    if (events.length === limit) break;
    const event = eventOf(line);
    if (event !== undefined) events.push(event);
  }
  return events;
}

/** One record's line and the hash before it. */
export type RecordLine = { readonly text: string; readonly previous: string };

/** The records' lines in a segment's bytes after the first `skip` of them. */
export function* linesOf(bytes: Buffer, skip: number): Generator<RecordLine> {
  let start = bytes.indexOf(10) + 1;
  for (let record = 0; start > 0; record++) {
    const end = bytes.indexOf(10, start) + 1;
    if (end === 0) return;
    if (record >= skip) {
      const previous = bytes.toString('latin1', start - TAIL_BYTES, start - TAIL_BYTES + 64);
      yield { text: bytes.toString('utf8', start, end), previous };
    }
    start = end;
  }
}

/** The event in a line; undefined if it is none. */
export function eventOf({ text, previous }: RecordLine): AuditEvent | undefined {
  try {
    return eventOfLine(text, previous);
  } catch {
    // Damaged; verifying names it.
    return undefined;
  }
}

/** The bytes of a segment; none if its records are no longer kept. */
export async function segmentBytes(folder: string, first: number): Promise<Buffer> {
  try {
    return await readFile(join(folder, segmentName(first)));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return Buffer.alloc(0);
    throw error;
  }
}
