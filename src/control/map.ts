import { callerName } from '#record-store';
import type { EdgeCount } from '#wire';
import { createSlidingCounter, type SlidingCounter } from './sliding-counter.ts';

/** One direction of traffic between two workloads, as the map shows it; rates are per second, times ISO 8601. */
export type MapEdge = {
  readonly id: string;
  /** `namespace/service`, a SPIFFE ID that belongs to no known service, or `unknown`. */
  readonly source: string;
  readonly sourceId: string | null;
  /** `namespace/service` */
  readonly destination: string;
  readonly namespace: string;
  readonly requests: number;
  readonly denied: number;
  readonly errors: number;
  readonly rate: number;
  readonly deniedRate: number;
  readonly errorRate: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly meanMs: number | null;
  readonly mtls: boolean;
  readonly protocol: string;
  readonly connections: number;
  readonly lastSeen: string;
  readonly lastDenial: string | null;
};

/** What passed over one edge lately: calls and TCP connections that ended undenied, and TCP connections that began. */
export type RecentEdge = EdgeKey & {
  readonly calls: number;
  readonly connections: number;
  readonly lastSeen: string;
};

/** Calls, denials and errors of the whole mesh over time, oldest first. */
export type MapSeries = {
  readonly stepSeconds: number;
  readonly from: string;
  readonly calls: readonly number[];
  readonly denied: readonly number[];
  readonly errors: readonly number[];
};

/** Who calls whom, from the counts that enforcement points report. */
export type TrafficMap = {
  readonly count: (edge: EdgeCount) => void;
  readonly denied: (denial: {
    readonly sourceId: string | null;
    readonly sourceService: string | null;
    readonly namespace: string;
    readonly service: string;
    readonly denialId: string;
  }) => void;
  readonly edges: () => readonly MapEdge[];
  /** Edges that something passed over in the last five minutes, and since when exactly: a minute is counted whole. */
  readonly recent: () => { readonly from: string; readonly edges: readonly RecentEdge[] };
  readonly series: () => MapSeries;
  /** Forgets edges without traffic in the window. */
  readonly sweep: () => void;
};

const RATE_SLOT_MS = 1_000;
const RATE_SLOTS = 10;
const TOTAL_SLOT_MS = 60_000;
const TOTAL_SLOTS = 15;
const RECENT_SLOTS = 6;
const SERIES_SLOT_MS = 10_000;
const SERIES_SLOTS = 90;
// SECURITY: hosts that invent callers cannot fill the memory; edges past this are counted in the series alone.
const MAX_EDGES = 20_000;

/** How far back the map's totals reach, in seconds. */
export const MAP_WINDOW_SECONDS = (TOTAL_SLOT_MS * TOTAL_SLOTS) / 1_000;

const MEASURES = [
  'requests',
  'denied',
  'errors',
  'bytesIn',
  'bytesOut',
  'durationUs',
  'connections',
] as const;
type Measure = (typeof MEASURES)[number];

/** What one side of an edge reported. */
type Tally = {
  readonly totals: Readonly<Record<Measure, SlidingCounter>>;
  readonly rates: Readonly<Record<'requests' | 'denied' | 'errors', SlidingCounter>>;
  lastSeenMs: number;
  mtls: boolean;
  protocol: string;
};

type Edge = {
  readonly key: EdgeKey;
  readonly tallies: Map<string, Tally>;
  lastDenial: string | null;
};

type EdgeKey = {
  readonly source: string;
  readonly sourceId: string | null;
  readonly destination: string;
  readonly namespace: string;
};

/** Creates an empty map; `clock` in ms since 1970. */
export function createTrafficMap(clock: () => number): TrafficMap {
  const edges = new Map<string, Edge>();
  const startedMs = clock();
  const series = {
    calls: createSlidingCounter(SERIES_SLOT_MS, SERIES_SLOTS),
    denied: createSlidingCounter(SERIES_SLOT_MS, SERIES_SLOTS),
    errors: createSlidingCounter(SERIES_SLOT_MS, SERIES_SLOTS),
  };

  function edgeOf(key: EdgeKey): Edge | undefined {
    const id = `${key.source}>${key.destination}`;
    const known = edges.get(id);
    if (known !== undefined || edges.size >= MAX_EDGES) return known;
    const edge = { key, tallies: new Map(), lastDenial: null };
    edges.set(id, edge);
    return edge;
  }

  return {
    count(delta) {
      if (isOversized(delta)) return;
      const now = clock();
      const amounts = amountsOf(delta);
      // Both sides of a call report it; the server's word counts wherever there is one.
      if (delta.reporter === 'destination') {
        series.calls.add(amounts.requests, now);
        series.denied.add(amounts.denied, now);
        series.errors.add(amounts.errors, now);
      }
      // Refused by the caller's own sidecar before it was known whom it was for: there is no edge.
      if (delta.destinationService === '') return;
      const edge = edgeOf(
        keyOf({
          sourceId: delta.sourceId || null,
          sourceService: delta.sourceService || null,
          namespace: delta.destinationNamespace,
          service: delta.destinationService,
        }),
      );
      if (edge !== undefined) addTo(edge, { delta, amounts, now });
    },
    denied(denial) {
      const edge = denial.service === '' ? undefined : edgeOf(keyOf(denial));
      if (edge !== undefined) edge.lastDenial = denial.denialId;
    },
    edges: () =>
      Array.from(edges, ([id, edge]) => view(id, edge, clock())).filter(
        (edge) => edge !== undefined,
      ),
    recent() {
      const now = clock();
      const fromMs = (Math.floor(now / TOTAL_SLOT_MS) - RECENT_SLOTS + 1) * TOTAL_SLOT_MS;
      return {
        // What was counted before a restart is gone.
        from: new Date(Math.max(fromMs, startedMs)).toISOString(),
        edges: [...edges.values()]
          .map((edge) => recentOf(edge, now))
          .filter(({ calls, connections }) => calls + connections > 0),
      };
    },
    series() {
      const now = clock();
      const slot = Math.floor(now / SERIES_SLOT_MS);
      return {
        stepSeconds: SERIES_SLOT_MS / 1_000,
        from: new Date((slot - SERIES_SLOTS + 1) * SERIES_SLOT_MS).toISOString(),
        calls: series.calls.slots(now),
        denied: series.denied.slots(now),
        errors: series.errors.slots(now),
      };
    },
    sweep() {
      const oldest = clock() - MAP_WINDOW_SECONDS * 1_000;
      for (const [id, { tallies }] of Array.from(edges)) {
        if (Array.from(tallies.values()).every((tally) => tally.lastSeenMs < oldest))
          edges.delete(id);
      }
    },
  };
}

/** Whether calls went over `edge` that anyone on the wire could read; what was denied did not. */
export function isPlaintext(edge: Pick<MapEdge, 'mtls' | 'requests' | 'denied'>): boolean {
  return !edge.mtls && edge.requests > edge.denied;
}

function keyOf(call: {
  readonly sourceId: string | null;
  readonly sourceService: string | null;
  readonly namespace: string;
  readonly service: string;
}): EdgeKey {
  return {
    source: callerName(call.sourceId, call.sourceService),
    sourceId: call.sourceId,
    destination: `${call.namespace}/${call.service}`,
    namespace: call.namespace,
  };
}

// SECURITY: names are kept as long as their edge; a SPIFFE ID has at most 2,048 bytes.
function isOversized(delta: EdgeCount): boolean {
  const { sourceId, sourceService, destinationNamespace, destinationService, protocol } = delta;
  return [sourceId, sourceService, destinationNamespace, destinationService, protocol].some(
    (name) => name.length > 2_048,
  );
}

function amountsOf(delta: EdgeCount): Record<Measure, number> {
  return {
    requests: positive(delta.requests),
    denied: positive(delta.denied),
    errors: positive(delta.errors),
    bytesIn: positive(delta.bytesIn),
    bytesOut: positive(delta.bytesOut),
    durationUs: positive(delta.durationUsSum),
    connections: positive(delta.connections),
  };
}

// A reporter's mistake must not turn a sum negative.
function positive(value: bigint): number {
  return Math.max(0, Number(value));
}

function addTo(
  edge: Edge,
  {
    delta,
    amounts,
    now,
  }: {
    readonly delta: EdgeCount;
    readonly amounts: Readonly<Record<Measure, number>>;
    readonly now: number;
  },
): void {
  const reporter = delta.reporter === 'source' ? 'source' : 'destination';
  const tally = edge.tallies.get(reporter) ?? createTally();
  edge.tallies.set(reporter, tally);
  for (const measure of MEASURES) tally.totals[measure].add(amounts[measure], now);
  for (const measure of ['requests', 'denied', 'errors'] as const) {
    tally.rates[measure].add(amounts[measure], now);
  }
  tally.lastSeenMs = now;
  tally.mtls = delta.mtls;
  tally.protocol = delta.protocol;
}

function createTally(): Tally {
  const total = () => createSlidingCounter(TOTAL_SLOT_MS, TOTAL_SLOTS);
  const rate = () => createSlidingCounter(RATE_SLOT_MS, RATE_SLOTS);
  return {
    totals: {
      requests: total(),
      denied: total(),
      errors: total(),
      bytesIn: total(),
      bytesOut: total(),
      durationUs: total(),
      connections: total(),
    },
    rates: { requests: rate(), denied: rate(), errors: rate() },
    lastSeenMs: 0,
    mtls: false,
    protocol: '',
  };
}

function recentOf({ key, tallies }: Edge, now: number): RecentEdge {
  const tally = tallies.get('destination') ?? tallies.get('source');
  const sumOf = (measure: Measure): number => tally?.totals[measure].sum(now, RECENT_SLOTS) ?? 0;
  return {
    ...key,
    calls: Math.max(0, sumOf('requests') - sumOf('denied')),
    connections: sumOf('connections'),
    lastSeen: new Date(tally?.lastSeenMs ?? 0).toISOString(),
  };
}

function view(id: string, edge: Edge, now: number): MapEdge | undefined {
  const { destination, source } = Object.fromEntries(edge.tallies) as Record<
    string,
    Tally | undefined
  >;
  const tally = destination ?? source;
  if (tally === undefined) return undefined;
  const requests = tally.totals.requests.sum(now);
  // Failures that never reached the server are known to the caller's side alone.
  const most = (of: (tally: Tally) => number): number =>
    Math.max(...[destination, source].map((side) => (side === undefined ? 0 : of(side))));
  const denied = tally.totals.denied.sum(now);
  const errors = most((side) => side.totals.errors.sum(now));
  // Of calls that no server ever saw nothing was sent, so nothing was sent unencrypted.
  const isUnsent = destination === undefined && requests <= denied + errors;
  const seconds = (RATE_SLOT_MS * RATE_SLOTS) / 1_000;
  return {
    id,
    ...edge.key,
    requests,
    denied,
    errors,
    rate: tally.rates.requests.sum(now) / seconds,
    deniedRate: tally.rates.denied.sum(now) / seconds,
    errorRate: most((side) => side.rates.errors.sum(now)) / seconds,
    bytesIn: tally.totals.bytesIn.sum(now),
    bytesOut: tally.totals.bytesOut.sum(now),
    meanMs: requests === 0 ? null : tally.totals.durationUs.sum(now) / requests / 1_000,
    mtls: tally.mtls || isUnsent,
    protocol: tally.protocol,
    connections: tally.totals.connections.sum(now),
    lastSeen: new Date(most((side) => side.lastSeenMs)).toISOString(),
    lastDenial: edge.lastDenial,
  };
}
