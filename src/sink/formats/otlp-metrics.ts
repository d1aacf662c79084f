import { createMessage, encodeMessage, type Otlp } from '#wire';
import type { Evidence, MetricReading, MetricSample, MetricsReading } from '../evidence.ts';
import { attributes, nanosOf } from './otlp-attributes.ts';
import type { OtlpAuthor } from './otlp-logs.ts';
import { resourceAttributes } from './otlp-record.ts';

// AggregationTemporality of OTLP.
const CUMULATIVE = 2;

/** An ExportMetricsServiceRequest with one point for each sample of each reading. */
export function otlpMetrics(
  otlp: Otlp,
  batch: readonly Evidence[],
  { version, trustDomain, hostname }: OtlpAuthor,
): Uint8Array {
  const readings = batch.flatMap((item) => (item.kind === 'metrics' ? [item.value] : []));
  const origin = { namespace: 'palisade-system', service: 'palisade-control', instance: hostname };
  const scope = { name: 'palisade', version };
  const metrics = readings.flatMap((reading) =>
    reading.families.map((family) => metricOf(family, reading)),
  );
  const resource = { attributes: resourceAttributes(origin, trustDomain) };
  const request = createMessage(otlp.ExportMetricsServiceRequestSchema, {
    resourceMetrics: [{ resource, scopeMetrics: [{ scope, metrics }] }],
  });
  return encodeMessage(otlp.ExportMetricsServiceRequestSchema, request);
}

function metricOf({ name, help, kind, samples }: MetricReading, reading: MetricsReading) {
  const times = {
    startTimeUnixNano: nanosOf(reading.since),
    timeUnixNano: nanosOf(reading.time),
  };
  const base = { name, description: help };
  if (kind === 'histogram') {
    const dataPoints = samples.flatMap((sample) => histogramPoint(sample, times));
    const value = { dataPoints, aggregationTemporality: CUMULATIVE };
    return { ...base, data: { case: 'histogram' as const, value } };
  }
  const dataPoints = samples.flatMap((sample) => numberPoint(sample, times));
  if (kind === 'gauge') return { ...base, data: { case: 'gauge' as const, value: { dataPoints } } };
  const value = { dataPoints, aggregationTemporality: CUMULATIVE, isMonotonic: true };
  return { ...base, data: { case: 'sum' as const, value } };
}

type Times = { readonly startTimeUnixNano: bigint; readonly timeUnixNano: bigint };

function numberPoint(sample: MetricSample, times: Times) {
  if (!('value' in sample)) return [];
  const value = { case: 'asDouble' as const, value: sample.value };
  return [{ ...times, attributes: attributes(sample.labels), value }];
}

function histogramPoint(sample: MetricSample, times: Times) {
  if ('value' in sample) return [];
  return [
    {
      ...times,
      attributes: attributes(sample.labels),
      count: BigInt(sample.counts.reduce((sum, count) => sum + count, 0)),
      sum: sample.sum,
      bucketCounts: sample.counts.map(BigInt),
      explicitBounds: [...sample.bounds],
    },
  ];
}
