/** Upper bounds that Envoy's stats use, so that quantiles compare with other meshes'. */
export const BUCKET_BOUNDS: readonly number[] = [
  0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 600_000,
  1_800_000, 3_600_000,
];

/** Counts per bucket (not cumulative; the last is everything above all bounds) and the sum of values. */
export type Histogram = { readonly buckets: Float64Array; sum: number };

/** An empty histogram. */
export function createHistogram(): Histogram {
  return { buckets: new Float64Array(BUCKET_BOUNDS.length + 1), sum: 0 };
}

/** Adds one value; a few comparisons, no allocation. */
export function observe(histogram: Histogram, value: number): void {
  let bucket = 0;
  while (bucket < BUCKET_BOUNDS.length && value > (BUCKET_BOUNDS[bucket] ?? 0)) bucket++;
  histogram.buckets[bucket] = (histogram.buckets[bucket] ?? 0) + 1;
  histogram.sum += value;
}
