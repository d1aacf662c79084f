import type { MapNode, ServiceMap } from '../../api/service-map.ts';
import { edgeState } from './edge-state.ts';
import { type Point, placeLabels } from './label-places.ts';
import { type Layout, layOut } from './layout.ts';

/** Size of a node in pixels. */
export const NODE_WIDTH = 132;
export const NODE_HEIGHT = 44;

/** How far above its line a label stands. */
const LABEL_RISE = 8;
const LABEL_HEIGHT = 15;
/** Rough widths: a rate alone, and a rate with a state's word. */
const LABEL_WIDTH = { allowed: 46, other: 118 } as const;
/** Rows as far apart as the frame has room for; the last fits anything. */
const ROW_GAPS = [72, 56, 44, 32] as const;
const STORE_PROTOCOLS = new Set(['tcp', 'postgres', 'redis', 'mysql', 'mongo']);

/** The places of services and edges in a frame of this size. */
export function layOutMap(map: ServiceMap, frame: { width: number; height: number }): Layout {
  const stores = storesOf(map);
  const nodes = map.nodes.map((node) => ({
    id: node.id,
    group: node.namespace ?? '',
    last: stores.has(node.id),
  }));
  const edges = map.edges.map((edge) => ({
    id: edge.id,
    from: edge.source,
    to: edge.destination,
  }));
  const layouts = ROW_GAPS.map((rowGap) =>
    layOut(nodes, edges, {
      nodeWidth: NODE_WIDTH,
      nodeHeight: NODE_HEIGHT,
      rowGap,
      minColumnGap: 124,
      maxColumnGap: 280,
      margin: 20,
      width: frame.width,
    }),
  );
  const fitting = layouts.find((layout) => layout.height <= frame.height) ?? layouts.at(-1);
  if (fitting === undefined) throw new Error('there is at least one row gap');
  return fitting;
}

/** Where the label of each edge is centred; states' words get theirs before plain rates. */
export function labelPlaces(map: ServiceMap, layout: Layout): ReadonlyMap<string, Point> {
  const isPlain = (index: number): boolean => {
    const edge = map.edges[index];
    return edge === undefined || edgeState(edge).tone === 'allowed';
  };
  const order = map.edges
    .map((_, index) => index)
    .toSorted((a, b) => Number(isPlain(a)) - Number(isPlain(b)));
  const labels = order.flatMap((index) => {
    const edge = map.edges[index];
    const routed = edge === undefined ? undefined : layout.edges.get(edge.id);
    if (edge === undefined || routed === undefined) return [];
    const width = isPlain(index) ? LABEL_WIDTH.allowed : LABEL_WIDTH.other;
    const rise = (point: Point): Point => ({ x: point.x, y: point.y - LABEL_RISE });
    const [a, b, c, d] = routed.labelled;
    const curve = [rise(a), rise(b), rise(c), rise(d)] as const;
    return [{ id: edge.id, curve, size: { width, height: LABEL_HEIGHT } }];
  });
  const boxes = [...layout.nodes.values()].map((placed) => ({
    x: placed.x + NODE_WIDTH / 2,
    y: placed.y + NODE_HEIGHT / 2,
    width: NODE_WIDTH,
    height: NODE_HEIGHT,
  }));
  const places = placeLabels(labels, boxes);
  return new Map(labels.map((label, index) => [label.id, places[index] ?? label.curve[0]]));
}

/** A store is called in a store's protocol only, and calls nobody. */
function storesOf(map: ServiceMap): ReadonlySet<string> {
  const calls = new Set(map.edges.map((edge) => edge.source));
  const isStore = (node: MapNode): boolean => {
    const incoming = map.edges.filter((edge) => edge.destination === node.id);
    return (
      !calls.has(node.id) &&
      incoming.length > 0 &&
      incoming.every((edge) => STORE_PROTOCOLS.has(edge.protocol))
    );
  };
  return new Set(map.nodes.filter(isStore).map((node) => node.id));
}
