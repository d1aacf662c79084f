import type { Result } from '#lib';
import { EVENT, type Log } from '#telemetry';
import { decodeEnvelope, type SignedLogHead } from '#trust';
import { type GrpcClient, Issuance, type LogEntry, type ReadLogResponse } from '#wire';

/** One issued certificate, as the CA logged it; times are ISO 8601. */
export type IssuedIdentity = {
  readonly spiffeId: string;
  readonly serial: string;
  readonly issuedAt: string;
  readonly expiresAt: string;
  readonly selectors: readonly string[];
  /** `none`, `token`, `process`, `kubernetes` or `tpm`; null where version 0.1 issued it. */
  readonly attestation: string | null;
  readonly allowedBy: string;
  readonly requestedBy: string;
  readonly certificateSha256: string;
  readonly logNumber: number;
  /** The newest of its ID that has not expired. */
  readonly current: boolean;
};

/** What is known of the issuance log. */
export type IssuanceState = {
  readonly log: {
    readonly number: number;
    readonly hash: string;
    /** Whether each entry read so far follows the one before it. */
    readonly verified: boolean;
    readonly reason: string;
    /** The newest head that the authority signed; null while there is none. */
    readonly signed: SignedLogHead | null;
  } | null;
  readonly reachable: boolean;
  readonly reason: string;
};

/** Follows the CA's issuance log. */
export type IssuanceReader = {
  /** Reads what is new; resolves to whether anything was. Never rejects. */
  readonly refresh: () => Promise<boolean>;
  /** Newest first. */
  readonly identities: () => readonly IssuedIdentity[];
  readonly state: () => IssuanceState;
  /** A page of the log as the CA shows it, and its signed head. Rejects when the CA cannot be asked. */
  readonly page: (after: number, limit: number) => Promise<ReadLogResponse>;
};

/** What reading needs: a client under the present certificate, which is closed after use. */
export type IssuanceOptions = {
  readonly client: () => GrpcClient;
  /** What a signed head says, if the trust root's log key signed it. */
  readonly openHead: (envelope: unknown) => Result<SignedLogHead, string>;
  readonly clock: () => number;
  readonly log: Log;
};

type Head = { readonly number: number; readonly hash: string };

const PAGE = 1_000;
// Older entries stay in the CA's log; what is shown are the certificates of the last days.
const MAX_ENTRIES = 50_000;

/** Creates a reader that has read nothing yet. */
export function createIssuanceReader(options: IssuanceOptions): IssuanceReader {
  const { client, clock, log } = options;
  let entries: LogEntry[] = [];
  let head: Head | undefined;
  let broken: string | undefined;
  let signed: SignedLogHead | null = null;
  let failure: string | undefined = 'not read yet';
  let reading: Promise<boolean> | undefined;

  async function read(): Promise<boolean> {
    const before = head;
    let channel: GrpcClient | undefined;
    try {
      channel = client();
      for (;;) {
        const after = BigInt(head?.number ?? 0);
        const page = await channel.unary(Issuance.method.readLog, { after, limit: PAGE });
        for (const entry of page.entries) take(entry);
        if (page.entries.length < PAGE) {
          takeHead(page.head);
          break;
        }
      }
      failure = undefined;
    } catch (error) {
      failure = error instanceof Error ? error.message : String(error);
      log.warn(EVENT.issuanceLogUnreachable, { reason: failure });
    } finally {
      channel?.close();
    }
    return head !== before;
  }

  function takeHead(bytes: Uint8Array): void {
    const envelope = decodeEnvelope(bytes);
    const opened = envelope.ok ? options.openHead(envelope.value) : envelope;
    if (opened.ok) signed = opened.value;
  }

  function take(entry: LogEntry): void {
    const problem = linkProblem(head, entry);
    if (problem !== undefined && broken === undefined) {
      broken = problem;
      log.error(EVENT.issuanceLogBroken, { reason: problem });
    }
    head = { number: Number(entry.number), hash: entry.hash };
    // Tokens of minutes would push the certificates out of what is kept to be shown.
    if (entry.kind !== '') return;
    entries.push(entry);
    if (entries.length > MAX_ENTRIES) entries = entries.slice(-MAX_ENTRIES / 2);
  }

  return {
    refresh() {
      reading ??= read().finally(() => {
        reading = undefined;
      });
      return reading;
    },
    async page(after, limit) {
      const channel = client();
      try {
        return await channel.unary(Issuance.method.readLog, { after: BigInt(after), limit });
      } finally {
        channel.close();
      }
    },
    identities: () => issued(entries, clock()),
    state: () => ({
      log:
        head === undefined
          ? null
          : { ...head, verified: broken === undefined, reason: broken ?? '', signed },
      reachable: failure === undefined,
      reason: failure ?? '',
    }),
  };
}

/** Why `entry` cannot come after `head`. Whether hashes fit their entries is for `palisade audit verify`. */
function linkProblem(head: Head | undefined, entry: LogEntry): string | undefined {
  const number = Number(entry.number);
  if (number !== (head?.number ?? 0) + 1) {
    return `entry ${number} came after entry ${head?.number ?? 0}`;
  }
  if (head !== undefined && entry.previousHash !== head.hash) {
    return `entry ${number} does not continue from the entry ${head.number} that was read before`;
  }
  return undefined;
}

function issued(entries: readonly LogEntry[], nowMs: number): readonly IssuedIdentity[] {
  const newest = new Map<string, bigint>();
  for (const { spiffeId, number, expiresAtMs } of entries) {
    if (Number(expiresAtMs) > nowMs) newest.set(spiffeId, number);
  }
  return entries.toReversed().map((entry) => ({
    spiffeId: entry.spiffeId,
    serial: entry.serial,
    issuedAt: isoOf(entry.timeMs),
    expiresAt: isoOf(entry.expiresAtMs),
    selectors: entry.selectors,
    attestation: entry.attestation === '' ? null : entry.attestation,
    allowedBy: entry.allowedBy,
    requestedBy: entry.requestedBy,
    certificateSha256: entry.certificateSha256,
    logNumber: Number(entry.number),
    current: newest.get(entry.spiffeId) === entry.number,
  }));
}

function isoOf(ms: bigint): string {
  const date = new Date(Number(ms));
  return Number.isNaN(date.getTime()) ? new Date(0).toISOString() : date.toISOString();
}
