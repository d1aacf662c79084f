import type { Scheduler } from '#lib';

/** Schedules on Node.js' timers, which alone keep no process running. */
export function createScheduler(): Scheduler {
  return {
    after(ms, work) {
      const timer = setTimeout(work, ms).unref();
      return () => clearTimeout(timer);
    },
  };
}
