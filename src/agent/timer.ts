import type { Scheduler } from '#lib';

// setTimeout takes 31 bits and fires at once beyond.
const MAX_DELAY_MS = 2 ** 31 - 1;

/** Schedules on Node.js' timers, which alone keep no process running. */
export function createScheduler(): Scheduler {
  return {
    after(ms, work) {
      const timer = setTimeout(work, Math.min(Math.max(0, ms), MAX_DELAY_MS)).unref();
      return () => clearTimeout(timer);
    },
  };
}

// A clock that was set, or a host that slept, shows no later than this.
const RECHECK_MS = 30_000;

/**
 * Does `work` once `clock` says `atMs` (Unix milliseconds) or later, or as much time has passed as there was to go, whichever
 * is first. Timers count time that passes while the host is awake, and certificates expire by the clock on the wall: so the
 * clock is asked again and again. A clock that is set back makes nobody wait for longer.
 */
export function whenClockSays(
  options: {
    readonly atMs: number;
    readonly clock: () => number;
    readonly scheduler: Scheduler;
  },
  work: () => void,
): () => void {
  const { atMs, clock, scheduler } = options;
  let leftMs = atMs - clock();
  let cancel = wait();
  function wait(): () => void {
    const waitMs = Math.min(leftMs, atMs - clock(), RECHECK_MS);
    return scheduler.after(waitMs, () => {
      leftMs -= waitMs;
      if (leftMs <= 0 || clock() >= atMs) work();
      else cancel = wait();
    });
  }
  return () => cancel();
}
