import type { WorkloadIdentity } from '#identity';
import {
  createCell,
  isRedactionPeriod,
  REDACTION_KEY_BYTES,
  type Scheduler,
  type Source,
} from '#lib';
import { EVENT, type Log } from '#telemetry';
import type { CertificateAuthority } from './certificate-authority.ts';

/** The key of the hashes in the records of one day. SECURITY: in memory alone, never logged. */
export type PeriodKey = { readonly period: string; readonly key: Uint8Array };

/** The mesh's keys of now; none before the authority gave the first. */
export type RedactionKeySource = Source<readonly PeriodKey[]> & { readonly close: () => void };

/** What the source works with. */
export type RedactionKeySourceOptions = {
  readonly agent: Source<WorkloadIdentity | undefined>;
  readonly authority: Pick<CertificateAuthority, 'fetchRedactionKeys'>;
  readonly random: () => number;
  readonly scheduler: Scheduler;
  readonly log: Log;
};

// The authority gives the next day's key two hours ahead.
const EVERY_MS = 10 * 60_000;
const RETRY_MS = 5_000;
const MAX_KEYS = 4;

/** Asks the authority for the keys now, and every few minutes. */
export function createRedactionKeySource(options: RedactionKeySourceOptions): RedactionKeySource {
  const { agent, authority, random, scheduler, log } = options;
  const cell = createCell<readonly PeriodKey[]>([]);
  let cancel = () => {};
  let isClosed = false;
  let isAsking = false;

  async function ask(): Promise<void> {
    const as = agent.current();
    if (as === undefined || isClosed || isAsking) return;
    isAsking = true;
    cancel();
    let inMs = EVERY_MS;
    try {
      const { keys } = await authority.fetchRedactionKeys(as);
      const good = goodKeys(keys);
      if (namesOf(good) !== namesOf(cell.current())) cell.set(good);
    } catch (error) {
      inMs = RETRY_MS;
      log.debug(EVENT.redactionKeysUnreachable, { reason: (error as Error).message });
    }
    isAsking = false;
    if (!isClosed) cancel = scheduler.after(inMs * (0.8 + 0.4 * random()), () => void ask());
  }

  const stop = agent.onChange(() => {
    // Each renewal of the agent's certificate is no reason; the first one is.
    if (cell.current().length === 0) void ask();
  });
  void ask();
  return {
    current: cell.current,
    onChange: cell.onChange,
    close() {
      isClosed = true;
      stop();
      cancel();
    },
  };
}

/** Those that can be keys, whoever sent them. */
export function goodKeys(sent: readonly PeriodKey[]): readonly PeriodKey[] {
  return sent
    .filter(({ period, key }) => isRedactionPeriod(period) && key.length === REDACTION_KEY_BYTES)
    .slice(0, MAX_KEYS)
    .map(({ period, key }) => ({ period, key }));
}

// By content, since an authority that was restored from elsewhere has other keys for the same days.
function namesOf(keys: readonly PeriodKey[]): string {
  return keys.map(({ period, key }) => `${period} ${Buffer.from(key).toString('hex')}`).join();
}
