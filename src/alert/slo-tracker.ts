import {
  type BudgetSeries,
  createBudgetSeries,
  type SavedSeries,
  type Tally,
} from './budget-series.ts';
import { judgeSlo, type SloStatus } from './burn.ts';
import { isGood, type Measured, type SliName } from './sli.ts';
import { covers, type Scope, type Slo } from './slo.ts';

/** The series of every SLO as kept on disk, by `seriesKey`. */
export type SavedBudgets = Readonly<Record<string, SavedSeries>>;

/** Counts what is observed towards every SLO that covers it. */
export type SloTracker = {
  /** Replaces the objectives; one whose meaning stayed keeps what was counted. */
  readonly setSlos: (slos: readonly Slo[]) => void;
  readonly count: (sli: SliName, scope: Scope, tally: Tally, nowMs: number) => void;
  readonly measure: (sli: SliName, scope: Scope, measured: Measured, nowMs: number) => void;
  /** Says that somebody looks at this moment: what nobody looks at is neither good nor bad. */
  readonly look: (nowMs: number) => void;
  readonly statuses: (nowMs: number) => readonly SloStatus[];
  readonly save: () => SavedBudgets;
};

// SECURITY: whoever may write policy of a namespace may write SLOs; each costs 29 kB here.
const MAX_SLOS = 256;

/** Creates a tracker with the series of an earlier run. */
export function createSloTracker(slos: readonly Slo[], saved: SavedBudgets = {}): SloTracker {
  let tracked: readonly { readonly slo: Slo; readonly series: BudgetSeries }[] = [];

  function setSlos(next: readonly Slo[]): void {
    const known = new Map(tracked.map(({ slo, series }) => [seriesKey(slo), series]));
    tracked = next.slice(0, MAX_SLOS).map((slo) => {
      const key = seriesKey(slo);
      return { slo, series: known.get(key) ?? createBudgetSeries(saved[key]) };
    });
  }

  setSlos(slos);
  return {
    setSlos,
    count(sli, scope, tally, nowMs) {
      for (const { slo, series } of tracked) {
        if (slo.sli === sli && covers(slo, scope)) series.add(tally, nowMs);
      }
    },
    measure(sli, scope, measured, nowMs) {
      for (const { slo, series } of tracked) {
        if (slo.sli !== sli || !covers(slo, scope)) continue;
        const good = isGood(sli, measured, slo.thresholdMs ?? 0) ? measured.weight : 0;
        series.add({ good, total: measured.weight }, nowMs);
      }
    },
    look(nowMs) {
      for (const { series } of tracked) series.look(nowMs);
    },
    statuses: (nowMs) => tracked.map(({ slo, series }) => judgeSlo(slo, series, nowMs)),
    save: () =>
      Object.fromEntries(tracked.map(({ slo, series }) => [seriesKey(slo), series.save()])),
  };
}

/** Names what is counted: another threshold or scope counts something else, another objective does not. */
function seriesKey({ name, sli, thresholdMs, namespace, service }: Slo): string {
  return [namespace ?? '', name, sli, service ?? '', thresholdMs ?? ''].join('|');
}
