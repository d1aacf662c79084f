import { appendFileSync, renameSync, statSync } from 'node:fs';
import type { Evidence } from './evidence.ts';

/** Keeps what a receiver will never take, for a person to look at. */
export type DeadLetters = {
  /** False where it could not be kept. */
  readonly keep: (item: Evidence, reason: string) => boolean;
};

const MAX_BYTES = 16 * 1024 * 1024;

/** Appends JSON lines to `path`, mode 0600; at 16 MiB the file becomes `path.1`, and the one before it goes. */
export function createDeadLetters(path: string, clock: () => number): DeadLetters {
  return {
    keep(item, reason) {
      const at = new Date(clock()).toISOString();
      const line = `${JSON.stringify({ at, reason, id: item.id, kind: item.kind, value: item.value })}\n`;
      try {
        if (sizeOf(path) + line.length > MAX_BYTES) renameSync(path, `${path}.1`);
        appendFileSync(path, line, { mode: 0o600 });
        return true;
      } catch {
        // The disk is full; the caller counts it as lost.
        return false;
      }
    },
  };
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
