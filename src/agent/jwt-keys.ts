import type { WorkloadIdentity } from '#identity';
import { createCell, type Scheduler, type Source } from '#lib';
import { EVENT, type Log } from '#telemetry';
import {
  type DsseEnvelope,
  decodeEnvelope,
  type JwtKeySet,
  openJwtKeys,
  type TrustRoot,
} from '#trust';
import type { CertificateAuthority } from './certificate-authority.ts';
import type { StateFolder } from './state-folder.ts';

/** The keys of our own trust domain's JWT-SVIDs, as the authority signed them; undefined before the first. */
export type JwtKeySource = Source<JwtKeySet | undefined> & {
  /** Asks the authority now, unless it was asked a moment ago; resolves when that is done. Never rejects. */
  readonly refresh: () => Promise<void>;
  readonly close: () => void;
};

/** What the source works with. */
export type JwtKeySourceOptions = {
  readonly agent: Source<WorkloadIdentity | undefined>;
  readonly authority: Pick<CertificateAuthority, 'fetchJwtKeys'>;
  readonly trustRoot: () => TrustRoot;
  /** Keeps the last good document, so that tokens are verified while the authority is gone. */
  readonly folder: StateFolder;
  readonly clock: () => number;
  readonly random: () => number;
  readonly scheduler: Scheduler;
  readonly log: Log;
};

const FILE = 'jwt-keys.json';
const EVERY_MS = 5 * 60_000;
const RETRY_MS = 2_000;
// SECURITY: a token may name any key; what it makes us ask the authority is bounded.
const AT_MOST_EVERY_MS = 1_000;

/** Loads the last good document, verifying it again, and keeps it fresh. */
export function createJwtKeySource(options: JwtKeySourceOptions): JwtKeySource {
  const { agent, authority, folder, clock, random, scheduler, log } = options;
  const cell = createCell(stored(options));
  let cancel = () => {};
  let isClosed = false;
  let askedAt = Number.NEGATIVE_INFINITY;
  let asking: Promise<void> | undefined;
  let writing: Promise<void> = Promise.resolve();

  // Whoever asks again while the disk is slow has to reach the authority: it may have newer keys than those being written.
  function keep(envelope: DsseEnvelope): void {
    writing = writing
      .then(() => folder.writeJson(FILE, envelope))
      .catch((error: unknown) => log.error(EVENT.stateWriteFailed, { file: FILE, error }));
  }

  async function ask(as: WorkloadIdentity): Promise<void> {
    askedAt = clock();
    let inMs = EVERY_MS * (0.8 + 0.4 * random());
    try {
      const { envelope } = await authority.fetchJwtKeys(as);
      const decoded = decodeEnvelope(envelope);
      const opened = decoded.ok ? openJwtKeys(decoded.value, options.trustRoot()) : decoded;
      if (!opened.ok) log.error(EVENT.jwtKeysRefused, { ...opened.error });
      else if (opened.value.sequence < (cell.current()?.sequence ?? 0)) {
        // SECURITY: an older document could bring back a key that was taken out because it leaked.
        log.error(EVENT.jwtKeysRefused, { code: 'version_rollback' });
      } else if (opened.value.sequence !== cell.current()?.sequence) {
        cell.set(opened.value);
        if (decoded.ok) keep(decoded.value);
      }
    } catch (error) {
      inMs = RETRY_MS * (1 + random());
      log.debug(EVENT.jwtKeysUnreachable, { reason: (error as Error).message });
    }
    if (isClosed) return;
    cancel();
    cancel = scheduler.after(inMs, () => void refresh());
  }

  function refresh(): Promise<void> {
    const as = agent.current();
    if (as === undefined || isClosed) return Promise.resolve();
    if (asking === undefined && Math.abs(clock() - askedAt) < AT_MOST_EVERY_MS)
      return Promise.resolve();
    asking ??= ask(as).finally(() => {
      asking = undefined;
    });
    return asking;
  }

  const stop = agent.onChange(() => void refresh());
  void refresh();
  return {
    current: cell.current,
    onChange: cell.onChange,
    refresh,
    close() {
      isClosed = true;
      stop();
      cancel();
    },
  };
}

function stored({ folder, trustRoot, log }: JwtKeySourceOptions): JwtKeySet | undefined {
  const envelope = folder.readJson(FILE);
  if (envelope === undefined) return undefined;
  // SECURITY: the disk is no better than the network.
  const opened = openJwtKeys(envelope, trustRoot());
  if (opened.ok) return opened.value;
  log.error(EVENT.jwtKeysRefused, { ...opened.error });
  return undefined;
}
