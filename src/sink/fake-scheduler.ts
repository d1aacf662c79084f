// A fake clock with timers for tests: time passes when a test says so.
import type { Scheduler } from './scheduler.ts';

/** A scheduler that a test moves. */
export type FakeScheduler = Scheduler & {
  readonly clock: () => number;
  /** Lets time pass, running what is due in its order, and what that starts. */
  readonly pass: (ms: number) => Promise<void>;
};

/** Creates one at `nowMs`. */
export function createFakeScheduler(nowMs = 1_700_000_000_000): FakeScheduler {
  let now = nowMs;
  const timers = new Set<{ at: number; work: () => void }>();
  const earliest = () => Array.from(timers).toSorted((a, b) => a.at - b.at)[0];
  return {
    clock: () => now,
    after(ms, work) {
      const timer = { at: now + Math.max(0, ms), work };
      timers.add(timer);
      return () => timers.delete(timer);
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
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
}
