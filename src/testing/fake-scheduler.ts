// A fake clock with timers for tests: time passes when a test says so.
import type { Scheduler } from '#lib';

/** A scheduler that a test moves. */
export type FakeScheduler = Scheduler & {
  readonly clock: () => number;
  /** Lets time pass, running what is due in its order, and what that starts. */
  readonly pass: (ms: number) => Promise<void>;
  /** Sets the clock ahead, as by hand: timers do not notice. */
  readonly setAhead: (ms: number) => void;
  /** Milliseconds until the next timer; undefined if there is none. */
  readonly nextInMs: () => number | undefined;
};

/** Creates one at `nowMs`. */
export function createFakeScheduler(nowMs = Date.now()): FakeScheduler {
  let now = nowMs;
  let ahead = 0;
  const timers = new Set<{ at: number; work: () => void }>();
  const earliest = () => Array.from(timers).sort((a, b) => a.at - b.at)[0];
  return {
    clock: () => now + ahead,
    setAhead(ms) {
      ahead += ms;
    },
    after(ms, work) {
      const timer = { at: now + Math.max(0, ms), work };
      timers.add(timer);
      return () => timers.delete(timer);
    },
    nextInMs: () => {
      const next = earliest();
      return next === undefined ? undefined : next.at - now;
    },
    async pass(ms) {
      const end = now + ms;
      await settle();
      for (let next = earliest(); next !== undefined && next.at <= end; next = earliest()) {
        now = next.at;
        timers.delete(next);
        next.work();
        await settle();
      }
      now = end;
    },
  };
}

/** What work awaits inside this process gets its turn. */
async function settle(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
}
