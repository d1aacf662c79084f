import type { DatabaseSync } from 'node:sqlite';
import { createFlooredClock } from '#lib';

/** The authority's clock. */
export type OwnClock = {
  /** Unix milliseconds. */
  readonly now: () => number;
  /** Writes down what the next start may rely on; to be called twice a minute or so. Throws where the disk refuses. */
  readonly keep: () => void;
};

/** A difference that setting a clock right by hand or by NTP's slewing does not exceed, and that everybody tolerates. */
const STEP_MS = 60_000;
/** Who runs for so long beside the clock that only counts is believed: a wrong clock is noticed sooner. */
const STEADY_MS = 3_600_000;

/**
 * Opens the clock by which an authority dates and judges. Nobody dates for it, so what it goes by is that its clock on the
 * wall (`wall`) and the one that only counts (`elapsed`, milliseconds) went alike.
 * SECURITY: set back, it goes on by the latter: a stolen certificate that has expired cannot be renewed for a new one. What a
 * step ahead shows is no floor before it stood for an hour, or whoever sets a clock ahead once would keep it there; and only
 * what stood for an hour is a floor after a restart.
 */
export function openOwnClock(of: {
  readonly database: DatabaseSync;
  readonly wall: () => number;
  readonly elapsed: () => number;
}): OwnClock {
  const { database, wall, elapsed } = of;
  const save = database.prepare('INSERT OR REPLACE INTO own_clock (id, at) VALUES (1, ?)');
  const row = database.prepare('SELECT at FROM own_clock').get();
  let kept = row === undefined ? Number.NEGATIVE_INFINITY : Number(row['at']);
  const floored = createFlooredClock({ wall, elapsed });
  floored.vouch(kept);
  /** What the wall's is ahead of the one that counts, since when. */
  let believed = { offset: wall() - elapsed(), since: elapsed() };
  let strayed: typeof believed | undefined;

  /** Whether the wall's clock goes on as it did; that of a moment ago counts from then on. */
  function look(): boolean {
    const at = elapsed();
    const offset = wall() - at;
    if (offset > believed.offset + STEP_MS) {
      if (strayed === undefined || Math.abs(offset - strayed.offset) > STEP_MS) {
        strayed = { offset, since: at };
      }
      if (at - strayed.since < STEADY_MS) return false;
      believed = strayed;
    }
    strayed = undefined;
    floored.vouch(wall());
    return offset > believed.offset - STEP_MS;
  }

  return {
    now() {
      look();
      return floored.now();
    },
    keep() {
      const isSteady = look() && elapsed() - believed.since >= STEADY_MS;
      if (!isSteady || wall() < kept + STEP_MS) return;
      save.run(wall());
      kept = wall();
    },
  };
}
