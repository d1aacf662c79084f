import { WIDE_ZERO } from '../records/access-record.ts';

/** Upper bounds that Envoy's stats use, so that quantiles compare with other meshes'. */
export const BUCKET_BOUNDS: readonly number[] = [
  0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 600_000,
  1_800_000, 3_600_000,
];

/** Upper bounds for decisions, in seconds: from what an index costs to what an external authorizer may take. */
export const DECISION_BOUNDS: readonly number[] = [
  0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025,
  0.05, 0.1, 0.5, 1,
];

/** Counts per bucket (not cumulative; the last is everything above all bounds) and the sum of values. */
export type Histogram = {
  readonly bounds: readonly number[];
  readonly buckets: Float64Array;
  sum: number;
};

/** An empty histogram. */
export function createHistogram(bounds: readonly number[] = BUCKET_BOUNDS): Histogram {
  return { bounds, buckets: new Float64Array(bounds.length + 1), sum: WIDE_ZERO };
}

/** Adds one value; a few comparisons, no allocation. */
export function observe(histogram: Histogram, value: number): void {
  const { bounds } = histogram;
  let bucket = 0;
  while (bucket < bounds.length && value > (bounds[bucket] ?? 0)) bucket++;
  histogram.buckets[bucket] = (histogram.buckets[bucket] ?? 0) + 1;
  histogram.sum += value;
}
