import type { ServiceMap } from '../../api/service-map.ts';

/** Which nodes and edges stand out; undefined while nothing is picked and all do. */
export type Highlight = {
  readonly nodes: ReadonlySet<string>;
  readonly edges: ReadonlySet<string>;
};

/** The picked node, whom it calls and who calls it; or all nodes whose name holds the text. */
export function highlight(
  map: ServiceMap,
  picked: { focus: string | undefined; search: string },
): Highlight | undefined {
  const text = picked.search.trim().toLowerCase();
  if (picked.focus === undefined && text === '') return undefined;
  const centre = new Set(
    map.nodes
      .filter((node) =>
        picked.focus === undefined
          ? `${node.service} ${node.namespace ?? ''}`.toLowerCase().includes(text)
          : node.id === picked.focus,
      )
      .map((node) => node.id),
  );
  const edges = map.edges.filter((edge) => centre.has(edge.source) || centre.has(edge.destination));
  const nodes = new Set(centre);
  for (const edge of edges) nodes.add(edge.source).add(edge.destination);
  return { nodes, edges: new Set(edges.map((edge) => edge.id)) };
}
