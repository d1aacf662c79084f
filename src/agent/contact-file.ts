import { EVENT, type Log } from '#telemetry';
import type { StateFolder } from './state-folder.ts';

/** When the control plane last gave a sign of life, over restarts. */
export type ContactFile = {
  /** Unix milliseconds; undefined if it never did. */
  readonly lastContactAt: number | undefined;
  /** Notes a sign of life; written down once a minute. */
  readonly note: (atMs: number) => void;
};

const FILE = 'contact.json';
const SAVE_EVERY_MS = 60_000;

/**
 * Opens the note of earlier runs.
 * SECURITY: were it forgotten, restarting a proxy would buy it another staleness budget.
 */
export function openContactFile(folder: StateFolder, nowMs: number, log: Log): ContactFile {
  const stored = folder.readJson(FILE);
  const isTime = typeof stored === 'number' && Number.isFinite(stored);
  let savedAt = Number.NEGATIVE_INFINITY;
  return {
    // A time to come is a clock that was moved: it would never grow stale.
    lastContactAt: isTime ? Math.min(stored, nowMs) : undefined,
    note(atMs) {
      if (Math.abs(atMs - savedAt) < SAVE_EVERY_MS) return;
      savedAt = atMs;
      folder.writeJson(FILE, atMs).catch((error: unknown) => {
        log.error(EVENT.stateWriteFailed, { file: FILE, error });
      });
    },
  };
}
