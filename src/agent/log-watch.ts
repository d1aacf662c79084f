import { hash } from 'node:crypto';
import type { WorkloadIdentity } from '#identity';
import { fail, type Result, type Scheduler, type Source } from '#lib';
import { EVENT, type Log } from '#telemetry';
import {
  decodeEnvelope,
  type LogEntry,
  type LogHead,
  openLogHead,
  type TrustRoot,
  verifyIssuanceLog,
} from '#trust';
import type { ReadLogResponse, LogEntry as WireEntry, X509SvidResponse } from '#wire';
import type { StateFolder } from './state-folder.ts';

/** An agent's eye on the authority's log: each certificate it got must be in it, and the log may only grow. */
export type LogWatch = {
  /** Takes note of an answer of the authority; it is looked up in the log soon. */
  readonly note: (response: X509SvidResponse) => void;
  /** What is wrong with the log, in words; undefined while nothing is known to be. */
  readonly problem: () => string | undefined;
  /** Looks now; resolves when done. Never rejects. */
  readonly look: () => Promise<void>;
  readonly close: () => void;
};

/** What watching takes. */
export type LogWatchOptions = {
  readonly folder: StateFolder;
  readonly agent: Source<WorkloadIdentity | undefined>;
  readonly authority: {
    readonly readLog: (
      as: WorkloadIdentity,
      after: number,
      limit: number,
    ) => Promise<ReadLogResponse>;
  };
  readonly trustRoot: () => TrustRoot;
  /** Hears what the authority says of the control plane's audit log. */
  readonly onWitnessed: (said: Pick<ReadLogResponse, 'auditCheckpoint' | 'auditRefused'>) => void;
  readonly clock: () => number;
  readonly random: () => number;
  readonly scheduler: Scheduler;
  readonly log: Log;
};

/** A certificate that this agent got, and where the log is to show it. */
type Expected = { readonly number: number; readonly hash: string; readonly digest: string };

const FILE = 'issuance-log.json';
const PAGE = 1_000;
// A look reads this much at most; what is left comes with the next.
const MAX_PAGES = 50;
const LOOK_EVERY_MS = 60_000;
const SOON_MS = 2_000;
// SECURITY: an authority that never shows what it promised is found out long before.
const MAX_EXPECTED = 10_000;

/**
 * Follows the log from the head that was seen first, on disk over restarts.
 * SECURITY: an authority that shows one log to us and another to auditors, takes entries back, or issues past its log
 * cannot give us a certificate again without showing it.
 */
export function createLogWatch(options: LogWatchOptions): LogWatch {
  const { authority, folder, log, random, scheduler } = options;
  let head = storedHead(folder.readJson(FILE));
  let problem: string | undefined;
  let expected: Expected[] = [];
  let looking: Promise<void> | undefined;
  let cancel = () => {};
  let isClosed = false;
  const headSeen = rememberHead(options.trustRoot);

  function alarm(message: string): void {
    if (problem === undefined) log.error(EVENT.issuanceLogBroken, { reason: message });
    problem ??= message;
  }

  function later(inMs: number): void {
    cancel();
    if (!isClosed) cancel = scheduler.after(inMs, () => void look());
  }

  async function readOn(as: WorkloadIdentity): Promise<void> {
    for (let page = 0; page < MAX_PAGES && head !== undefined && problem === undefined; page++) {
      const response = await authority.readLog(as, head.number, PAGE);
      options.onWitnessed(response);
      const next = checkPage(response, { head, expected, trustRoot: options.trustRoot() });
      if (!next.ok) return alarm(next.error);
      head = next.value;
      expected = expected.filter(({ number }) => number > next.value.number);
      if (response.entries.length < PAGE) return;
    }
  }

  async function lookOnce(): Promise<void> {
    const as = options.agent.current();
    if (as === undefined || head === undefined || problem !== undefined) return;
    const before = head;
    try {
      await readOn(as);
    } catch (error) {
      // Not reachable is not broken; what is expected waits.
      log.debug(EVENT.issuanceLogUnreachable, { error });
    }
    if (head === before) return;
    await folder.writeJson(FILE, head).catch((error: unknown) => {
      log.error(EVENT.stateWriteFailed, { file: FILE, error });
    });
  }

  function look(): Promise<void> {
    looking ??= lookOnce().finally(() => {
      looking = undefined;
      later(LOOK_EVERY_MS * (0.5 + random()));
    });
    return looking;
  }

  later(LOOK_EVERY_MS * random());
  return {
    note(response) {
      const seen = headSeen(response.logHead);
      if (!seen.ok)
        return alarm(`an answer of the authority has no head of its log: ${seen.error}`);
      const { logNumber, logHash, chain } = response;
      const number = Number(logNumber);
      if (seen.value.number < number) return alarm(`the signed head is older than entry ${number}`);
      const digest = hash('sha256', chain[0] ?? Buffer.alloc(0), 'hex');
      // The log is followed from the entry before the first certificate that is seen.
      head ??= { number, hash: logHash };
      if (expected.length < MAX_EXPECTED) expected.push({ number, hash: logHash, digest });
      later(SOON_MS * (0.5 + random()));
      return undefined;
    },
    problem: () => problem,
    look,
    close() {
      isClosed = true;
      cancel();
    },
  };
}

/** The head after a page, if it continues `head`, is vouched for, and shows what was promised. */
function checkPage(
  response: ReadLogResponse,
  against: {
    readonly head: LogHead;
    readonly expected: readonly Expected[];
    readonly trustRoot: TrustRoot;
  },
): Result<LogHead, string> {
  const { head, expected, trustRoot } = against;
  const signed = headOf(response.head, trustRoot);
  if (!signed.ok) return fail(`the authority signs no head of its log: ${signed.error}`);
  if (signed.value.number < head.number) {
    const claim = `the authority's log ends at entry ${signed.value.number}`;
    return fail(`${claim}, though it had ${head.number} before: it was rolled back`);
  }
  const entries = response.entries.map(entryOf);
  const next = verifyIssuanceLog(entries, { after: head });
  if (!next.ok) return fail(`the authority's log forked or is damaged: ${next.error.message}`);
  const hashes = new Map(entries.map((entry) => [entry.number, entry]));
  const claimed = signed.value.number === head.number ? head : hashes.get(signed.value.number);
  if (claimed !== undefined && claimed.hash !== signed.value.hash) {
    return fail('the signed head of the authority is of another log than the one it shows');
  }
  // Nothing more although the signed head says there is.
  if (entries.length === 0 && signed.value.number > head.number) {
    return fail(`the authority does not show entries after ${head.number}`);
  }
  for (const { number, hash: promised, digest } of expected) {
    const entry = hashes.get(number);
    if (number > next.value.number || (entry === undefined && number > head.number)) continue;
    if (entry !== undefined && (entry.hash !== promised || entry.certificateSha256 !== digest)) {
      return fail(`a certificate of this host is not in the log: entry ${number} is another's`);
    }
  }
  return next;
}

/** `headOf` for many answers: those that one write of the log sealed come with the same signed head. */
function rememberHead(trustRoot: () => TrustRoot): (bytes: Uint8Array) => Result<LogHead, string> {
  let last: { bytes: Uint8Array; root: TrustRoot; head: Result<LogHead, string> } | undefined;
  return (bytes) => {
    const root = trustRoot();
    if (last?.root === root && Buffer.compare(last.bytes, bytes) === 0) return last.head;
    last = { bytes, root, head: headOf(bytes, root) };
    return last.head;
  };
}

function headOf(bytes: Uint8Array, trustRoot: TrustRoot): Result<LogHead, string> {
  const envelope = decodeEnvelope(bytes);
  if (!envelope.ok) return fail(envelope.error.message);
  return openLogHead(envelope.value, trustRoot);
}

/** An entry as it was hashed. */
function entryOf(entry: WireEntry): LogEntry {
  const { attestation, kind, audience } = entry;
  return {
    number: Number(entry.number),
    previousHash: entry.previousHash,
    hash: entry.hash,
    timeMs: Number(entry.timeMs),
    spiffeId: entry.spiffeId,
    serial: entry.serial,
    expiresAtMs: Number(entry.expiresAtMs),
    selectors: entry.selectors,
    requestedBy: entry.requestedBy,
    allowedBy: entry.allowedBy,
    certificateSha256: entry.certificateSha256,
    ...(attestation === '' ? {} : { attestation: attestation as never }),
    ...(kind === 'jwt' ? { kind, audience } : {}),
  };
}

function storedHead(stored: unknown): LogHead | undefined {
  if (typeof stored !== 'object' || stored === null) return undefined;
  const { number, hash: digest } = stored as Record<string, unknown>;
  if (typeof number !== 'number' || typeof digest !== 'string') return undefined;
  return { number, hash: digest };
}
