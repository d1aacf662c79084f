import { crc32 } from 'node:zlib';
import { unpackLines } from './record-block.ts';
import {
  RECORD_CLASSES,
  type RecordClass,
  readRecordLine,
  type SpooledRecord,
} from './spooled-record.ts';

/** Records by class, e.g. those that had to be dropped. */
export type ClassCounts = Record<RecordClass, number>;

/**
 * What became of the calls numbered `firstSeq` to `lastSeq`: INVARIANT: `records`, `sampled`, all of `dropped` and
 * `damaged` add up to their number. As telemetry.proto's Account.
 */
export type Account = {
  /** Names the start of the process that gave the numbers. */
  readonly boot: string;
  readonly firstSeq: number;
  /** One less than `firstSeq` where there are none. */
  readonly lastSeq: number;
  /** Unix milliseconds. */
  readonly sinceMs: number;
  readonly untilMs: number;
  readonly records: number;
  readonly sampled: number;
  readonly dropped: Readonly<ClassCounts>;
  readonly damaged: number;
  /** The start before `boot` did not close its spool. */
  readonly afterCrash: boolean;
};

/** The account of a frame, with what its bytes are checked by. */
export type FrameHeader = Account & {
  /** Of the block of records behind the header, packed. */
  readonly bytes: number;
  /** CRC-32 of those bytes. */
  readonly crc: number;
  /** The last frame of a start that ended as it should. */
  readonly isClosing: boolean;
};

/** What is found where a frame should begin. */
export type FrameStart =
  | { readonly kind: 'header'; readonly header: FrameHeader }
  | { readonly kind: 'damaged' };

/** A header takes this many bytes, filled up with spaces and closed by a line feed. */
export const HEADER_BYTES = 400;
/** No frame holds a larger block. */
export const MAX_BODY_BYTES = 1024 * 1024;
/** Begins each header. SECURITY: a record is one line and begins with a brace, so none can look like this. */
export const FRAME_MARK = Buffer.from('#palisade1 ');

const LINE_FEED = 0x0a;
const SPACE = 0x20;

/** No records of any class. */
export function noneDropped(): ClassCounts {
  return { success: 0, error: 0, denial: 0, audit: 0 };
}

/** The sum over all classes. */
export function sumOf(counts: Readonly<ClassCounts>): number {
  return counts.success + counts.error + counts.denial + counts.audit;
}

/** Writes a header into the `HEADER_BYTES` before the frame's records; `crc` and `bytes` are those of `body`. */
export function encodeHeader(
  target: Buffer,
  body: Buffer,
  account: Account & { readonly isClosing: boolean },
): void {
  const { dropped } = account;
  const json = JSON.stringify({
    boot: account.boot,
    first: account.firstSeq,
    last: account.lastSeq,
    since: account.sinceMs,
    until: account.untilMs,
    records: account.records,
    sampled: account.sampled,
    dropped: RECORD_CLASSES.map((name) => dropped[name]),
    damaged: account.damaged,
    crash: account.afterCrash,
    closing: account.isClosing,
    bytes: body.length,
    crc: crc32(body),
  });
  target.fill(SPACE, 0, HEADER_BYTES);
  FRAME_MARK.copy(target);
  const text = `${hex(crc32(json))} ${json}`;
  if (FRAME_MARK.length + text.length >= HEADER_BYTES)
    throw new Error('a frame header is too long');
  target.write(text, FRAME_MARK.length, 'latin1');
  target[HEADER_BYTES - 1] = LINE_FEED;
}

/** Reads the header at the start of `bytes`, which holds `HEADER_BYTES` at least or is damaged. */
export function decodeHeader(bytes: Buffer): FrameStart {
  const mark = FRAME_MARK.length;
  if (bytes.length < HEADER_BYTES || !bytes.subarray(0, mark).equals(FRAME_MARK)) return DAMAGED;
  if (bytes[HEADER_BYTES - 1] !== LINE_FEED) return DAMAGED;
  let end = HEADER_BYTES - 1;
  // Of spaces alone: `trimEnd` takes other blanks along, which nobody wrote.
  while (bytes[end - 1] === SPACE) end--;
  const json = bytes.toString('latin1', mark + 9, end);
  if (bytes.toString('latin1', mark, mark + 9) !== `${hex(crc32(json))} `) return DAMAGED;
  return readHeader(json);
}

/** Whether the bytes behind a header are those that were written. */
export function isBodyOf(header: FrameHeader, body: Buffer): boolean {
  return body.length === header.bytes && crc32(body) === header.crc;
}

/** The records of a frame's body, one by one; none if it is no block. */
export function recordsOf(body: Uint8Array): SpooledRecord[] {
  const unpacked = unpackLines(body);
  if (!unpacked.ok) return [];
  const lines = unpacked.value;
  const records: SpooledRecord[] = [];
  for (let start = 0; start < lines.length; ) {
    const end = lines.indexOf(LINE_FEED, start);
    const record = end < 0 ? undefined : readRecordLine(lines.subarray(start, end));
    if (record !== undefined) records.push(record);
    start = end < 0 ? lines.length : end + 1;
  }
  return records;
}

const DAMAGED: FrameStart = { kind: 'damaged' };

function readHeader(json: string): FrameStart {
  let value: Record<string, unknown>;
  try {
    value = JSON.parse(json) as Record<string, unknown>;
  } catch {
    // Its checksum holds and it is no JSON: of another version, then, and as little use.
    return DAMAGED;
  }
  const number = (name: string): number => {
    const found = value[name];
    return typeof found === 'number' && Number.isSafeInteger(found) && found >= 0
      ? found
      : Number.NaN;
  };
  const dropped = Array.isArray(value['dropped']) ? (value['dropped'] as unknown[]) : [];
  const [success = 0, error = 0, denial = 0, audit = 0] = dropped.map(Number);
  const header: FrameHeader = {
    boot: String(value['boot']),
    firstSeq: number('first'),
    lastSeq: number('last'),
    sinceMs: number('since'),
    untilMs: number('until'),
    records: number('records'),
    sampled: number('sampled'),
    dropped: { success, error, denial, audit },
    damaged: number('damaged'),
    afterCrash: value['crash'] === true,
    isClosing: value['closing'] === true,
    bytes: number('bytes'),
    crc: number('crc'),
  };
  const isWhole = [header.firstSeq, header.lastSeq, header.bytes, header.crc].every(
    Number.isFinite,
  );
  return isWhole && header.bytes <= MAX_BODY_BYTES ? { kind: 'header', header } : DAMAGED;
}

function hex(crc: number): string {
  return crc.toString(16).padStart(8, '0');
}
