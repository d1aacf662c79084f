import { hkdfSync, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { REDACTION_KEY_BYTES, redactionPeriod } from '#lib';
import { type Passphrase, readSealed, writeSealed } from './sealed-file.ts';

/** The key of the hashes in one period's records. SECURITY: never logged. */
export type PeriodKey = { readonly period: string; readonly key: Uint8Array };

/** What hashes in records are keyed with, for agents to hand to the sidecars of their hosts. */
export type RedactionKeys = {
  /** The key of now, and shortly before its time the one that follows. */
  readonly current: () => readonly PeriodKey[];
};

/** Where the secret lies that all of them come from; made if it is missing. */
export type RedactionKeysOptions = {
  readonly path: string;
  readonly passphrase?: Passphrase;
  readonly trustDomain: string;
  readonly clock: () => number;
};

// Long enough that an agent that asks every few minutes has it in time, short enough that one that was stolen has little.
const AHEAD_MS = 2 * 3_600_000;

/** Opens the secret; throws, naming the file, where it cannot be read, written, or is none. */
export function openRedactionKeys(options: RedactionKeysOptions): RedactionKeys {
  const { path, passphrase, trustDomain, clock } = options;
  if (!existsSync(path)) {
    writeSealed(path, `${randomBytes(REDACTION_KEY_BYTES).toString('base64url')}\n`, passphrase);
  }
  const secret = Buffer.from(readSealed(path, passphrase).trim(), 'base64url');
  if (secret.length !== REDACTION_KEY_BYTES) {
    throw new Error(`\`${path}\` is damaged: restore it, or remove it to start with a new one`);
  }
  return {
    current() {
      const nowMs = clock();
      const periods = new Set([redactionPeriod(nowMs), redactionPeriod(nowMs + AHEAD_MS)]);
      return Array.from(periods, (period) => ({
        period,
        key: deriveRedactionKey(secret, trustDomain, period),
      }));
    },
  };
}

/** One period's key (RFC 5869): of no help in finding another period's, or the secret. */
export function deriveRedactionKey(
  secret: Uint8Array,
  trustDomain: string,
  period: string,
): Uint8Array {
  const info = `palisade redaction key 1\0${trustDomain}\0${period}`;
  return new Uint8Array(hkdfSync('sha256', secret, '', info, REDACTION_KEY_BYTES));
}
