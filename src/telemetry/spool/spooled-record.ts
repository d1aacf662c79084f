import type { KeptReason } from '../records/access-record.ts';

/** What a record is, for what goes first where there is no room: the least first. */
export type RecordClass = 'success' | 'error' | 'denial' | 'audit';

/** One record as it lies on disk. */
export type SpooledRecord = {
  readonly seq: number;
  /** The JSON text without its line feed. */
  readonly json: Buffer;
  readonly class: RecordClass;
};

/** The classes in the order in which they are dropped. */
export const RECORD_CLASSES: readonly RecordClass[] = ['success', 'error', 'denial', 'audit'];

const SEQ = Buffer.from(',"seq":');
const KEPT = Buffer.from(',"kept":"');
const MAX_KEPT_BYTES = 32;

const CLASS_OF: Readonly<Record<string, RecordClass | undefined>> = {
  audit: 'audit',
  denied: 'denial',
  error: 'error',
} satisfies Partial<Record<KeptReason, RecordClass>>;

/** The class of a record that was kept for this reason. */
export function classOf(kept: string): RecordClass {
  return CLASS_OF[kept] ?? 'success';
}

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
  const kept = keptBefore(line, at);
  return kept === undefined ? undefined : { seq, json: line, class: classOf(kept) };
}

function keptBefore(line: Buffer, end: number): string | undefined {
  const start = line.lastIndexOf(KEPT, end);
  if (start < 0 || end - start > MAX_KEPT_BYTES || line[end - 1] !== 0x22) return undefined;
  return line.toString('latin1', start + KEPT.length, end - 1);
}

function has(line: Buffer, at: number, expected: Buffer): boolean {
  if (at < 0) return false;
  for (let i = 0; i < expected.length; i++) if (line[at + i] !== expected[i]) return false;
  return true;
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39;
}
