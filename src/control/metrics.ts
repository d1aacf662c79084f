import type { SinkState } from '#sink';
import {
  createHistogram,
  type Exposition,
  expose,
  METRIC,
  type MetricFamily,
  observe,
} from '#telemetry';
import { alertFamilies } from './alert-metrics.ts';
import type { Alerts } from './alerts.ts';
import type { AuditTrail } from './audit-trail.ts';
import type { Distributor } from './distribute.ts';
import type { Enforcement } from './enforcement.ts';
import type { HorizonItem } from './horizon.ts';
import type { PolicySets } from './policy-sets.ts';
import type { RecordHealth } from './record-health.ts';
import { sinkFamilies } from './sink-metrics.ts';
import type { TelemetryIngest } from './telemetry-ingest.ts';

/** The ports of a control plane. */
export type ControlPort = 'api' | 'grpc' | 'console';

/** What the control plane counts of itself. */
export type ControlMetrics = {
  readonly connectionRefused: (port: ControlPort) => void;
  readonly commit: (outcome: 'admitted' | 'refused') => void;
  readonly families: (sources: MetricSources) => readonly MetricFamily[];
  /** An answer of the API; `tookMs` undefined for a stream. */
  readonly answered: (status: number, tookMs: number | undefined) => void;
  /** A policy version that an enforcement point took up, or is late with. */
  readonly propagated: (tookMs: number) => void;
  readonly exposition: (sources: MetricSources, openMetrics: boolean) => Promise<Exposition>;
};

/** Where the numbers come from that others keep. */
export type MetricSources = {
  readonly distributor: Distributor;
  readonly enforcement: Enforcement;
  readonly sets: PolicySets;
  readonly audit: Pick<AuditTrail, 'verification' | 'failures'>;
  readonly recordHealth: RecordHealth;
  readonly ingest: TelemetryIngest;
  readonly streams: () => number;
  readonly sinks: () => readonly SinkState[];
  readonly horizon: readonly HorizonItem[];
  /** Ms since 1970. */
  readonly nowMs: number;
  readonly alerts: Pick<Alerts, 'numbers'>;
};

const API_BOUNDS = [0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const PROPAGATION_BOUNDS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** Creates counters at zero. */
export function createControlMetrics(): ControlMetrics {
  const refused = { api: 0, grpc: 0, console: 0 };
  const commits = { admitted: 0, refused: 0 };
  const answers: Record<string, number> = { '2xx': 0, '3xx': 0, '4xx': 0, '5xx': 0 };
  const durations = createHistogram(API_BOUNDS);
  const propagations = createHistogram(PROPAGATION_BOUNDS);
  const families = (sources: MetricSources): readonly MetricFamily[] => [
    ...gauges(sources),
    counter(METRIC.controlConnectionsRefused, 'Connections closed as useless.', {
      label: 'port',
      values: refused,
    }),
    counter(METRIC.controlCommits, 'Commits handed in.', {
      label: 'outcome',
      values: commits,
    }),
    counter(METRIC.controlRecords, 'Access records by what became of them.', {
      label: 'outcome',
      values: recordCounts(sources.ingest),
    }),
    counter(METRIC.controlApiRequests, 'Answers of the API and the console.', {
      label: 'code',
      values: answers,
    }),
    {
      name: METRIC.controlApiDuration,
      help: 'Time to answer a request.',
      kind: 'histogram',
      samples: [{ labels: {}, histogram: durations }],
    },
    {
      name: METRIC.controlPropagation,
      help: 'Time from a commit to its enforcement at one point.',
      kind: 'histogram',
      samples: [{ labels: {}, histogram: propagations }],
    },
    ...sources.recordHealth.families(),
    ...alertFamilies(sources.alerts.numbers()),
    ...auditMetrics(sources.audit),
    ...sinkFamilies(sources.sinks(), sources.nowMs),
  ];
  return {
    answered(status, tookMs) {
      const code = `${Math.floor(status / 100)}xx`;
      answers[code] = (answers[code] ?? 0) + 1;
      if (tookMs !== undefined) observe(durations, tookMs / 1_000);
    },
    propagated: (tookMs) => observe(propagations, tookMs / 1_000),
    connectionRefused: (port) => refused[port]++,
    commit: (outcome) => commits[outcome]++,
    families,
    exposition: (sources, openMetrics) => expose(families(sources), openMetrics),
  };
}

function auditMetrics(audit: MetricSources['audit']): MetricFamily[] {
  const { name: log, size, checkpoint, state } = audit.verification();
  const gauge = (name: string, help: string, value: number): MetricFamily => ({
    name,
    help,
    kind: 'gauge',
    samples: [{ labels: { log }, value }],
  });
  return [
    gauge(METRIC.auditRecords, 'Records in the audit log.', size),
    gauge(
      METRIC.auditSigned,
      'Records that the newest signed checkpoint covers.',
      checkpoint?.size ?? 0,
    ),
    gauge(
      METRIC.auditBroken,
      'Whether the log is not what was signed.',
      state === 'failed' ? 1 : 0,
    ),
    counter(METRIC.auditFailures, 'Audit records that the disk did not take.', {
      label: 'log',
      values: { [log]: audit.failures() },
    }),
  ];
}

function gauges({
  distributor,
  enforcement,
  horizon,
  nowMs,
  sets,
  streams,
}: MetricSources): MetricFamily[] {
  const points = enforcement.status();
  // What has its successor already may expire.
  const counting = Map.groupBy(
    horizon.filter(({ actAt }) => actAt !== null),
    ({ kind }) => kind,
  );
  const gauge = (name: string, help: string, samples: [Record<string, string>, number][]) =>
    ({
      name,
      help,
      kind: 'gauge',
      samples: samples.map(([labels, value]) => ({ labels, value })),
    }) as const;
  return [
    gauge(METRIC.controlSubscribers, 'Configuration streams.', [[{}, distributor.subscribers()]]),
    gauge(METRIC.controlStreams, 'Streams of server-sent events.', [[{}, streams()]]),
    gauge(
      METRIC.controlExpiry,
      'Seconds until the first of its kind expires.',
      Array.from(counting, ([kind, all]) => [
        { kind },
        (Math.min(...all.map(({ expiresAt }) => expiresAt)) - nowMs) / 1000,
      ]),
    ),
    gauge(
      METRIC.controlExpiryDue,
      'What expires soon, or has, and needs somebody, by kind.',
      Array.from(counting, ([kind, all]) => [
        { kind },
        all.filter(({ actAt }) => actAt !== null && actAt <= nowMs).length,
      ]),
    ),
    gauge(METRIC.controlPoints, 'Enforcement points by state.', [
      [{ state: 'current' }, points.filter((point) => !point.stale).length],
      [{ state: 'stale' }, points.filter((point) => point.stale).length],
    ]),
    gauge(
      METRIC.controlPolicyVersion,
      'Number of the newest commit.',
      sets.all().map(({ namespace, head }) => [{ namespace }, head.number]),
    ),
  ];
}

function counter(
  name: string,
  help: string,
  counted: { readonly label: string; readonly values: Readonly<Record<string, number>> },
): MetricFamily {
  const { label, values } = counted;
  const samples = Object.entries(values).map(([key, value]) => ({
    labels: { [label]: key },
    value,
  }));
  return { name, help, kind: 'counter', samples };
}

function recordCounts(ingest: TelemetryIngest): Record<string, number> {
  const { stored, duplicates, refused, skipped, failedWrites } = ingest.counts();
  return { stored, duplicate: duplicates, refused, skipped, failed_write: failedWrites };
}
