import { createRoute, z } from '@hono/zod-openapi';
import type { PointStatus } from '../enforcement.ts';
import { MAP_WINDOW_SECONDS, type MapEdge } from '../map.ts';
import type { Api, ApiContext } from './context.ts';
import { answers, Instant } from './schemas.ts';

const Node = z
  .object({
    id: z.string(),
    service: z.string(),
    namespace: z.string().nullable(),
    kind: z.enum(['service', 'external', 'unknown']),
    proxies: z.int(),
    ready: z.int(),
    stale: z.int(),
  })
  .openapi('MapNode');

const Edge = z
  .object({
    id: z.string(),
    source: z.string(),
    sourceId: z.string().nullable(),
    destination: z.string(),
    namespace: z.string(),
    requests: z.number(),
    denied: z.number(),
    errors: z.number(),
    rate: z.number(),
    deniedRate: z.number(),
    errorRate: z.number(),
    bytesIn: z.number(),
    bytesOut: z.number(),
    meanMs: z.number().nullable(),
    mtls: z.boolean(),
    protocol: z.string(),
    connections: z.number(),
    lastSeen: Instant,
    lastDenial: z.string().nullable(),
  })
  .openapi('MapEdge');

const MapView = z
  .object({ nodes: z.array(Node), edges: z.array(Edge), at: Instant, windowSeconds: z.int() })
  .openapi('MapView');

const map = createRoute({
  method: 'get',
  path: '/map',
  summary: 'Who calls whom, how much, and whether it is encrypted and allowed',
  responses: answers(MapView),
});

type MapNode = z.infer<typeof Node>;

/** GET /map. */
export function addMapRoute(api: Api, context: ApiContext): void {
  api.openapi(map, (c) => {
    const edges = context.map.edges();
    return c.json(
      {
        nodes: nodesOf(edges, context),
        edges: edges.map((edge) => ({ ...edge })),
        at: new Date(context.clock()).toISOString(),
        windowSeconds: MAP_WINDOW_SECONDS,
      },
      200,
    );
  });
}

/** Every Service there is, every one that has a proxy, and whoever else calls or is called. */
function nodesOf(edges: readonly MapEdge[], context: ApiContext): MapNode[] {
  const nodes = new Map<string, MapNode>();
  const add = (id: string, known: boolean): void => {
    if (!nodes.has(id)) nodes.set(id, nodeOf(id, known));
  };
  for (const set of context.sets.all()) {
    for (const key of set.resources.keys()) {
      if (key.startsWith('Service/')) add(`${set.namespace}/${key.slice('Service/'.length)}`, true);
    }
  }
  const points = context.enforcement.status().filter((point) => point.kind === 'proxy');
  for (const { namespace, service } of points) {
    if (namespace !== null && service !== null) add(`${namespace}/${service}`, true);
  }
  for (const { source, destination } of edges) {
    add(destination, false);
    add(source, false);
  }
  return Array.from(nodes.values(), (node) => withProxies(node, points)).sort((a, b) =>
    a.id < b.id ? -1 : 1,
  );
}

function nodeOf(id: string, known: boolean): MapNode {
  const [namespace = '', service = '', ...rest] = id.split('/');
  const isService = known || (rest.length === 0 && service !== '');
  const counts = { proxies: 0, ready: 0, stale: 0 };
  if (isService) return { id, service, namespace, kind: 'service', ...counts };
  const kind = id === 'unknown' ? 'unknown' : 'external';
  return { id, service: id, namespace: null, kind, ...counts };
}

function withProxies(node: MapNode, points: readonly PointStatus[]): MapNode {
  const own = points.filter(
    ({ namespace, service }) => namespace === node.namespace && service === node.service,
  );
  return {
    ...node,
    proxies: own.length,
    ready: own.filter((point) => point.connected && point.ready).length,
    stale: own.filter((point) => point.stale).length,
  };
}
