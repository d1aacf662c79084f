import type { Metric, Registry, RegistryContentType } from 'prom-client';
import type { Histogram } from './histogram.ts';

/** One metric with its samples at the time of a scrape. */
export type MetricFamily = {
  readonly name: string;
  readonly help: string;
} & (
  | { readonly kind: 'counter' | 'gauge'; readonly samples: readonly NumberSample[] }
  | { readonly kind: 'histogram'; readonly samples: readonly HistogramSample[] }
);

/** A labelled number. */
export type NumberSample = {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
};

/** A labelled distribution. */
export type HistogramSample = {
  readonly labels: Readonly<Record<string, string>>;
  readonly histogram: Histogram;
};

/** A scrape's answer. */
export type Exposition = { readonly contentType: string; readonly body: string };

type Value = { labels: Record<string, string | number>; value: number; metricName?: string };

/**
 * Writes families as Prometheus text 0.0.4 or OpenMetrics 1.0.0. prom-client does the writing; its own
 * counters, which cost 700 ns an increment, stay unused.
 */
export async function expose(
  families: readonly MetricFamily[],
  openMetrics: boolean,
): Promise<Exposition> {
  // Loaded by the first scrape: 10 MB that a sidecar nobody scrapes need not have.
  const { default: prometheus } = await import('prom-client');
  const registry: Registry<RegistryContentType> = new prometheus.Registry();
  registry.setContentType(
    openMetrics
      ? prometheus.Registry.OPENMETRICS_CONTENT_TYPE
      : prometheus.Registry.PROMETHEUS_CONTENT_TYPE,
  );
  for (const family of families) registry.registerMetric(asMetric(family, openMetrics));
  return { contentType: registry.contentType, body: await registry.metrics() };
}

function asMetric(family: MetricFamily, openMetrics: boolean): Metric {
  const metric = {
    name: family.name,
    help: family.help,
    type: family.kind,
    // Under OpenMetrics the registry renames a counter before it asks, hence `this`-like access to the name.
    get: () => Promise.resolve({ ...metric, values: valuesOf(family, openMetrics) }),
  };
  // The registry calls nothing else of a metric than `get` and its name.
  return metric as unknown as Metric;
}

function valuesOf(family: MetricFamily, openMetrics: boolean): Value[] {
  if (family.kind === 'histogram') {
    return family.samples.flatMap((sample) => histogramValues(family.name, sample, openMetrics));
  }
  return family.samples.map(({ labels, value }) => ({ labels: { ...labels }, value }));
}

function histogramValues(
  name: string,
  { labels, histogram }: HistogramSample,
  openMetrics: boolean,
): Value[] {
  let count = 0;
  const bounds = openMetrics ? histogram.bounds.map(canonical) : histogram.bounds;
  const buckets = [...bounds, '+Inf'].map((le, i) => {
    count += histogram.buckets[i] ?? 0;
    return { labels: { ...labels, le }, value: count, metricName: `${name}_bucket` };
  });
  return [
    ...buckets,
    { labels: { ...labels }, value: histogram.sum, metricName: `${name}_sum` },
    { labels: { ...labels }, value: count, metricName: `${name}_count` },
  ];
}

/** OpenMetrics 1.0, "Considerations: Canonical Numbers": a bound that is whole says so, as `5.0`. */
function canonical(bound: number): string {
  if (Number.isInteger(bound)) return `${bound}.0`;
  // Below a ten-thousandth the exponent has two digits.
  return bound < 1e-4 ? bound.toExponential().replace(/e-(\d)$/, 'e-0$1') : String(bound);
}
