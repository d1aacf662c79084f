/** Delayed work: the real clock's or a test's. `after` returns how to call it off. */
export type Scheduler = { readonly after: (ms: number, work: () => void) => () => void };

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
