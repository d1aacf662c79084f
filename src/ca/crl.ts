import {
  BACKDATE_MS,
  derToPem,
  type Issuer,
  issueCrl,
  parseSpiffeId,
  type Revocable,
  type RevocationCheck,
  type RevokedSerial,
  requesterTag,
} from '#identity';
import type { Scheduler } from '#lib';
import type { RevocationStore } from '#revocation';
import { EVENT, type Log } from '#telemetry';
import { activeRevocations, type LogEntry, type VerifiedRevocation } from '#trust';
import type { IssuanceLog } from './issuance-log.ts';
import { writeSecretFile } from './secret-file.ts';

/** What a revocation list is made of. */
export type CrlOptions = {
  readonly issuer: Issuer;
  /** Everything the authority issued, in any order. */
  readonly entries: Iterable<LogEntry>;
  readonly revoked: RevocationCheck;
  /** What is revoked: where it is nothing, no entry is looked at. */
  readonly revocations: readonly VerifiedRevocation[];
  readonly nowMs: number;
  /** Growing with each list (RFC 5280 section 5.2.3). */
  readonly number: number;
};

/** Until when a list is good; another one comes long before. */
export const CRL_TTL_MS = 24 * 3_600_000;

/**
 * A list for those outside of the mesh (RFC 5280 section 5), DER: the unexpired certificates that no longer count. Inside
 * nobody needs it, since revocations themselves are there sooner and say more.
 */
export function createCrl(options: CrlOptions): Promise<Uint8Array> {
  const { issuer, nowMs, number } = options;
  const serials =
    activeRevocations(options.revocations).length === 0 ? [] : revokedSerials(options);
  return issueCrl({ issuer, number, thisUpdate: nowMs, nextUpdate: nowMs + CRL_TTL_MS, serials });
}

function revokedSerials({ entries, revoked, nowMs }: CrlOptions): readonly RevokedSerial[] {
  const serials: RevokedSerial[] = [];
  for (const entry of entries) {
    if (entry.expiresAtMs <= nowMs || entry.kind === 'jwt') continue;
    const svid = revocableOf(entry);
    const found = svid && revoked(svid, nowMs);
    // RFC 5280 5.3: when it was revoked, the same in each list; an author's clock may be ahead of ours.
    if (found !== undefined) {
      serials.push({ serial: entry.serial, revokedAt: Math.min(found.since ?? nowMs, nowMs) });
    }
  }
  return serials;
}

function revocableOf({ spiffeId, serial, timeMs, requestedBy }: LogEntry): Revocable | undefined {
  const id = parseSpiffeId(spiffeId);
  if (!id.ok) return undefined;
  // Certificates know seconds only; what enforcement points see is what counts.
  const notBefore = Math.floor((timeMs - BACKDATE_MS) / 1000) * 1000;
  const requester = requestedBy === '' ? undefined : requesterTag(requestedBy);
  return { id: id.value, serial, notBefore, requester };
}

/** The lists of now, made anew whenever something is revoked or its revocation ends, and well before they end. */
export type CrlPublisher = {
  /** The active issuer's, DER; undefined until the first is made. */
  readonly current: () => Uint8Array | undefined;
  /** Makes them anew soon if there are other issuers than those they are of. */
  readonly refresh: () => void;
  readonly close: () => void;
};

/** What publishing takes; the lists are written to `path`, PEM, for whoever serves them to outsiders. */
export type CrlPublisherOptions = {
  readonly path: string;
  /** Those under which somebody may hold a certificate, the active one first. */
  readonly issuers: () => readonly Issuer[];
  readonly issuanceLog: Pick<IssuanceLog, 'read'>;
  readonly store: Pick<RevocationStore, 'check' | 'all' | 'active'>;
  readonly clock: () => number;
  /** Timers that alone keep no process running unless given. */
  readonly scheduler?: Scheduler;
  readonly log: Log;
};

const TIMERS: Scheduler = {
  after(ms, work) {
    const timer = setTimeout(work, ms).unref();
    return () => clearTimeout(timer);
  },
};
const PAGE = 1_000;
const SOON_MS = 200;
// A disk that is full or a key device that is away comes back; outsiders believe the list of before until then.
const RETRY_MS = 10_000;

/** Publishes lists until closed. */
export function publishCrl(options: CrlPublisherOptions): CrlPublisher {
  return new Publisher(options);
}

class Publisher implements CrlPublisher {
  readonly #options: CrlPublisherOptions;
  readonly #stop: () => void;
  #current: Uint8Array | undefined;
  /** Certificates of the issuers whose lists are made. */
  #issuers: readonly Uint8Array[] = [];
  #number = 0;
  #cancel = () => {};
  #isWaiting = false;
  #isClosed = false;

  constructor(options: CrlPublisherOptions) {
    this.#options = options;
    this.#stop = options.store.check.onChange(() => this.#later(SOON_MS));
    this.#later(SOON_MS);
  }

  readonly current = (): Uint8Array | undefined => this.#current;

  refresh(): void {
    const issuers = this.#options.issuers();
    const isSame =
      issuers.length === this.#issuers.length &&
      issuers.every(({ certificateDer }, i) => certificateDer === this.#issuers[i]);
    if (!isSame) this.#later(SOON_MS);
  }

  close(): void {
    this.#isClosed = true;
    this.#stop();
    this.#cancel();
  }

  #later(inMs: number): void {
    this.#cancel();
    if (this.#isClosed) return;
    this.#isWaiting = true;
    this.#cancel = (this.#options.scheduler ?? TIMERS).after(inMs, () => {
      this.#isWaiting = false;
      void this.#make();
    });
  }

  async #make(): Promise<void> {
    const { path, log, clock } = this.#options;
    let againInMs = RETRY_MS;
    try {
      const lists = await this.#lists();
      if (this.#isClosed) return;
      writeSecretFile(path, lists.map((der) => derToPem(der, 'X509 CRL')).join(''));
      this.#current = lists[0];
      againInMs = this.#nextInMs(clock());
    } catch (error) {
      log.error(EVENT.crlFailed, { file: path, error });
    }
    // What was revoked meanwhile asks for the next one sooner.
    if (!this.#isWaiting) this.#later(againInMs);
  }

  /**
   * One list for each issuer: a verifier takes that of whoever signed the certificate (RFC 5280 section 6.3.3), also while
   * a rotation has two of them. All name the same serial numbers, of which no two issuers of ours give the same.
   */
  async #lists(): Promise<readonly Uint8Array[]> {
    const { store, clock } = this.#options;
    const entries = await unexpired(this.#options);
    const issuers = this.#options.issuers();
    const nowMs = clock();
    // INVARIANT: two lists in one second, or after the clock was set back, have numbers that grow (RFC 5280 5.2.3).
    this.#number = Math.max(this.#number + 1, nowMs);
    const of = { entries, revoked: store.check.current(), revocations: store.all(), nowMs };
    const number = this.#number;
    const lists = await Promise.all(issuers.map((issuer) => createCrl({ ...of, issuer, number })));
    this.#issuers = issuers.map(({ certificateDer }) => certificateDer);
    return lists;
  }

  // A revocation that ends by itself must not stay in the list for hours.
  #nextInMs(nowMs: number): number {
    const ends = this.#options.store.active().flatMap(({ until }) => (until > nowMs ? until : []));
    return Math.min(CRL_TTL_MS / 4, ...ends.map((until) => until - nowMs));
  }
}

/** What may still be used, read a page a turn: a long log must not keep anybody waiting for a certificate. */
async function unexpired({ issuanceLog, store, clock }: CrlPublisherOptions): Promise<LogEntry[]> {
  const found: LogEntry[] = [];
  if (activeRevocations(store.all()).length === 0) return found;
  for (let after = 0; ; ) {
    const page = issuanceLog.read(after, PAGE);
    found.push(...page.filter(({ expiresAtMs }) => expiresAtMs > clock()));
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE) return found;
    after = last.number;
    await new Promise((resolve) => setImmediate(resolve));
  }
}
