import type { TelemetryGap } from '#alert';
import type { Completeness, RecordStore, SourceHour, StoreState } from '#record-store';
import { EVENT, type Log, METRIC, type MetricFamily } from '#telemetry';

/** How the records are doing, read now and then so that nobody who asks waits for the disk. */
export type RecordHealth = {
  /** Sources of which numbers are missing in this hour or the last. */
  readonly gaps: () => readonly TelemetryGap[];
  /** What became of the records of this hour and the last. */
  readonly hours: () => readonly SourceHour[];
  readonly families: () => readonly MetricFamily[];
  readonly refresh: () => Promise<void>;
  readonly close: () => void;
};

/** What it looks at; `clock` in ms since 1970. */
export type RecordHealthOptions = {
  readonly records: RecordStore;
  readonly clock: () => number;
  readonly log: Log;
};

const EVERY_MS = 10_000;
const HOUR_MS = 3_600_000;
// SECURITY: services are many, and their names end up as labels; the rest is one.
const MAX_SERVICES = 200;
const OTHERS = 'others';

/** Begins to look. */
export function createRecordHealth(options: RecordHealthOptions): RecordHealth {
  const { records, clock, log } = options;
  const told = new Set<string>();
  let completeness: Completeness = { sources: [], ratio: 1 };
  let state: StoreState | undefined;

  async function refresh(): Promise<void> {
    try {
      state = await records.state();
      completeness = await records.completeness({ fromMs: clock() - HOUR_MS, untilMs: clock() });
    } catch (error) {
      log.warn(EVENT.recordsNotRead, { error });
      return;
    }
    for (const { name, reason } of state.damaged) {
      if (!told.has(name)) log.error(EVENT.recordsSetAside, { aside: name, reason });
      told.add(name);
    }
  }

  const timer = setInterval(() => void refresh(), EVERY_MS);
  void refresh();
  return {
    gaps: () => completeness.sources.filter(({ missing }) => missing > 0).map(gapOf),
    hours: () => completeness.sources,
    families: () => (state === undefined ? [] : familiesOf(state, completeness)),
    refresh,
    close: () => clearInterval(timer),
  };
}

function gapOf({ source, service, missing, gaps }: SourceHour): TelemetryGap {
  const named = gaps.map(({ from_seq: from, until_seq: until }) => `${from} to ${until}`);
  return {
    source,
    namespace: service.split('/')[0] ?? null,
    missing,
    where: named.length === 0 ? 'numbers not known' : `seq ${named.slice(0, 5).join(', ')}`,
  };
}

function familiesOf(state: StoreState, { sources }: Completeness): readonly MetricFamily[] {
  const gauge = (name: string, help: string, value: number): MetricFamily => ({
    name,
    help,
    kind: 'gauge',
    samples: [{ labels: {}, value }],
  });
  return [
    {
      name: METRIC.telemetryCompleteness,
      help: 'Share of issued records that arrived or were sampled away, this hour and the last.',
      kind: 'gauge',
      samples: ratiosOf(sources).map(([service, value]) => ({ labels: { service }, value })),
    },
    gauge(METRIC.recordStoreRecords, 'Access records kept.', state.records),
    gauge(METRIC.recordStoreBytes, 'Bytes of kept records and their sums on disk.', state.bytes),
    gauge(METRIC.recordStoreDamaged, 'Parts of records that cannot be read.', state.damaged.length),
  ];
}

function ratiosOf(sources: readonly SourceHour[]): readonly (readonly [string, number])[] {
  const sums = new Map<string, { issued: number; accounted: number }>();
  for (const { service, issued, arrived, sampled } of sources) {
    const name = sums.has(service) || sums.size < MAX_SERVICES ? service : OTHERS;
    const sum = sums.get(name) ?? { issued: 0, accounted: 0 };
    sums.set(name, {
      issued: sum.issued + issued,
      accounted: sum.accounted + arrived + sampled,
    });
  }
  return Array.from(sums, ([service, { issued, accounted }]) => {
    const ratio = issued === 0 ? 1 : Math.min(1, accounted / issued);
    return [service, ratio] as const;
  });
}
