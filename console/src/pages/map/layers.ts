/** Which layer of the map a service stands in. Pure. */

/** What is placed. `last` puts a node into the rightmost layer: stores, which call nobody. */
export type LayoutNode = { readonly id: string; readonly group: string; readonly last?: boolean };

/** What is drawn between two nodes. */
export type LayoutEdge = { readonly id: string; readonly from: string; readonly to: string };

/**
 * The layer of each node: one more than the furthest of its callers. Edges that close a circle, found
 * depth first, do not count.
 */
export function assignLayers(
  nodes: readonly LayoutNode[],
  edges: readonly LayoutEdge[],
): Map<string, number> {
  const forward = withoutCircles(nodes, edges);
  const layerOf = new Map<string, number>();
  const depth = (id: string): number => {
    const known = layerOf.get(id);
    if (known !== undefined) return known;
    const callers = forward.filter((edge) => edge.to === id);
    const layer = Math.max(-1, ...callers.map((edge) => depth(edge.from))) + 1;
    layerOf.set(id, layer);
    return layer;
  };
  for (const node of nodes) depth(node.id);
  pullEntries(nodes, forward, layerOf);
  const deepest = Math.max(0, ...layerOf.values());
  for (const node of nodes) if (node.last === true) layerOf.set(node.id, Math.max(1, deepest));
  return layerOf;
}

/** A caller whom nobody calls stands just left of the first it calls, unless it is an entry there anyway. */
function pullEntries(
  nodes: readonly LayoutNode[],
  edges: readonly LayoutEdge[],
  layerOf: Map<string, number>,
): void {
  for (const node of nodes) {
    if (edges.some((edge) => edge.to === node.id)) continue;
    const callees = edges.filter((edge) => edge.from === node.id);
    if (callees.length === 0) continue;
    const nearest = Math.min(...callees.map((edge) => layerOf.get(edge.to) ?? 1));
    layerOf.set(node.id, Math.max(0, nearest - 1));
  }
}

function withoutCircles(nodes: readonly LayoutNode[], edges: readonly LayoutEdge[]): LayoutEdge[] {
  const state = new Map<string, 'open' | 'done'>();
  const kept: LayoutEdge[] = [];
  const visit = (id: string): void => {
    state.set(id, 'open');
    for (const edge of edges) {
      if (edge.from !== id || state.get(edge.to) === 'open') continue;
      kept.push(edge);
      if (!state.has(edge.to)) visit(edge.to);
    }
    state.set(id, 'done');
  };
  // Whom nobody calls first: then a circle is broken where it leads back, not where it begins.
  const called = new Set(edges.map((edge) => edge.to));
  for (const node of nodes) if (!called.has(node.id) && !state.has(node.id)) visit(node.id);
  for (const node of nodes) if (!state.has(node.id)) visit(node.id);
  return kept;
}
