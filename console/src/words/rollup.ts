/** Sums over time as a chart takes them: every line with a value for each of the same instants. Pure. */
import type { RollupSeries, Rollups } from '../api/rollups.ts';

/** What a chart shows of one series; instants are milliseconds since 1970, the beginnings of their steps. */
export type Aligned = {
  readonly instants: readonly number[];
  /** By metric, in the order asked for, then by instant. */
  readonly values: readonly (readonly number[])[];
};

/** An instant as an API may write it: ISO 8601, milliseconds or seconds since 1970; NaN for anything else. */
export function instantMs(instant: string | number): number {
  if (typeof instant === 'string') return Date.parse(instant);
  return instant < 1e11 ? instant * 1000 : instant;
}

/** The values of all steps from one instant to another; a step of which nothing is known counts nothing. */
export function alignSeries(
  series: readonly RollupSeries[],
  options: { fromMs: number; untilMs: number; stepMs: number; metrics: number },
): Aligned {
  const { fromMs, untilMs, stepMs, metrics } = options;
  const first = Math.ceil(fromMs / stepMs);
  const count = Math.max(0, Math.floor(untilMs / stepMs) - first + 1);
  const values = Array.from({ length: metrics }, () => Array.from({ length: count }, () => 0));
  for (const [instant, ...measured] of series.flatMap((one) => one.points)) {
    const at = Math.floor(instantMs(instant) / stepMs) - first;
    if (!(at >= 0 && at < count)) continue;
    for (const [metric, line] of values.entries())
      line[at] = (line[at] ?? 0) + (measured[metric] ?? 0);
  }
  const instants = Array.from({ length: count }, (_, index) => (first + index) * stepMs);
  return { instants, values };
}

/** What to say of a line that begins with nothing: a strip that is empty at its left is no quiet time if nobody listened. */
export function emptyWords(aligned: Aligned, label: (instantMs: number) => string): string {
  const [calls = []] = aligned.values;
  const first = calls.findIndex((count) => count > 0);
  const instant = aligned.instants[first];
  if (first === -1) return 'No call of this time is on record.';
  return first === 0 || instant === undefined
    ? ''
    : `No call is on record before ${label(instant)}.`;
}

/** One edge's calls, denials and errors, summed. */
export type EdgeSum = {
  readonly source: string;
  readonly destination: string;
  readonly calls: number;
  readonly denied: number;
  readonly errors: number;
};

/** Sums of edges asked for as `requests,denied,errors`; those with most trouble first, those without left out. */
export function troubledEdges(rollups: Rollups): readonly EdgeSum[] {
  return rollups.series
    .map(({ key, points }): EdgeSum => {
      const sum = (metric: 1 | 2 | 3): number =>
        points.reduce((total, point) => total + (point[metric] ?? 0), 0);
      return {
        source: key['source'] ?? 'unknown',
        destination: key['destination'] ?? 'unknown',
        calls: sum(1),
        denied: sum(2),
        errors: sum(3),
      };
    })
    .filter((edge) => edge.denied + edge.errors > 0)
    .toSorted((a, b) => b.denied + b.errors - (a.denied + a.errors) || b.calls - a.calls);
}
