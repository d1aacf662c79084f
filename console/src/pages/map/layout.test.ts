import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { assignLayers, type LayoutEdge, type LayoutNode } from './layers.ts';
import { layOut } from './layout.ts';

const OPTIONS = {
  nodeWidth: 140,
  nodeHeight: 40,
  rowGap: 24,
  minColumnGap: 100,
  maxColumnGap: 220,
  margin: 16,
  width: 900,
};

function graphOf(calls: string, last: readonly string[] = []) {
  const edges: LayoutEdge[] = calls
    .split(' ')
    .filter(Boolean)
    .map((call) => {
      const [from = '', to = ''] = call.split('>');
      return { id: call, from, to };
    });
  const ids = [...new Set(edges.flatMap((edge) => [edge.from, edge.to]))];
  const nodes: LayoutNode[] = ids.map((id) => ({ id, group: '', last: last.includes(id) }));
  return { nodes, edges };
}

const layerCases: { name: string; calls: string; last?: string[]; expected: string }[] = [
  { name: 'a chain', calls: 'a>b b>c', expected: 'a0 b1 c2' },
  { name: 'the longest way counts', calls: 'a>b b>c a>c', expected: 'a0 b1 c2' },
  { name: 'a circle leads back once', calls: 'a>b b>c c>b', expected: 'a0 b1 c2' },
  { name: 'a call to itself', calls: 'a>a a>b', expected: 'a0 b1' },
  { name: 'a late entry stands by its callee', calls: 'a>b b>c x>c', expected: 'a0 b1 c2 x1' },
  { name: 'stores are last', calls: 'a>s a>b b>c', last: ['s'], expected: 'a0 s2 b1 c2' },
];

for (const { name, calls, last, expected } of layerCases) {
  test(`layers: ${name}`, () => {
    const { nodes, edges } = graphOf(calls, last);
    const layers = assignLayers(nodes, edges);
    assert.equal(nodes.map((node) => `${node.id}${layers.get(node.id)}`).join(' '), expected);
  });
}

test('an empty map is an empty picture', () => {
  const layout = layOut([], [], OPTIONS);
  assert.deepEqual([layout.nodes.size, layout.edges.size, layout.layers], [0, 0, 0]);
});

test('a picture fills its width and grows where it must', () => {
  const { nodes, edges } = graphOf('a>b b>c');
  assert.equal(layOut(nodes, edges, OPTIONS).width, 900);
  const long = graphOf('a>b b>c c>d d>e e>f f>g');
  assert.ok(layOut(long.nodes, long.edges, OPTIONS).width > 900);
});

test('any graph: nothing overlaps, all lies inside, the same input gives the same picture', () => {
  const edge = fc.tuple(fc.nat(12), fc.nat(12));
  fc.assert(
    fc.property(fc.uniqueArray(edge, { maxLength: 30, selector: String }), (pairs) => {
      const { nodes, edges } = graphOf(pairs.map(([from, to]) => `n${from}>n${to}`).join(' '));
      const layout = layOut(nodes, edges, OPTIONS);
      assert.deepEqual(layout, layOut(nodes, edges, OPTIONS));
      assert.equal(layout.nodes.size, nodes.length);
      assert.equal(layout.edges.size, edges.length);
      const placed = [...layout.nodes.values()];
      for (const [index, node] of placed.entries()) {
        assert.ok(node.x >= 0 && node.x + OPTIONS.nodeWidth <= layout.width);
        assert.ok(node.y >= 0 && node.y + OPTIONS.nodeHeight <= layout.height + 0.01);
        for (const other of placed.slice(index + 1)) {
          const apart = node.layer !== other.layer;
          assert.ok(apart || Math.abs(node.y - other.y) >= OPTIONS.nodeHeight);
        }
      }
    }),
  );
});

test('layers beyond what fits are pressed into columns of about one height, and none overlap', () => {
  const chain = Array.from({ length: 24 }, (_, index) => `n${index}>n${index + 1}`).join(' ');
  const { nodes, edges } = graphOf(`${chain} n3>n0 n24>n2`);
  const layout = layOut(nodes, edges, { ...OPTIONS, maxLayers: 5 });
  const columns = Map.groupBy(layout.nodes.values(), (placed) => placed.layer);
  assert.equal(layout.layers, 5);
  assert.deepEqual(
    [...columns.values()].map((column) => column.length),
    [5, 5, 5, 5, 5],
  );
  for (const column of columns.values()) {
    const ys = column.map((placed) => placed.y).toSorted((a, b) => a - b);
    for (const [index, y] of ys.entries()) {
      const above = ys[index - 1];
      assert.ok(above === undefined || y - above >= OPTIONS.nodeHeight);
    }
  }
  assert.ok(layout.width <= OPTIONS.width + 2 * OPTIONS.margin + 5 * OPTIONS.nodeWidth);
});
