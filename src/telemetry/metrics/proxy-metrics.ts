import { METRIC } from '../names.ts';
import type { RecordedCall } from '../records/access-record.ts';
import {
  countCall,
  createEdgeCounters,
  deltaOf,
  type EdgeCounters,
  type EdgeDelta,
  type EdgeKey,
} from './edge.ts';
import { type Exposition, expose, type MetricFamily } from './exposition.ts';
import { createHistogram, DECISION_BOUNDS, observe } from './histogram.ts';
import { edgeFamilies } from './istio-metrics.ts';
import { createOwnMetrics, type OwnMetrics } from './own-metrics.ts';
import type { RecordGauges } from './record-metrics.ts';
import { createSecurityCounts, type SecurityCount } from './security-counts.ts';

/** The workload a proxy serves, for labels. */
export type WorkloadLabels = {
  readonly service: string;
  readonly namespace: string;
  readonly trustDomain: string;
};

/** What is read only when somebody scrapes. */
export type ProxyGauges = {
  /** Undefined while there is no certificate. */
  readonly certificateExpiresAt?: number | undefined;
  readonly policyVersions: readonly { readonly namespace: string; readonly number: number }[];
  /** Milliseconds since the configuration was last known to be current. */
  readonly stalenessMs?: number | undefined;
  /** Endpoints by service and health; at most one sample for each service called and each health. */
  readonly endpoints?: readonly {
    readonly namespace: string;
    readonly service: string;
    readonly health: string;
    readonly count: number;
  }[];
  readonly records?: RecordGauges | undefined;
};

/** One proxy's counters. The hot ones are plain numbers in objects which the caller keeps. */
export type ProxyMetrics = OwnMetrics & {
  /** The counters of an edge: resolved once a connection, not once a request. */
  readonly edge: (key: EdgeKey) => EdgeCounters;
  readonly countCall: (edge: EdgeCounters, call: RecordedCall) => void;
  /** What changed since the last time, per edge; edges on which nothing happened are left out. */
  readonly edges: () => readonly EdgeDelta[];
  /** How the workload's security did since the last time, for the objectives of the mesh. */
  readonly securityCounts: () => readonly SecurityCount[];
  /** Sets where gauges are read from. */
  readonly observeGauges: (read: () => ProxyGauges) => void;
  readonly exposition: (openMetrics: boolean) => Promise<Exposition>;
};

/** Options of `createProxyMetrics`. */
export type ProxyMetricsOptions = {
  readonly workload: WorkloadLabels;
  readonly clock: () => number;
  /** Edges beyond this share one with the label `overflow`. */
  readonly maxEdges?: number;
};

const OVERFLOW = 'overflow';

/** Creates the metrics of one proxy. */
export function createProxyMetrics(options: ProxyMetricsOptions): ProxyMetrics {
  const edges = createEdgeTable(options.maxEdges ?? 1000);
  const { handshakes, families, overflows, ...own } = createOwnMetrics();
  const security = createSecurityCounts(handshakes);
  const decisions = createDecisionTimes();
  let readGauges: () => ProxyGauges = () => ({ policyVersions: [] });
  return {
    ...own,
    edge: edges.edge,
    countCall(edge, call) {
      countCall(edge, call);
      security.countCall(edge, call);
      decisions.observe(edge, call);
    },
    edges: edges.takeDeltas,
    securityCounts: security.take,
    observeGauges(read) {
      readGauges = read;
    },
    exposition(openMetrics) {
      const gauges = families({ gauges: readGauges(), nowMs: options.clock() });
      const overflowed = {
        name: METRIC.edgeOverflow,
        help: 'Edges that had to share one set of counters.',
        kind: 'counter' as const,
        samples: [{ labels: {}, value: edges.overflowed() }],
      };
      const outcomes = edges.all().reduce((sum, edge) => sum + edge.overflowed, 0);
      const labels = {
        name: METRIC.labelOverflow,
        help: 'Times that labels had to share the sample `overflow`.',
        kind: 'counter' as const,
        samples: [
          { labels: { metric: METRIC.requests }, value: outcomes },
          ...overflows().filter(({ value }) => value > 0),
        ],
      };
      const istio = edgeFamilies(edges.all(), options.workload);
      return expose([...istio, ...gauges, decisions.family(), labels, overflowed], openMetrics);
    },
  };
}

/** How long decisions on incoming calls took; those that external authorizers had a part in by themselves. */
function createDecisionTimes() {
  const ours = createHistogram(DECISION_BOUNDS);
  const consulted = createHistogram(DECISION_BOUNDS);
  return {
    observe(edge: EdgeCounters, { decisionUs, isConsulted }: RecordedCall): void {
      if (decisionUs < 0 || edge.key.reporter === 'source') return;
      observe(isConsulted ? consulted : ours, decisionUs / 1e6);
    },
    family: (): MetricFamily => ({
      name: METRIC.decisionDuration,
      help: 'Time from the arrival of a call to the decision on it.',
      kind: 'histogram',
      samples: [
        { labels: { consulted: 'false' }, histogram: ours },
        { labels: { consulted: 'true' }, histogram: consulted },
      ],
    }),
  };
}

function createEdgeTable(maxEdges: number) {
  const edges = new Map<string, EdgeCounters>();
  const taken = new Map<EdgeCounters, EdgeCounters>();
  let overflowed = 0;
  function find(key: EdgeKey): EdgeCounters {
    const name = nameOf(key);
    const known = edges.get(name);
    if (known !== undefined) return known;
    // SECURITY: a peer that can vary its name must not grow our memory and the scraper's without bound.
    if (edges.size >= maxEdges && key.sourceService !== OVERFLOW) {
      overflowed++;
      return find(overflowKey(key));
    }
    const created = createEdgeCounters(key);
    edges.set(name, created);
    return created;
  }
  return {
    edge: find,
    all: () => [...edges.values()],
    overflowed: () => overflowed,
    takeDeltas() {
      const deltas: EdgeDelta[] = [];
      for (const edge of edges.values()) {
        const before = taken.get(edge);
        if (before?.requests === edge.requests && before.opened === edge.opened) continue;
        if (before === undefined && edge.requests === 0 && edge.opened === 0) continue;
        deltas.push(deltaOf(edge, before));
        taken.set(edge, { ...edge });
      }
      return deltas;
    },
  };
}

function overflowKey(key: EdgeKey): EdgeKey {
  return {
    reporter: key.reporter,
    sourceId: null,
    sourceService: OVERFLOW,
    sourceNamespace: null,
    destinationId: null,
    destinationService: OVERFLOW,
    destinationNamespace: null,
    protocol: key.protocol,
    mtls: key.mtls,
  };
}

function nameOf(key: EdgeKey): string {
  const { reporter, sourceId, sourceService, sourceNamespace } = key;
  const { destinationId, destinationService, destinationNamespace, protocol, mtls } = key;
  return [
    reporter,
    sourceId,
    sourceService,
    sourceNamespace,
    destinationId,
    destinationService,
    destinationNamespace,
    protocol,
    mtls,
  ].join('\n');
}
