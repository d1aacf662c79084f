import type { MapNode } from '../../api/service-map.ts';
import { edgeState } from './edge-state.ts';
import type { ShownMap } from './grouping.ts';
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
/** Rows as far apart as the frame has room for. */
const ROW_GAPS = [72, 56, 44] as const;
const CLOSEST_GAP = 32;
const COLUMN_GAP = 124;
const FOLDED_COLUMN_GAP = 96;
const MARGIN = 20;
/** Calls within a column go round its right side. */
const FOLDED_MARGIN = 56;
/** The zoom at which a picture is shown that does not fit; names stay readable. */
export const CROWDED_ZOOM = 0.85;
const STORE_PROTOCOLS = new Set(['tcp', 'postgres', 'redis', 'mysql', 'mongo']);

/** The places of services and edges in a frame of this size. */
export function layOutMap(map: ShownMap, frame: { width: number; height: number }): Layout {
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
  const isLarge = isFolded(map);
  const withGap = (rowGap: number): Layout =>
    layOut(nodes, edges, {
      nodeWidth: NODE_WIDTH,
      nodeHeight: NODE_HEIGHT,
      rowGap,
      minColumnGap: isLarge ? FOLDED_COLUMN_GAP : COLUMN_GAP,
      maxColumnGap: 280,
      margin: isLarge ? FOLDED_MARGIN : MARGIN,
      width: frame.width,
      // Folded namespaces call each other in circles: their layers say little, so they must fit.
      maxLayers: isLarge ? columnsIn(frame.width) : undefined,
    });
  // What does not fit closest does not fit at all, and needs no more tries.
  const closest = withGap(CLOSEST_GAP);
  if (closest.height > frame.height) return closest;
  for (const gap of ROW_GAPS) {
    const layout = withGap(gap);
    if (layout.height <= frame.height) return layout;
  }
  return closest;
}

function isFolded(map: ShownMap): boolean {
  return map.nodes.some((node) => node.services !== undefined);
}

/** How many columns fit a frame beside each other without scrolling, at the zoom of a crowded picture. */
function columnsIn(width: number): number {
  const usable = width / CROWDED_ZOOM - 2 * FOLDED_MARGIN + FOLDED_COLUMN_GAP;
  return Math.max(2, Math.floor(usable / (NODE_WIDTH + FOLDED_COLUMN_GAP)));
}

/** Where the label of each edge is centred; states' words get theirs before plain rates. */
export function labelPlaces(map: ShownMap, layout: Layout): ReadonlyMap<string, Point> {
  const isLarge = isFolded(map);
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
    // Among many edges those that say nothing have no label.
    if (isLarge && isPlain(index) && edge.rate <= 0) return [];
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
function storesOf(map: ShownMap): ReadonlySet<string> {
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
