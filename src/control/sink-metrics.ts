import type { LaneState, SinkState } from '#sink';
import { METRIC, type MetricFamily } from '#telemetry';

type Labels = Readonly<Record<string, string>>;

/** What sinks count of themselves, by sink and kind of evidence. */
export function sinkFamilies(sinks: readonly SinkState[], nowMs: number): MetricFamily[] {
  const lanes = sinks.flatMap(({ name, lanes: own }) =>
    own.map((lane) => ({ labels: { sink: name, evidence: lane.evidence }, lane })),
  );
  const each = (value: (lane: LaneState) => number) =>
    lanes.map(({ labels, lane }) => ({ labels, value: value(lane) }));
  return [
    {
      name: METRIC.sinkDelivered,
      help: 'Items that a receiver took.',
      kind: 'counter',
      samples: each(({ delivered }) => delivered),
    },
    {
      name: METRIC.sinkLost,
      help: 'Items that no receiver got, by why.',
      kind: 'counter',
      samples: lanes.flatMap(({ labels, lane }) => lossesOf(labels, lane)),
    },
    {
      name: METRIC.sinkRetries,
      help: 'Tries that failed and were, or will be, made again.',
      kind: 'counter',
      samples: each(({ retries }) => retries),
    },
    {
      name: METRIC.sinkQueued,
      help: 'Items that wait.',
      kind: 'gauge',
      samples: each(({ items }) => items),
    },
    {
      name: METRIC.sinkQueueBytes,
      help: 'Bytes of the queue on disk.',
      kind: 'gauge',
      samples: each(({ bytes }) => bytes),
    },
    {
      name: METRIC.sinkLag,
      help: 'Age of the oldest item that waits.',
      kind: 'gauge',
      samples: each(({ oldestAt }) => (oldestAt === undefined ? 0 : (nowMs - oldestAt) / 1000)),
    },
    {
      name: METRIC.sinkState,
      help: '1 for the state that a sink is in.',
      kind: 'gauge',
      samples: sinks.map(({ name, state }) => ({ labels: { sink: name, state }, value: 1 })),
    },
  ];
}

function lossesOf(labels: Labels, { lost, deadLettered, rejected }: LaneState) {
  const reasons = { ...lost, dead_lettered: deadLettered, rejected };
  return Object.entries(reasons).map(([reason, value]) => ({
    labels: { ...labels, reason },
    value,
  }));
}
