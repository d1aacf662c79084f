import type { AccessRecord } from '#telemetry';

/** Which sums over time: points of `stepMs`, times in ms since 1970. */
export type RollupQuery = {
  readonly stepMs: number;
  readonly fromMs: number;
  readonly untilMs: number;
  readonly group: RollupGroup;
  readonly metrics: readonly RollupMetric[];
};

export type RollupGroup = 'edge' | 'service' | 'total';
export const ROLLUP_METRICS = [
  'requests',
  'denied',
  'errors',
  'bytes_in',
  'bytes_out',
  'mean_us',
  'p50_us',
  'p95_us',
  'p99_us',
] as const;
export type RollupMetric = (typeof ROLLUP_METRICS)[number];

/** One line a key; a point is its time and a value for each metric asked for, null where nothing was measured. */
export type RollupAnswer = { readonly series: readonly RollupSeries[] };
export type RollupSeries = {
  /** `{source, destination}`, `{service}`, or empty for all. */
  readonly key: Readonly<Record<string, string>>;
  readonly points: readonly (readonly (number | null)[])[];
};

/** Sums over the calls of one edge in one step of time, weighted; `durations` by bucket, empty where nobody asks for them. */
export type Rollup = {
  readonly timeMs: number;
  readonly source: string;
  readonly destination: string;
  requests: number;
  denied: number;
  errors: number;
  bytesIn: number;
  bytesOut: number;
  durationUs: number;
  readonly durations: number[];
};

/** Who calls whom. */
export type Edge = Pick<Rollup, 'source' | 'destination'>;

/**
 * Durations double from bucket to bucket: bucket 0 is up to 64 µs, the last one what is over 4.5 minutes. A quantile is
 * read as if a bucket's calls were spread evenly in it.
 */
export const DURATION_BUCKETS = 24;
const FIRST_BUCKET_US = 64;

const SECOND_MS = 1_000;

// SECURITY: callers without an identity can be as many as somebody likes; past this they are one.
const MAX_EDGES_AT_ONCE = 4_000;
const OTHER_EDGE: Edge = { source: 'others', destination: 'others' };

/** Adds records up by second and edge; each with its time in ms. */
export function rollUp(records: Iterable<readonly [ms: number, AccessRecord]>): readonly Rollup[] {
  const rollups = new Map<string, Rollup>();
  const edges = new Set<string>();
  for (const [ms, record] of records) {
    if (!counts(record)) continue;
    const { source, destination } = boundedEdge(edgeOf(record), edges);
    const timeMs = Math.floor(ms / SECOND_MS) * SECOND_MS;
    const key = keyOf(timeMs, source, destination);
    let rollup = rollups.get(key);
    if (rollup === undefined) rollups.set(key, (rollup = emptyRollup(timeMs, source, destination)));
    addCall(rollup, record);
  }
  return [...rollups.values()];
}

/** Edges are counted, not their seconds: what a source spooled for long comes as a few edges of many seconds. */
function boundedEdge(edge: Edge, edges: Set<string>): Edge {
  const name = `${edge.source} ${edge.destination}`;
  if (edges.has(name)) return edge;
  if (edges.size >= MAX_EDGES_AT_ONCE) return OTHER_EDGE;
  edges.add(name);
  return edge;
}

const NO_DURATIONS: readonly number[] = Array.from({ length: DURATION_BUCKETS }, () => 0);

/** A rollup of nothing. */
export function emptyRollup(timeMs: number, source: string, destination: string): Rollup {
  const durations = NO_DURATIONS.slice();
  const sums = { requests: 0, denied: 0, errors: 0, bytesIn: 0, bytesOut: 0, durationUs: 0 };
  return { timeMs, source, destination, ...sums, durations };
}

/** What tells sums of a time and an edge from others. */
export function keyOf(timeMs: number, source: string, destination: string): string {
  return `${timeMs} ${source} ${destination}`;
}

/** Both sides record a call that reached the other: the server's word counts, and the caller's of what never did. */
function counts(record: AccessRecord): boolean {
  return record.reporter === 'destination' || record['destination.id'] === null;
}

function edgeOf(record: AccessRecord): Edge {
  const namespace = record['destination.namespace'] ?? '';
  return {
    source: callerName(record['source.id'], record['source.service']),
    destination: `${namespace}/${record['destination.service'] ?? ''}`,
  };
}

/** A caller's name: its service with the namespace of its identity, else the identity, else `unknown`. */
export function callerName(sourceId: string | null, sourceService: string | null): string {
  const namespace = /^spiffe:\/\/[^/]+\/ns\/([^/]+)\//.exec(sourceId ?? '')?.[1];
  if (sourceService !== null) {
    return namespace === undefined ? sourceService : `${namespace}/${sourceService}`;
  }
  return sourceId ?? 'unknown';
}

function addCall(rollup: Rollup, record: AccessRecord): void {
  const weight = record.weight ?? 1;
  rollup.requests += weight;
  if (record.verdict === 'deny') rollup.denied += weight;
  else if (isFailure(record)) rollup.errors += weight;
  rollup.bytesIn += record.bytes_in * weight;
  rollup.bytesOut += record.bytes_out * weight;
  rollup.durationUs += record.duration_us * weight;
  const bucket = bucketOf(record.duration_us);
  rollup.durations[bucket] = (rollup.durations[bucket] ?? 0) + weight;
}

function isFailure({ status, reason }: AccessRecord): boolean {
  return (status ?? 0) >= 500 || (reason !== null && !reason.startsWith('allowed'));
}

function bucketOf(us: number): number {
  if (us <= FIRST_BUCKET_US) return 0;
  return Math.min(DURATION_BUCKETS - 1, Math.ceil(Math.log2(us / FIRST_BUCKET_US)));
}

/**
 * The answer out of sums, which may be of any step that is not longer than the one asked for, and of which each time and key
 * comes as a rule once: they are taken over, not copied.
 */
export function answerOf(rollups: Iterable<Rollup>, query: RollupQuery): RollupAnswer {
  const groups = new Map<string, { first: Rollup; points: Map<number, Rollup> }>();
  for (const rollup of rollups) {
    const name = nameIn(rollup, query.group);
    let group = groups.get(name);
    if (group === undefined) groups.set(name, (group = { first: rollup, points: new Map() }));
    const timeMs = Math.floor(rollup.timeMs / query.stepMs) * query.stepMs;
    const sum = group.points.get(timeMs);
    if (sum === undefined) group.points.set(timeMs, rollup);
    else addRollup(sum, rollup);
  }
  const series = Array.from(groups.values(), ({ first, points }) => ({
    key: keyFor(first, query.group),
    points: Array.from(points)
      .sort(([a], [b]) => a - b)
      .map(([timeMs, sum]) => [timeMs, ...query.metrics.map((metric) => metricOf(sum, metric))]),
  }));
  const ranked = series.map((one) => ({ one, total: totalOf(one) }));
  return { series: ranked.sort((a, b) => b.total - a.total).map(({ one }) => one) };
}

function totalOf({ points }: RollupSeries): number {
  return points.reduce((sum, point) => sum + (point[1] ?? 0), 0);
}

function nameIn({ source, destination }: Rollup, group: RollupGroup): string {
  if (group === 'total') return '';
  return group === 'service' ? destination : `${source} ${destination}`;
}

function keyFor({ source, destination }: Rollup, group: RollupGroup): RollupSeries['key'] {
  if (group === 'total') return {};
  return group === 'service' ? { service: destination } : { source, destination };
}

/** Adds more to a sum. */
export function addRollup(sum: Rollup, more: Rollup): void {
  sum.requests += more.requests;
  sum.denied += more.denied;
  sum.errors += more.errors;
  sum.bytesIn += more.bytesIn;
  sum.bytesOut += more.bytesOut;
  sum.durationUs += more.durationUs;
  const { durations } = more;
  for (let bucket = 0; bucket < durations.length; bucket++) {
    sum.durations[bucket] = (sum.durations[bucket] ?? 0) + (durations[bucket] ?? 0);
  }
}

const QUANTILES: Readonly<Partial<Record<RollupMetric, number>>> = {
  p50_us: 0.5,
  p95_us: 0.95,
  p99_us: 0.99,
};

function metricOf(sum: Rollup, metric: RollupMetric): number | null {
  const quantile = QUANTILES[metric];
  if (quantile !== undefined) return quantileOf(sum.durations, quantile);
  switch (metric) {
    case 'requests':
      return sum.requests;
    case 'denied':
      return sum.denied;
    case 'errors':
      return sum.errors;
    case 'bytes_in':
      return sum.bytesIn;
    case 'bytes_out':
      return sum.bytesOut;
    default:
      return sum.requests === 0 ? null : Math.round(sum.durationUs / sum.requests);
  }
}

function quantileOf(durations: readonly number[], quantile: number): number | null {
  const total = durations.reduce((sum, count) => sum + count, 0);
  if (total === 0) return null;
  let left = total * quantile;
  for (const [bucket, count] of durations.entries()) {
    if (left > count || count === 0) {
      left -= count;
      continue;
    }
    const until = FIRST_BUCKET_US * 2 ** bucket;
    const from = bucket === 0 ? 0 : until / 2;
    return Math.round(from + (until - from) * (left / count));
  }
  return FIRST_BUCKET_US * 2 ** (DURATION_BUCKETS - 1);
}
