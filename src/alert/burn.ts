import type { BudgetSeries, Ever, Stretch, Tally } from './budget-series.ts';
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
  /** For how much of the long window somebody looked, ms. */
  readonly measuredMs: number;
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
  readonly ever: Ever;
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

// Few samples are no rate (the workbook's "Low-Traffic Services and Error Budget Alerting"). Fewer bad ones than these call
// nobody, nor do bad ones of fewer minutes: one burst, such as that of a start, is an event and not a rate.
/** So many have to be bad in the long window. */
export const MIN_BAD = 5;
/** In so many distinct minutes of it something has to be bad. */
export const MIN_BAD_MINUTES = 3;
/** Where less happens it counts as this much, the rest of it good: the workbook's artificial traffic. */
export const MIN_EVENTS_A_MINUTE = 1;

/** The burn rate that spends `budgetShare` of the budget within the rule's long window. */
export function burnThreshold(slo: Slo, rule: BurnRule): number {
  return (rule.budgetShare * slo.windowMs) / rule.longMs;
}

/**
 * The rate at which the budget went over a window: 1 spends exactly all of it in the SLO's window. Time in which nobody
 * looked counts as time like the rest in which all was well: a mesh of five minutes has not lost an hour's worth, however
 * bad they were, as one that had been well before would not have.
 */
export function burnRate(slo: Slo, { good, total, coverage }: Stretch, windowMs: number): number {
  if (total === 0) return 0;
  const events = Math.max(total / coverage, (windowMs / MINUTE_MS) * MIN_EVENTS_A_MINUTE);
  return (total - good) / events / (1 - slo.objective);
}

function badRatio({ good, total }: Tally): number {
  return total === 0 ? 0 : (total - good) / total;
}

/** Looks at one SLO now. */
export function judgeSlo(slo: Slo, series: BudgetSeries, nowMs: number): SloStatus {
  const { good, total, ...whole } = series.stretch(slo.windowMs, nowMs);
  const spent = (badRatio({ good, total }) * whole.coverage) / (1 - slo.objective);
  const budgetLeftRatio = 1 - spent;
  const burn = (windowMs: number): number =>
    burnRate(slo, series.stretch(windowMs, nowMs), windowMs);
  const burning = BURN_RULES.map((rule) => apply(slo, rule, { series, nowMs })).find(
    (found) => found !== undefined,
  );
  const state =
    total === 0
      ? 'no_data'
      : burning !== undefined
        ? 'burning'
        : budgetLeftRatio < 0
          ? 'exhausted'
          : 'ok';
  return {
    slo,
    good,
    total,
    budgetLeftRatio,
    burn1h: burn(HOUR_MS),
    burn6h: burn(6 * HOUR_MS),
    state,
    burning,
    ever: series.ever(),
  };
}

function apply(
  slo: Slo,
  rule: BurnRule,
  { series, nowMs }: { readonly series: BudgetSeries; readonly nowMs: number },
): Burning | undefined {
  if (rule.longMs > slo.windowMs) return undefined;
  const long = series.stretch(rule.longMs, nowMs);
  const bad = long.total - long.good;
  if (bad < MIN_BAD || long.badMinutes < MIN_BAD_MINUTES) return undefined;
  // An objective that many can miss at once, such as 95 %, cannot burn faster than everything being bad.
  const threshold = Math.min(burnThreshold(slo, rule), 0.9 / (1 - slo.objective));
  const burnLong = burnRate(slo, long, rule.longMs);
  // The short window only says whether it goes on, so what happened in it is enough.
  const burnShort = badRatio(series.stretch(rule.shortMs, nowMs)) / (1 - slo.objective);
  if (burnLong < threshold || burnShort < threshold) return undefined;
  const measuredMs = long.coverage * rule.longMs;
  return { rule, burnLong, burnShort, threshold, bad, total: long.total, measuredMs };
}
