/** Delayed work: the real clock's or a test's. `after` returns how to call it off. */
export type Scheduler = { readonly after: (ms: number, work: () => void) => () => void };

/** Schedules on Node.js' timers, which alone keep no process running. */
export function createScheduler(): Scheduler {
  return {
    after(ms, work) {
      const timer = setTimeout(work, ms).unref();
      return () => clearTimeout(timer);
    },
  };
}
