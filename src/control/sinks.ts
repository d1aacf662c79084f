import { hostname } from 'node:os';
import type { AlertEvent } from '#alert';
import type { AuditEvent } from '#audit';
import type { Added, RecordStore, StoredRecord } from '#record-store';
import { ROOT_NAMESPACE, type SinkResource } from '#resource';
import {
  createScheduler,
  createSinkHub,
  type Evidence,
  type EvidenceSource,
  type MetricReading,
  recordId,
  type SinkState,
  type SinkTest,
  UNNUMBERED,
} from '#sink';
import { BUCKET_BOUNDS, EVENT, type Log, type MetricFamily } from '#telemetry';
import type { Alerts } from './alerts.ts';
import type { AuditTrail } from './audit-trail.ts';
import { type Broadcast, type ControlEvent, throttle } from './events.ts';
import type { ResourceView } from './resource-sets.ts';

/** The sinks of this control plane, as its signed resources describe them. */
export type Sinks = {
  readonly state: () => readonly SinkState[];
  /** Undefined where there is no such sink. */
  readonly test: (name: string) => Promise<readonly SinkTest[] | undefined>;
  /** Says how the control plane's metrics are read, for sinks that get them. */
  readonly measure: (read: () => readonly MetricFamily[]) => void;
  readonly close: () => Promise<void>;
};

/** What sinks are fed from. */
export type SinksOptions = {
  /** Holds queues, files and secrets. */
  readonly folder: string;
  readonly trustDomain: string;
  readonly version: string;
  /** Ports of this mesh on this host, to which no sink may lead. */
  readonly ownPorts: () => readonly number[];
  /** Of the console, for links; empty where there is none. */
  readonly consoleUrl: () => string;
  readonly resources: ResourceView;
  readonly records: RecordStore;
  readonly arriving: Broadcast<Added>;
  readonly events: Broadcast<ControlEvent>;
  readonly alerts: Pick<Alerts, 'onAlert'>;
  readonly audit: Pick<AuditTrail, 'readAfter' | 'newestIndex' | 'onEvent'>;
  readonly clock: () => number;
  readonly log: Log;
};

const METER_MS = 1_000;
const HINT_MS = 1_000;

/** Starts the sinks that the root namespace's set describes, and follows it. */
export async function startSinks(options: SinksOptions): Promise<Sinks> {
  const { folder, trustDomain, version, ownPorts, records, clock, log } = options;
  const hint = throttle(HINT_MS, () =>
    options.events.publish({ kind: 'sinks', at: new Date(clock()).toISOString() }),
  );
  const hub = createSinkHub({
    folder,
    env: process.env,
    trustDomain,
    version,
    hostname: hostname(),
    ownPorts,
    consoleUrl: options.consoleUrl,
    sources: {
      records: recordSource(records, 'records'),
      traces: recordSource(records, 'traces'),
      audit: auditSource(options.audit),
    },
    clock,
    scheduler: createScheduler(),
    log,
    onChange: () => hint(undefined),
  });
  const configure = () => hub.configure(sinkResources(options.resources));
  const stops = [
    options.events.listen((event) => {
      if (event.kind !== 'policy' || event.namespace !== ROOT_NAMESPACE) return;
      configure().catch((error: unknown) => log.error(EVENT.sinkFailed, { error }));
    }),
    options.arriving.listen((added) => {
      const kinds = (['records', 'traces'] as const).filter((kind) => hub.wants(kind));
      // They are parsed only where somebody wants them.
      const stored = kinds.length === 0 ? [] : added.records();
      for (const kind of kinds) {
        hub.offer(
          kind,
          stored.map((record) => evidenceOf(record, kind)),
        );
      }
    }),
    options.audit.onEvent((event) => {
      if (hub.wants('audit')) hub.offer('audit', [auditEvidence(event)]);
    }),
    options.alerts.onAlert((event) => {
      if (hub.wants('alerts')) hub.offer('alerts', [alertEvidence(event, clock())]);
    }),
  ];
  await configure();
  return {
    state: () => hub.state(),
    test: (name) => hub.test(name),
    measure(read) {
      const since = new Date(clock()).toISOString();
      const timer = setInterval(() => {
        hub.meter(() => ({
          time: new Date(clock()).toISOString(),
          since,
          families: read().map(readingOf),
        }));
      }, METER_MS).unref();
      stops.push(() => clearInterval(timer));
    },
    async close() {
      for (const stop of stops) stop();
      await hub.close();
    },
  };
}

function sinkResources(resources: ResourceView): readonly SinkResource[] {
  const root = resources.now().get(ROOT_NAMESPACE);
  return (root?.resources ?? []).filter(
    (resource): resource is SinkResource => resource.kind === 'Sink',
  );
}

function recordSource(records: RecordStore, kind: 'records' | 'traces'): EvidenceSource {
  return {
    readAfter: async (position, limit) =>
      (await records.readAfter(position, limit)).map((record) => evidenceOf(record, kind)),
    newest: () => records.newestId(),
  };
}

function evidenceOf(record: StoredRecord, kind: 'records' | 'traces'): Evidence {
  // The store's own number is not the receiver's business.
  const { 'record.id': number, ...value } = record;
  return { kind, id: recordId(value), position: Number(number), value };
}

function auditSource(audit: SinksOptions['audit']): EvidenceSource {
  return {
    readAfter: async (position, limit) =>
      (await audit.readAfter(position, limit)).map(auditEvidence),
    newest: () => Promise.resolve(audit.newestIndex()),
  };
}

function auditEvidence(event: AuditEvent): Evidence {
  const { index } = event;
  const value = { ...event, log: 'control' };
  return { kind: 'audit', id: `audit:control:${index}`, position: index, value };
}

function alertEvidence(value: AlertEvent, nowMs: number): Evidence {
  // One alert is told several times, and each time is something new to a receiver.
  return { kind: 'alerts', id: `${value.id}:${value.state}:${nowMs}`, position: UNNUMBERED, value };
}

function readingOf({ name, help, kind, samples }: MetricFamily): MetricReading {
  const readings = samples.map((sample) =>
    'histogram' in sample
      ? {
          labels: sample.labels,
          bounds: BUCKET_BOUNDS,
          counts: [...sample.histogram.buckets],
          sum: sample.histogram.sum,
        }
      : sample,
  );
  return { name, help, kind, samples: readings };
}
