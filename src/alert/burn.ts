import type { BudgetSeries, Tally } from './budget-series.ts';
import type { Slo } from './slo.ts';

/** How fast an error budget goes, over a long window and a short one that says whether it still does. */
export type BurnRule = {
  readonly severity: 'page' | 'ticket';
  readonly longMs: number;
  readonly shortMs: number;
  /** The share of the whole budget that the long window may spend. */
  readonly budgetShare: number;
};

/** A rule that holds at this moment. */
export type Burning = {
  readonly rule: BurnRule;
  /** Times as fast as would spend exactly the budget over the SLO's window. */
  readonly burnLong: number;
  readonly burnShort: number;
  readonly threshold: number;
  /** In the long window. */
  readonly bad: number;
  readonly total: number;
};

/** How an SLO stands; `good` and `total` in its window. */
export type SloStatus = {
  readonly slo: Slo;
  readonly good: number;
  readonly total: number;
  /** 1 while nothing is spent; negative when more was bad than the objective allows. */
  readonly budgetLeftRatio: number;
  readonly burn1h: number;
  readonly burn6h: number;
  readonly state: 'ok' | 'burning' | 'exhausted' | 'no_data';
  readonly burning: Burning | undefined;
  /** Since the process started. */
  readonly goodEver: number;
  readonly totalEver: number;
};

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

/**
 * Google's SRE Workbook, chapter 5, "Multiwindow, Multi-Burn-Rate Alerts": over 30 days these shares are burn rates
 * of 14.4, 6, 3 and 1. Fastest first.
 */
export const BURN_RULES: readonly BurnRule[] = [
  { severity: 'page', longMs: HOUR_MS, shortMs: 5 * MINUTE_MS, budgetShare: 0.02 },
  { severity: 'page', longMs: 6 * HOUR_MS, shortMs: 30 * MINUTE_MS, budgetShare: 0.05 },
  { severity: 'ticket', longMs: 24 * HOUR_MS, shortMs: 2 * HOUR_MS, budgetShare: 0.1 },
  { severity: 'ticket', longMs: 72 * HOUR_MS, shortMs: 6 * HOUR_MS, budgetShare: 0.1 },
];

// One failure among three calls is a third of them and nobody's night: so few are no rate.
const MIN_BAD = 5;

/** The burn rate that spends `budgetShare` of the budget within the rule's long window. */
export function burnThreshold(slo: Slo, rule: BurnRule): number {
  return (rule.budgetShare * slo.windowMs) / rule.longMs;
}

/** The rate at which the budget went over a window that ends now: 1 spends exactly all of it in the SLO's window. */
export function burnRate(slo: Slo, { good, total }: Tally): number {
  return total === 0 ? 0 : (total - good) / total / (1 - slo.objective);
}

/** Looks at one SLO now. */
export function judgeSlo(slo: Slo, series: BudgetSeries, nowMs: number): SloStatus {
  const ever = series.ever();
  const whole = series.sum(slo.windowMs, nowMs);
  const spent = burnRate(slo, whole);
  const budgetLeftRatio = 1 - spent;
  const burning = BURN_RULES.map((rule) => apply(slo, rule, { series, nowMs })).find(
    (found) => found !== undefined,
  );
  const state =
    whole.total === 0
      ? 'no_data'
      : burning !== undefined
        ? 'burning'
        : budgetLeftRatio < 0
          ? 'exhausted'
          : 'ok';
  return {
    slo,
    ...whole,
    budgetLeftRatio,
    burn1h: burnRate(slo, series.sum(HOUR_MS, nowMs)),
    burn6h: burnRate(slo, series.sum(6 * HOUR_MS, nowMs)),
    state,
    burning,
    goodEver: ever.good,
    totalEver: ever.total,
  };
}

function apply(
  slo: Slo,
  rule: BurnRule,
  { series, nowMs }: { readonly series: BudgetSeries; readonly nowMs: number },
): Burning | undefined {
  if (rule.longMs > slo.windowMs) return undefined;
  const long = series.sum(rule.longMs, nowMs);
  const bad = long.total - long.good;
  // An objective that many can miss at once, such as 95 %, cannot burn faster than everything being bad.
  const threshold = Math.min(burnThreshold(slo, rule), 0.9 / (1 - slo.objective));
  const burnLong = burnRate(slo, long);
  const burnShort = burnRate(slo, series.sum(rule.shortMs, nowMs));
  if (bad < MIN_BAD || burnLong < threshold || burnShort < threshold) return undefined;
  return { rule, burnLong, burnShort, threshold, bad, total: long.total };
}
