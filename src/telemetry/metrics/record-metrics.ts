import { METRIC } from '../names.ts';
import type { RecordCounts } from '../records/access-log.ts';
import type { MetricFamily } from './exposition.ts';

/** What a proxy tells of its own evidence: `unacked` are numbers that nobody has acknowledged yet. */
export type RecordGauges = RecordCounts & { readonly unacked: number; readonly shipped: number };

/** The metrics of records on their way; each is there from the start, so that its increase shows. */
export function recordFamilies(counts: RecordGauges | undefined): MetricFamily[] {
  if (counts === undefined) return [];
  return [
    one(
      METRIC.telemetryIssued,
      'Calls that ended, each with its number.',
      'counter',
      counts.issued,
    ),
    labelled(METRIC.telemetryKept, 'Access records made, by why.', 'reason', counts.kept),
    one(METRIC.telemetrySampled, 'Calls left out by the rate.', 'counter', counts.sampled),
    one(
      METRIC.telemetryRolloutExceeded,
      'Calls that a change of policy touched, beyond the bound of those that are always kept.',
      'counter',
      counts.rolloutExceeded,
    ),
    labelled(METRIC.telemetryDropped, 'Records lost for want of room.', 'kind', counts.dropped),
    one(METRIC.telemetryDamaged, 'Damage found in spool files.', 'counter', counts.damaged),
    one(METRIC.telemetryWriteFailures, 'Writes that failed.', 'counter', counts.failedWrites),
    one(METRIC.telemetryShipped, 'Records sent to the control plane.', 'counter', counts.shipped),
    one(METRIC.telemetryUnacked, 'Numbers not acknowledged yet.', 'gauge', counts.unacked),
    {
      name: METRIC.telemetryQueueBytes,
      help: 'Bytes of records that wait.',
      kind: 'gauge',
      samples: [
        { labels: { queue: 'memory' }, value: counts.memoryBytes },
        { labels: { queue: 'disk' }, value: counts.spoolBytes },
      ],
    },
  ];
}

function one(name: string, help: string, kind: 'counter' | 'gauge', value: number): MetricFamily {
  return { name, help, kind, samples: [{ labels: {}, value }] };
}

function labelled(
  name: string,
  help: string,
  label: string,
  values: Readonly<Record<string, number>>,
): MetricFamily {
  const samples = Object.entries(values).map(([key, value]) => ({
    labels: { [label]: key },
    value,
  }));
  return { name, help, kind: 'counter', samples };
}
