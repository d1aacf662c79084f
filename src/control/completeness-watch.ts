import type { SourceHour } from '#record-store';

/** Records of one workload since the last look: those that are there or were left out on purpose, and all. */
export type CompletenessTally = {
  readonly namespace: string;
  readonly service: string;
  readonly good: number;
  readonly total: number;
};

/** Turns what is known of hours into what is new since the last look. */
export type CompletenessWatch = {
  readonly look: (hours: readonly SourceHour[]) => readonly CompletenessTally[];
};

type Seen = { readonly good: number; readonly total: number };

const NOTHING: Seen = { good: 0, total: 0 };

/** Creates a watch; what it first sees was counted before this process started, or is not counted. */
export function createCompletenessWatch(): CompletenessWatch {
  let seen: Map<string, Seen> | undefined;
  return {
    look(hours) {
      // Nothing is known yet: not that there was nothing before.
      if (seen === undefined && hours.length === 0) return [];
      const next = new Map<string, Seen>();
      const tallies: CompletenessTally[] = [];
      for (const one of hours) {
        const { source, issued, arrived, sampled } = one;
        const now = { good: Math.min(issued, arrived + sampled), total: issued };
        const key = `${source} ${one.hour}`;
        const before = seen === undefined ? now : (seen.get(key) ?? NOTHING);
        next.set(key, now);
        const total = now.total - before.total;
        const [namespace = '', service = ''] = source.split('/');
        // Records that come late make an hour better that was counted as bad: a budget is not given back.
        const good = Math.min(total, Math.max(0, now.good - before.good));
        if (total > 0) tallies.push({ namespace, service, good, total });
      }
      seen = next;
      return tallies;
    },
  };
}
