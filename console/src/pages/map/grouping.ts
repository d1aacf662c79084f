import type { MapEdge, MapNode, ServiceMap } from '../../api/service-map.ts';

/** Past this many nodes namespaces are folded into one node each until they are opened. */
export const FOLD_ABOVE = 40;

/** The id of the node that stands for a folded namespace. */
export function foldedId(namespace: string): string {
  return `fold:${namespace}`;
}

/**
 * The map with every namespace folded into one node that is not among `open`. Edges that come to lie
 * on each other are added up; edges within a folded namespace disappear in it.
 */
export function foldNamespaces(map: ServiceMap, open: ReadonlySet<string>): ServiceMap {
  const target = new Map<string, string>();
  const nodes = new Map<string, MapNode>();
  for (const node of map.nodes) {
    const folds = node.namespace !== null && !open.has(node.namespace);
    const id = folds ? foldedId(node.namespace ?? '') : node.id;
    target.set(node.id, id);
    const known = nodes.get(id);
    if (!folds) nodes.set(id, node);
    else nodes.set(id, known === undefined ? folded(id, node) : addNodes(known, node));
  }
  const edges = new Map<string, MapEdge>();
  for (const edge of map.edges) {
    const source = target.get(edge.source) ?? edge.source;
    const destination = target.get(edge.destination) ?? edge.destination;
    if (source === destination && source.startsWith('fold:')) continue;
    const isSame = source === edge.source && destination === edge.destination;
    const id = isSame ? edge.id : `${source}>${destination}`;
    const known = edges.get(id);
    const moved = { ...edge, id, source, destination };
    edges.set(id, known === undefined ? moved : addEdges(known, moved));
  }
  return { ...map, nodes: [...nodes.values()], edges: [...edges.values()] };
}

function folded(id: string, node: MapNode): MapNode {
  return { ...node, id, service: node.namespace ?? '', kind: 'service' };
}

function addNodes(sum: MapNode, node: MapNode): MapNode {
  return {
    ...sum,
    proxies: sum.proxies + node.proxies,
    ready: sum.ready + node.ready,
    stale: sum.stale + node.stale,
  };
}

/** INVARIANT: one plaintext edge makes the sum plaintext. */
function addEdges(sum: MapEdge, edge: MapEdge): MapEdge {
  return {
    ...sum,
    sourceId: sum.sourceId === edge.sourceId ? sum.sourceId : null,
    requests: sum.requests + edge.requests,
    denied: sum.denied + edge.denied,
    errors: sum.errors + edge.errors,
    rate: sum.rate + edge.rate,
    deniedRate: sum.deniedRate + edge.deniedRate,
    errorRate: sum.errorRate + edge.errorRate,
    bytesIn: sum.bytesIn + edge.bytesIn,
    bytesOut: sum.bytesOut + edge.bytesOut,
    meanMs: null,
    mtls: sum.mtls && edge.mtls,
    protocol: sum.protocol === edge.protocol ? sum.protocol : 'mixed',
    connections: sum.connections + edge.connections,
    lastSeen: sum.lastSeen > edge.lastSeen ? sum.lastSeen : edge.lastSeen,
    lastDenial: edge.lastDenial ?? sum.lastDenial,
  };
}
