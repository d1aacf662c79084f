/** One record as it lies on disk. */
export type SpooledRecord = {
  readonly seq: number;
  /** The JSON text without its line feed. */
  readonly json: Buffer;
  /** A denial or an error: shipped whatever the budget, kept longest. */
  readonly isNotable: boolean;
};

const SEQ = Buffer.from(',"seq":');
const ALLOW = Buffer.from(',"verdict":"allow"');
const NO_REASON = Buffer.from(',"reason":null');
const ALLOWED_REASON = Buffer.from(',"reason":"allowed');
const MAX_REASON_BYTES = 64;

/**
 * Reads a record's line without parsing its JSON, from the fields that `formatRecord` puts last; undefined if
 * it is torn. Done by hand because a busy proxy's shipper passes over thousands of lines a second.
 */
export function readRecordLine(line: Buffer): SpooledRecord | undefined {
  let at = line.length - 1;
  if (line[at] !== 0x7d || line[0] !== 0x7b) return undefined;
  const digitsEnd = at;
  while (at > 0 && isDigit(line[at - 1])) at--;
  if (at === digitsEnd || digitsEnd - at > 15) return undefined;
  const seq = Number(line.toString('latin1', at, digitsEnd));
  at -= SEQ.length;
  if (!has(line, at, SEQ)) return undefined;
  return { seq, json: line, isNotable: !wentThrough(line, at) };
}

/** Whether the call was allowed, had no reason code and no status of the 500s. */
function wentThrough(line: Buffer, end: number): boolean {
  let at = end - ALLOW.length;
  if (!has(line, at, ALLOW)) return false;
  at = reasonStart(line, at);
  if (at < 0) return false;
  const isServerError = at >= 3 && line[at - 3] === 0x35 && isDigit(line[at - 1]);
  return !isServerError;
}

/** Where `,"reason":…` begins if it is null or says why the call was allowed; else -1. */
function reasonStart(line: Buffer, end: number): number {
  if (has(line, end - NO_REASON.length, NO_REASON)) return end - NO_REASON.length;
  const start = line.lastIndexOf(ALLOWED_REASON, end);
  return start >= 0 && end - start < MAX_REASON_BYTES ? start : -1;
}

function has(line: Buffer, at: number, expected: Buffer): boolean {
  if (at < 0) return false;
  for (let i = 0; i < expected.length; i++) if (line[at + i] !== expected[i]) return false;
  return true;
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39;
}
