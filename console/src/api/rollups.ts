/** One line of `GET /rollups`: what it is of, and its points: an instant, then the metrics asked for. */
export type RollupSeries = {
  readonly key: Readonly<Record<string, string | null>>;
  readonly points: readonly (readonly [string | number, ...(number | null)[]])[];
};

/** `GET /rollups`: counts over time, from the store's sums. */
export type Rollups = { readonly series: readonly RollupSeries[] };
