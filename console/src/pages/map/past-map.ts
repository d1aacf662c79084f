import type { RollupSeries, Rollups } from '../../api/rollups.ts';
import type { MapEdge, MapNode, ServiceMap } from '../../api/service-map.ts';
import { apiPath } from '../../route/query.ts';
import { rangeMs, rangeQuery, stepOf, type TimeRange } from '../../route/time-range.ts';
import { instantMs } from '../../words/rollup.ts';

/** What is asked of each edge, in the order in which points have it. */
const METRICS = ['requests', 'denied', 'errors', 'bytes_in', 'bytes_out', 'mean_us'] as const;

/** The API path of the edges of a stretch of time. */
export function pastEdgesPath(range: TimeRange): string {
  const { since, until } = rangeQuery(range);
  const metric = METRICS.join(',');
  return apiPath('/rollups', { group: 'edge', metric, step: stepOf(range), from: since, until });
}

/**
 * The map of a stretch of time, out of the sums of its edges. Services are those of now, and whoever else called or was
 * called then; what sums do not keep (encryption, connections, identities) is not claimed. Pure.
 */
export function pastMap(now: ServiceMap, sums: Rollups, range: TimeRange): ServiceMap {
  const { fromMs, untilMs } = rangeMs(range, Date.parse(now.at));
  const windowSeconds = Math.max(1, (untilMs - fromMs) / 1000);
  const heard = new Map(now.edges.map(({ id, lastSeen }) => [id, lastSeen]));
  const edges = sums.series
    .flatMap((one) => edgeOf(one, windowSeconds) ?? [])
    .map((edge) => ({ ...edge, lastSeen: lastSeenOf(edge, heard.get(edge.id), untilMs) }));
  const nodes = new Map(now.nodes.map((node) => [node.id, node]));
  for (const id of edges.flatMap(({ source, destination }) => [source, destination])) {
    if (!nodes.has(id)) nodes.set(id, nodeOf(id));
  }
  return { nodes: [...nodes.values()], edges, at: new Date(untilMs).toISOString(), windowSeconds };
}

function edgeOf({ key, points }: RollupSeries, windowSeconds: number): MapEdge | undefined {
  const sum = (metric: number): number =>
    points.reduce((total, point) => total + Number(point[metric + 1] ?? 0), 0);
  const [requests, denied, errors] = [sum(0), sum(1), sum(2)];
  if (requests === 0) return undefined;
  const spentUs = points.reduce(
    (total, point) => total + Number(point[1] ?? 0) * Number(point[6] ?? 0),
    0,
  );
  const source = key['source'] ?? 'unknown';
  const destination = key['destination'] ?? 'unknown';
  const last = Math.max(...points.map(([instant]) => instantMs(instant)));
  return {
    id: `${source}>${destination}`,
    source,
    sourceId: source.startsWith('spiffe://') ? source : null,
    destination,
    namespace: destination.split('/')[0] ?? '',
    requests,
    denied,
    errors,
    rate: requests / windowSeconds,
    deniedRate: denied / windowSeconds,
    errorRate: errors / windowSeconds,
    bytesIn: sum(3),
    bytesOut: sum(4),
    meanMs: spentUs / requests / 1000,
    mtls: null,
    protocol: 'http',
    connections: 0,
    lastSeen: new Date(last).toISOString(),
    lastDenial: null,
  };
}

/** A sum tells its step's beginning; of an edge still in use the control plane knows the last call itself. */
function lastSeenOf(edge: MapEdge, heard: string | null | undefined, untilMs: number) {
  if (heard === undefined || heard === null) return edge.lastSeen;
  const heardMs = Date.parse(heard);
  const isNewer = edge.lastSeen === null || heardMs > Date.parse(edge.lastSeen);
  return isNewer && heardMs <= untilMs ? heard : edge.lastSeen;
}

function nodeOf(id: string): MapNode {
  const [namespace = '', service = '', ...rest] = id.split('/');
  const counts = { proxies: 0, ready: 0, stale: 0 };
  if (service !== '' && rest.length === 0) {
    return { id, service, namespace, kind: 'service', ...counts };
  }
  const kind = id === 'unknown' ? 'unknown' : 'external';
  return { id, service: id, namespace: null, kind, ...counts };
}
