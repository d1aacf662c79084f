import {
  BACKDATE_MS,
  derToPem,
  type Issuer,
  issueCrl,
  parseSpiffeId,
  type Revocable,
  type RevocationCheck,
  requesterTag,
} from '#identity';
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

function revokedSerials({ entries, revoked, nowMs }: CrlOptions): readonly string[] {
  const serials: string[] = [];
  for (const entry of entries) {
    if (entry.expiresAtMs <= nowMs || entry.kind === 'jwt') continue;
    const svid = revocableOf(entry);
    if (svid !== undefined && revoked(svid, nowMs) !== undefined) serials.push(entry.serial);
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

/** The list of now, made anew whenever something is revoked, and well before it ends. */
export type CrlPublisher = {
  /** DER; undefined until the first is made. */
  readonly current: () => Uint8Array | undefined;
  readonly close: () => void;
};

/** What publishing takes; the list is written to `path` for whoever serves it to outsiders. */
export type CrlPublisherOptions = {
  readonly path: string;
  readonly issuer: () => Issuer;
  readonly issuanceLog: Pick<IssuanceLog, 'read'>;
  readonly store: Pick<RevocationStore, 'check' | 'all'>;
  readonly clock: () => number;
  readonly log: Log;
};

const PAGE = 1_000;
const SOON_MS = 200;

/** Publishes lists until closed. */
export function publishCrl(options: CrlPublisherOptions): CrlPublisher {
  const { path, issuer, store, clock, log } = options;
  let current: Uint8Array | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;

  async function make(): Promise<void> {
    try {
      const entries = await unexpired(options);
      if (isClosed) return;
      const nowMs = clock();
      const number = Math.floor(nowMs / 1000);
      const revoked = store.check.current();
      const revocations = store.all();
      const made = await createCrl({
        issuer: issuer(),
        entries,
        revoked,
        revocations,
        nowMs,
        number,
      });
      if (isClosed) return;
      current = made;
      writeSecretFile(path, derToPem(current).replaceAll('CERTIFICATE', 'X509 CRL'));
    } catch (error) {
      log.error(EVENT.stateWriteFailed, { file: path, error });
    }
    later(CRL_TTL_MS / 4);
  }

  function later(inMs: number): void {
    clearTimeout(timer);
    if (isClosed) return;
    timer = setTimeout(() => void make(), inMs);
    timer.unref();
  }

  const stop = store.check.onChange(() => later(SOON_MS));
  later(SOON_MS);
  return {
    current: () => current,
    close() {
      isClosed = true;
      stop();
      clearTimeout(timer);
    },
  };
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
