import { fail, ok, type Result } from '#lib';
import {
  FIRST_PREVIOUS_HASH,
  hashOf,
  LOG_HEAD_TYPE,
  type LogEntry,
  type LogHead,
  type SignedLogHead,
} from './issuance-entry.ts';
import { isCount, isDigest, isRecord, isText } from './shape.ts';
import { openSignedJson } from './signed-json.ts';

/** Where an issuance log is not what it claims: the entry's number and a sentence. */
export type LogProblem = { readonly number: number; readonly message: string };

/** Against what a log is verified. */
export type LogVerification = {
  /** The head verified last time; entries begin right after it. Absent: they begin with the first. */
  readonly after?: LogHead;
  /** A signed head that the entries must contain, and the key of the trust root that signs such. */
  readonly signedHead?: { readonly envelope: unknown; readonly logKey: string };
};

/**
 * Verifies that entries are one unbroken chain: none edited, dropped, added or moved since. With a signed head also that
 * the authority itself vouches for that chain. Never throws. Returns the head to begin from next time.
 */
export function verifyIssuanceLog(
  entries: readonly LogEntry[],
  against: LogVerification = {},
): Result<LogHead, LogProblem> {
  let head: LogHead = against.after ?? { number: 0, hash: FIRST_PREVIOUS_HASH };
  const hashes = new Map([[head.number, head.hash]]);
  const serials = new Set<string>();
  for (const entry of entries) {
    const problem = problemOf(entry, head) ?? repeated(entry, serials);
    if (problem !== undefined) return fail({ number: head.number + 1, message: problem });
    head = { number: entry.number, hash: entry.hash };
    hashes.set(head.number, head.hash);
  }
  return against.signedHead === undefined ? ok(head) : checkHead(head, hashes, against.signedHead);
}

function problemOf(entry: LogEntry, head: LogHead): string | undefined {
  if (entry?.number !== head.number + 1) return `entry ${head.number + 1} is missing`;
  if (entry.previousHash !== head.hash) return 'the entry does not continue the one before';
  try {
    return hashOf(entry) === entry.hash ? undefined : 'the entry is not what was logged';
  } catch {
    // Fields that JSON cannot say were never logged.
    return 'the entry is malformed';
  }
}

// SECURITY: two certificates of one serial would let a revocation miss one of them.
function repeated(entry: LogEntry, serials: Set<string>): string | undefined {
  if (serials.has(entry.serial)) return `serial ${entry.serial} was issued twice`;
  serials.add(entry.serial);
  return undefined;
}

function checkHead(
  head: LogHead,
  hashes: ReadonlyMap<number, string>,
  signed: NonNullable<LogVerification['signedHead']>,
): Result<LogHead, LogProblem> {
  const opened = openSignedJson(signed.envelope, LOG_HEAD_TYPE, signed.logKey);
  if (!opened.ok) return fail({ number: head.number, message: opened.error.message });
  const claimed = opened.value as Partial<LogHead> | null;
  const number = Number(claimed?.number);
  if (hashes.get(number) === claimed?.hash && claimed?.hash !== undefined) return ok(head);
  const message = 'the signed head is not in this log';
  return fail({ number: Number.isSafeInteger(number) ? number : head.number, message });
}

/** What a signed head says, if the log's key (of the pinned trust root) signed it for this trust domain. */
export function openLogHead(
  envelope: unknown,
  of: { readonly issuanceLogKey: string; readonly trustDomain: string },
): Result<SignedLogHead, string> {
  const opened = openSignedJson(envelope, LOG_HEAD_TYPE, of.issuanceLogKey);
  if (!opened.ok) return fail(opened.error.message);
  const { value } = opened;
  const isHead =
    isRecord(value) &&
    isCount(value['number'], 0) &&
    isDigest(value['hash']) &&
    isText(value['time'], 40) &&
    (value['root'] === undefined || isDigest(value['root'])) &&
    value['trustDomain'] === of.trustDomain;
  return isHead ? ok(value as unknown as SignedLogHead) : fail('the signed head is not one');
}
