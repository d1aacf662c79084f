import type { MapEdge, MapNode, ServiceMap } from '../../api/service-map.ts';
import { edgeState } from './edge-state.ts';

/** Past this many nodes namespaces are folded into one node each until they are opened. */
export const FOLD_ABOVE = 40;
/** Callers of no namespace are folded too where there are more than this. */
const MAX_OUTSIDE = 6;
const OUTSIDE = 'outside';

/** How many edges in each state of trouble lie within a folded namespace, and so cannot be seen. */
export type Hidden = {
  readonly plaintext: number;
  readonly denied: number;
  readonly failing: number;
};

/** A node as it is shown; a folded one says how many it stands for, and what goes on inside. */
export type ShownNode = MapNode & { readonly services?: number; readonly hidden?: Hidden };

/** The map as it is shown. */
export type ShownMap = Omit<ServiceMap, 'nodes'> & { readonly nodes: readonly ShownNode[] };

/** The id of the node that stands for a folded namespace. */
export function foldedId(namespace: string): string {
  return `fold:${namespace}`;
}

/** What a person picked: opened namespaces, one service to see with its neighbours, a text to search. */
export type Picked = {
  readonly open: ReadonlySet<string>;
  readonly focus: string | undefined;
  readonly search: string;
};

/**
 * What of a map is shown. A small one whole. Of a large one the namespaces; of a service in focus only
 * it and its neighbours; what a search finds stands outside its folded namespace.
 */
export function shownMap(map: ServiceMap, picked: Picked): ShownMap {
  if (map.nodes.length <= FOLD_ABOVE) return map;
  const focused = map.nodes.some((node) => node.id === picked.focus);
  if (picked.focus !== undefined && focused) {
    const near = neighbourhood(map, picked.focus);
    if (near.nodes.length <= FOLD_ABOVE) return near;
    return foldNamespaces(near, new Set(), new Set([picked.focus]));
  }
  return foldNamespaces(map, picked.open, found(map, picked.search));
}

/**
 * The map with every namespace folded into one node that is not among `open`; nodes of `apart` stay
 * themselves. Edges that come to lie on each other are added up; those within a folded namespace are
 * counted on its node.
 */
export function foldNamespaces(
  map: ServiceMap,
  open: ReadonlySet<string>,
  apart: ReadonlySet<string> = new Set(),
): ShownMap {
  const outside = map.nodes.filter((node) => node.namespace === null).length;
  const groupOf = (node: MapNode): string | undefined =>
    node.namespace ?? (outside > MAX_OUTSIDE ? OUTSIDE : undefined);
  const target = new Map<string, string>();
  const nodes = new Map<string, ShownNode>();
  for (const node of map.nodes) {
    const group = groupOf(node);
    const folds = group !== undefined && !open.has(group) && !apart.has(node.id);
    const id = folds ? foldedId(group) : node.id;
    target.set(node.id, id);
    const known = nodes.get(id);
    if (!folds) nodes.set(id, node);
    else nodes.set(id, known === undefined ? folded(group, node) : addNodes(known, node));
  }
  const edges = new Map<string, MapEdge>();
  for (const edge of map.edges) {
    const source = target.get(edge.source) ?? edge.source;
    const destination = target.get(edge.destination) ?? edge.destination;
    if (source === destination && source.startsWith('fold:')) {
      hideIn(nodes, source, edge);
      continue;
    }
    const isSame = source === edge.source && destination === edge.destination;
    const id = isSame ? edge.id : `${source}>${destination}`;
    const known = edges.get(id);
    const moved = { ...edge, id, source, destination };
    edges.set(id, known === undefined ? moved : addEdges(known, moved));
  }
  return { ...map, nodes: [...nodes.values()], edges: [...edges.values()] };
}

/** A service, whom it calls and who calls it. */
function neighbourhood(map: ServiceMap, centre: string): ServiceMap {
  const edges = map.edges.filter((edge) => edge.source === centre || edge.destination === centre);
  const near = new Set([centre, ...edges.flatMap((edge) => [edge.source, edge.destination])]);
  return { ...map, edges, nodes: map.nodes.filter((node) => near.has(node.id)) };
}

/** Services whose name holds the text; none where it is too short to mean one, or finds too many to show. */
function found(map: ServiceMap, search: string): ReadonlySet<string> {
  const text = search.trim().toLowerCase();
  if (text.length < 2) return new Set();
  const ids = map.nodes
    .filter((node) => node.service.toLowerCase().includes(text))
    .map((node) => node.id);
  return new Set(ids.length <= FOLD_ABOVE ? ids : []);
}

function folded(group: string, node: MapNode): ShownNode {
  const hidden = { plaintext: 0, denied: 0, failing: 0 };
  const kind = node.namespace === null ? 'external' : 'service';
  return { ...node, id: foldedId(group), service: group, kind, services: 1, hidden };
}

function addNodes(sum: ShownNode, node: MapNode): ShownNode {
  return {
    ...sum,
    proxies: sum.proxies + node.proxies,
    ready: sum.ready + node.ready,
    stale: sum.stale + node.stale,
    services: (sum.services ?? 0) + 1,
  };
}

/** INVARIANT: folding hides no trouble; what cannot be drawn any more is counted on the node. */
function hideIn(nodes: Map<string, ShownNode>, id: string, edge: MapEdge): void {
  const node = nodes.get(id);
  const { tone } = edgeState(edge);
  if (node?.hidden === undefined || tone === 'allowed') return;
  nodes.set(id, { ...node, hidden: { ...node.hidden, [tone]: node.hidden[tone] + 1 } });
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
    mtls: sum.mtls === null || edge.mtls === null ? null : sum.mtls && edge.mtls,
    protocol: sum.protocol === edge.protocol ? sum.protocol : 'mixed',
    connections: sum.connections + edge.connections,
    lastSeen: sum.lastSeen > edge.lastSeen ? sum.lastSeen : edge.lastSeen,
    lastDenial: edge.lastDenial ?? sum.lastDenial,
  };
}
