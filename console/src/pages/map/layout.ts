/** A left-to-right layered drawing of a small graph. Pure: the same input gives the same picture. */

import { assignLayers, type LayoutEdge, type LayoutNode } from './layers.ts';
import { type Routed, route, type Way } from './routes.ts';

/** Sizes in pixels. `width` is what the picture should fill if it can. */
export type LayoutOptions = {
  readonly nodeWidth: number;
  readonly nodeHeight: number;
  readonly rowGap: number;
  readonly minColumnGap: number;
  readonly maxColumnGap: number;
  readonly margin: number;
  readonly width: number;
  /** More layers than this are pressed together; undefined: as many as there are. */
  readonly maxLayers?: number | undefined;
};

/** Left top corner of a node. */
export type Placed = { readonly x: number; readonly y: number; readonly layer: number };

/** The picture. */
export type Layout = {
  readonly width: number;
  readonly height: number;
  readonly layers: number;
  readonly nodes: ReadonlyMap<string, Placed>;
  readonly edges: ReadonlyMap<string, Routed>;
};

/** A node or, on an edge that passes a layer, a point in that layer which keeps its way free. */
type Slot = { readonly id: string; readonly group: string; readonly bend: boolean; y: number };

type Graph = {
  readonly layers: Slot[][];
  /** Neighbours in the next layer, by slot id. */
  readonly after: Map<string, string[]>;
  readonly before: Map<string, string[]>;
  /** The slots an edge passes between its ends, in order. */
  readonly bends: Map<string, string[]>;
  readonly layerOf: ReadonlyMap<string, number>;
};

const SWEEPS = 6;
/** A bend needs less room than a node, and among many of them still less. */
const BEND_SHARE = 0.5;
const PRESSED_BEND_SHARE = 0.25;

/** Places the nodes in layers so that calls lead to the right, and routes the edges between them. */
export function layOut(
  nodes: readonly LayoutNode[],
  edges: readonly LayoutEdge[],
  options: LayoutOptions,
): Layout {
  const known = new Set(nodes.map((node) => node.id));
  const usable = edges.filter((edge) => known.has(edge.from) && known.has(edge.to));
  const layerOf = pressed(assignLayers(nodes, usable), options.maxLayers);
  const graph = buildGraph(nodes, usable, layerOf);
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) orderOnce(graph, sweep % 2 === 0);
  const height = placeVertically(graph, options);
  return draw({ graph, edges: usable, options, height });
}

/** The layers in their order, several in one where there would be too many: columns of about one height. */
function pressed(
  layerOf: ReadonlyMap<string, number>,
  maxLayers: number | undefined,
): ReadonlyMap<string, number> {
  const count = Math.max(0, ...layerOf.values()) + 1;
  if (maxLayers === undefined || count <= maxLayers) return layerOf;
  const sizes = Array.from({ length: count }, () => 0);
  for (const layer of layerOf.values()) sizes[layer] = (sizes[layer] ?? 0) + 1;
  let before = 0;
  const columns = sizes.map((size) => {
    const middle = before + size / 2;
    before += size;
    return Math.min(maxLayers - 1, Math.floor((middle * maxLayers) / layerOf.size));
  });
  return new Map([...layerOf].map(([id, layer]) => [id, columns[layer] ?? 0]));
}

function buildGraph(
  nodes: readonly LayoutNode[],
  edges: readonly LayoutEdge[],
  layerOf: ReadonlyMap<string, number>,
): Graph {
  const count = Math.max(0, ...layerOf.values()) + 1;
  const layers: Slot[][] = Array.from({ length: nodes.length === 0 ? 0 : count }, () => []);
  const sorted = nodes.toSorted((a, b) => compare(a.group, b.group) || compare(a.id, b.id));
  for (const node of sorted) {
    const slot = { id: node.id, group: node.group, bend: false, y: 0 };
    layers[layerOf.get(node.id) ?? 0]?.push(slot);
  }
  const graph: Graph = { layers, after: new Map(), before: new Map(), bends: new Map(), layerOf };
  for (const edge of edges) addEdge(graph, edge);
  return graph;
}

function addEdge(graph: Graph, edge: LayoutEdge): void {
  const from = graph.layerOf.get(edge.from) ?? 0;
  const to = graph.layerOf.get(edge.to) ?? 0;
  const bends: string[] = [];
  graph.bends.set(edge.id, bends);
  if (to <= from) return;
  let previous = edge.from;
  for (let layer = from + 1; layer < to; layer += 1) {
    const id = `${edge.id}#${layer}`;
    graph.layers[layer]?.push({ id, group: '', bend: true, y: 0 });
    bends.push(id);
    connect(graph, previous, id);
    previous = id;
  }
  connect(graph, previous, edge.to);
}

function connect(graph: Graph, from: string, to: string): void {
  graph.after.set(from, [...(graph.after.get(from) ?? []), to]);
  graph.before.set(to, [...(graph.before.get(to) ?? []), from]);
}

/** Orders each layer by the mean place of its neighbours in the layer just passed. */
function orderOnce(graph: Graph, rightwards: boolean): void {
  const count = graph.layers.length;
  for (let step = 1; step < count; step += 1) {
    const at = rightwards ? step : count - 1 - step;
    const beside = graph.layers[rightwards ? at - 1 : at + 1] ?? [];
    const place = new Map(beside.map((slot, index) => [slot.id, index]));
    const neighbours = rightwards ? graph.before : graph.after;
    const own = graph.layers[at] ?? [];
    const weight = new Map(
      own.map((slot, index) => [slot.id, mean(neighbours.get(slot.id), place) ?? index]),
    );
    own.sort((a, b) => (weight.get(a.id) ?? 0) - (weight.get(b.id) ?? 0));
  }
}

function mean(ids: readonly string[] | undefined, place: ReadonlyMap<string, number>) {
  const places = (ids ?? []).map((id) => place.get(id)).filter((at) => at !== undefined);
  if (places.length === 0) return undefined;
  return places.reduce((sum, at) => sum + at, 0) / places.length;
}

/** Gives each slot its centre line near its neighbours', without overlap. Returns the height. */
function placeVertically(graph: Graph, options: LayoutOptions): number {
  for (const layer of graph.layers) {
    let y = 0;
    for (const [index, slot] of layer.entries()) {
      y += index === 0 ? 0 : distance(layer[index - 1], slot, options);
      slot.y = y;
    }
    for (const slot of layer) slot.y -= y / 2;
  }
  const yOf = new Map(graph.layers.flat().map((slot) => [slot.id, slot]));
  // Layers pressed together are packed: calls within one pull nobody anywhere.
  const sweeps = options.maxLayers === undefined ? SWEEPS : 0;
  for (let sweep = 0; sweep < sweeps; sweep += 1) {
    const order = sweep % 2 === 0 ? graph.layers : graph.layers.toReversed();
    for (const layer of order) settle({ layer, graph, yOf, options });
  }
  const all = graph.layers.flat();
  const top = Math.min(0, ...all.map((slot) => slot.y));
  for (const slot of all) slot.y += options.margin + options.nodeHeight / 2 - top;
  const bottom = Math.max(0, ...all.map((slot) => slot.y));
  return bottom + options.nodeHeight / 2 + options.margin;
}

/** Moves a layer's slots towards the mean of their neighbours, then apart where they would touch. */
function settle(options: {
  layer: Slot[];
  graph: Graph;
  yOf: ReadonlyMap<string, Slot>;
  options: LayoutOptions;
}): void {
  const { layer, graph, yOf } = options;
  const wished = layer.map((slot) => {
    const beside = [...(graph.before.get(slot.id) ?? []), ...(graph.after.get(slot.id) ?? [])];
    const ys = beside.map((id) => yOf.get(id)?.y ?? slot.y);
    return ys.length === 0 ? slot.y : ys.reduce((sum, y) => sum + y, 0) / ys.length;
  });
  for (const [index, slot] of layer.entries()) {
    const above = layer[index - 1];
    const wish = wished[index] ?? slot.y;
    const floor = above === undefined ? wish : above.y + distance(above, slot, options.options);
    slot.y = Math.max(wish, floor);
  }
  // Pushing apart only ever moves down; half of the push is given back to the whole layer.
  const pushed =
    layer.reduce((sum, slot, index) => sum + slot.y - (wished[index] ?? slot.y), 0) /
    Math.max(1, layer.length);
  for (const slot of layer) slot.y -= pushed;
}

function distance(above: Slot | undefined, below: Slot, options: LayoutOptions): number {
  const full = options.nodeHeight + options.rowGap;
  if (above === undefined) return full;
  const groupGap = !above.bend && !below.bend && above.group !== below.group ? 0.25 : 0;
  const bendShare = options.maxLayers === undefined ? BEND_SHARE : PRESSED_BEND_SHARE;
  if (above.bend && below.bend) return full * bendShare;
  return full * ((above.bend || below.bend ? Math.max(BEND_SHARE, bendShare) : 1) + groupGap);
}

function draw(input: {
  graph: Graph;
  edges: readonly LayoutEdge[];
  options: LayoutOptions;
  height: number;
}): Layout {
  const { graph, edges, options, height } = input;
  const count = graph.layers.length;
  const free = options.width - 2 * options.margin - count * options.nodeWidth;
  const gap = Math.min(
    options.maxColumnGap,
    Math.max(options.minColumnGap, count > 1 ? free / (count - 1) : 0),
  );
  const column = options.nodeWidth + gap;
  const used = count * options.nodeWidth + Math.max(0, count - 1) * gap;
  const width = Math.max(options.width, used + 2 * options.margin);
  const left = (width - used) / 2;
  const nodes = new Map<string, Placed>();
  const yOf = new Map<string, number>();
  for (const [layer, slots] of graph.layers.entries()) {
    for (const slot of slots) {
      yOf.set(slot.id, slot.y);
      if (slot.bend) continue;
      nodes.set(slot.id, { x: left + layer * column, y: slot.y - options.nodeHeight / 2, layer });
    }
  }
  const routed = new Map(
    edges.map((edge) => [
      edge.id,
      route(waysOf({ edge, nodes, yOf, graph, options, left, column }), options),
    ]),
  );
  return { width, height, layers: count, nodes, edges: routed };
}

/** The points an edge passes, from the side of one node to the side of the other. */
function waysOf(input: {
  edge: LayoutEdge;
  nodes: ReadonlyMap<string, Placed>;
  yOf: ReadonlyMap<string, number>;
  graph: Graph;
  options: LayoutOptions;
  left: number;
  column: number;
}): Way {
  const { edge, nodes, yOf, graph, options, left, column } = input;
  const from = nodes.get(edge.from) ?? { x: 0, y: 0, layer: 0 };
  const to = nodes.get(edge.to) ?? { x: 0, y: 0, layer: 0 };
  const start = { x: from.x + options.nodeWidth, y: from.y + options.nodeHeight / 2 };
  const isBeside = to.layer === from.layer && edge.from !== edge.to;
  const end = { x: isBeside ? to.x + options.nodeWidth : to.x, y: to.y + options.nodeHeight / 2 };
  if (isBeside) return { points: [start, end], kind: 'beside' };
  const bends = (graph.bends.get(edge.id) ?? []).flatMap((id, index) => {
    const x = left + (from.layer + 1 + index) * column;
    const y = yOf.get(id) ?? start.y;
    return [
      { x, y },
      { x: x + options.nodeWidth, y },
    ];
  });
  return { points: [start, ...bends, end], kind: to.layer <= from.layer ? 'back' : 'forward' };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
