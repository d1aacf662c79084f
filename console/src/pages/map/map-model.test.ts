import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MapEdge, MapNode, ServiceMap } from '../../api/service-map.ts';
import { edgeState, edgeWidth } from './edge-state.ts';
import { FOLD_ABOVE, foldNamespaces, shownMap } from './grouping.ts';
import { highlight } from './neighbours.ts';

function edge(part: Partial<MapEdge>): MapEdge {
  return {
    id: 'e',
    source: 'shop/web',
    sourceId: null,
    destination: 'shop/orders',
    namespace: 'shop',
    requests: 100,
    denied: 0,
    errors: 0,
    rate: 10,
    deniedRate: 0,
    errorRate: 0,
    bytesIn: 0,
    bytesOut: 0,
    meanMs: 1,
    mtls: true,
    protocol: 'http',
    connections: 1,
    lastSeen: '2026-01-01T00:00:00.000Z',
    lastDenial: null,
    ...part,
  };
}

function node(id: string): MapNode {
  const [namespace = '', service = ''] = id.split('/');
  return { id, service, namespace, kind: 'service', proxies: 1, ready: 1, stale: 0 };
}

const stateCases: { name: string; part: Partial<MapEdge>; expected: string }[] = [
  { name: 'all is well', part: {}, expected: 'allowed allowed' },
  { name: 'some denied', part: { deniedRate: 5 }, expected: 'denied 50 % denied' },
  { name: 'all denied', part: { deniedRate: 10 }, expected: 'denied denied' },
  { name: 'idle, denied before', part: { rate: 0, denied: 100 }, expected: 'denied denied' },
  { name: 'failing', part: { errorRate: 1 }, expected: 'failing 10 % failing' },
  { name: 'a stray error', part: { errorRate: 0.01 }, expected: 'allowed allowed' },
  { name: 'plaintext let in', part: { mtls: false }, expected: 'plaintext plaintext' },
  {
    name: 'plaintext refused',
    part: { mtls: false, denied: 100, deniedRate: 10 },
    expected: 'denied denied',
  },
  {
    name: 'plaintext outranks denied',
    part: { mtls: false, deniedRate: 5, denied: 50 },
    expected: 'plaintext plaintext',
  },
];

for (const { name, part, expected } of stateCases) {
  test(`the state of an edge: ${name}`, () => {
    const state = edgeState(edge(part));
    assert.equal(`${state.tone} ${state.word}`, expected);
  });
}

test('edge width grows with the logarithm of the rate and has a bound', () => {
  assert.ok(edgeWidth(0) >= 1);
  assert.ok(edgeWidth(100) < 2 * edgeWidth(10));
  assert.equal(edgeWidth(1e12), 9);
});

const map: ServiceMap = {
  nodes: [node('shop/web'), node('shop/orders'), node('bank/payments')],
  edges: [
    edge({ id: '1' }),
    edge({ id: '2', source: 'shop/orders', destination: 'bank/payments', rate: 2 }),
    edge({ id: '3', source: 'shop/web', destination: 'bank/payments', rate: 3, mtls: false }),
  ],
  at: '2026-01-01T00:00:00.000Z',
  windowSeconds: 900,
};

test('folding adds up what comes to lie on each other and hides no plaintext', () => {
  const folded = foldNamespaces(map, new Set(['bank']));
  assert.deepEqual(
    folded.nodes.map((entry) => [entry.id, entry.proxies]),
    [
      ['fold:shop', 2],
      ['bank/payments', 1],
    ],
  );
  assert.deepEqual(
    folded.edges.map((entry) => [entry.id, entry.rate, entry.mtls]),
    [['fold:shop>bank/payments', 5, false]],
  );
});

test('an open namespace stays as it is', () => {
  assert.deepEqual(foldNamespaces(map, new Set(['shop', 'bank'])), map);
});

test('a focus shows the neighbours, a search all that match, nothing picked means all', () => {
  assert.equal(highlight(map, { focus: undefined, search: ' ' }), undefined);
  const focus = highlight(map, { focus: 'shop/orders', search: '' });
  assert.deepEqual([...(focus?.edges ?? [])], ['1', '2']);
  const search = highlight(map, { focus: undefined, search: 'PAY' });
  assert.deepEqual([...(search?.edges ?? [])], ['2', '3']);
  assert.equal(search?.nodes.size, 3);
});

/** Namespaces of ten services each; in each the first calls the others, and the first of the next one. */
function bigMap(namespaces: number): ServiceMap {
  const ids = Array.from({ length: namespaces * 10 }, (_, index) => {
    const namespace = Math.floor(index / 10);
    return `n${namespace}/service-${namespace}-${index % 10}`;
  });
  const edges = ids.flatMap((id, index) => {
    const first = ids[index - (index % 10)] ?? id;
    const next = ids[index + 10] ?? ids[0] ?? id;
    const own = edge({
      id: `${first}>${id}`,
      source: first,
      destination: id,
      deniedRate: index === 3 ? 10 : 0,
    });
    const far = edge({ id: `${id}>${next}`, source: id, destination: next });
    return index % 10 === 0 ? [far] : [own];
  });
  return { ...map, nodes: ids.map(node), edges };
}

const picks: {
  name: string;
  picked: Partial<Parameters<typeof shownMap>[1]>;
  nodes: number;
  has: string[];
}[] = [
  { name: 'the namespaces alone', picked: {}, nodes: 20, has: ['fold:n0', 'fold:n19'] },
  {
    name: 'one opened',
    picked: { open: new Set(['n1']) },
    nodes: 29,
    has: ['n1/service-1-9', 'fold:n0'],
  },
  {
    name: 'what a search finds beside its namespace',
    picked: { search: 'ICE-7-3' },
    nodes: 21,
    has: ['n7/service-7-3', 'fold:n7'],
  },
  {
    name: 'nothing more for a search that finds too many',
    picked: { search: 'service' },
    nodes: 20,
    has: [],
  },
  {
    name: 'one service with its neighbours, and nobody else',
    picked: { focus: 'n7/service-7-0' },
    nodes: 12,
    has: ['n7/service-7-5', 'n8/service-8-0', 'n6/service-6-0'],
  },
  { name: 'all again where the focus is gone', picked: { focus: 'n99/none' }, nodes: 20, has: [] },
];

for (const { name, picked, nodes, has } of picks) {
  test(`of 200 services is shown: ${name}`, () => {
    const shown = shownMap(bigMap(20), {
      open: new Set(),
      focus: undefined,
      search: '',
      ...picked,
    });
    const ids = new Set(shown.nodes.map((entry) => entry.id));
    assert.equal(ids.size, nodes);
    for (const id of has) assert.ok(ids.has(id), id);
    for (const { source, destination } of shown.edges)
      assert.ok(ids.has(source) && ids.has(destination));
  });
}

test('a folded namespace says what goes on inside', () => {
  const shown = shownMap(bigMap(20), { open: new Set(), focus: undefined, search: '' });
  const first = shown.nodes.find((entry) => entry.id === 'fold:n0');
  assert.deepEqual(first?.hidden, { plaintext: 0, denied: 1, failing: 0 });
  assert.equal(first?.services, 10);
});

test('a service that everybody calls is shown with its callers by namespace', () => {
  const big = bigMap(20);
  const hub = 'n0/service-0-0';
  const edges = big.nodes.map(({ id }) =>
    edge({ id: `${id}>${hub}`, source: id, destination: hub }),
  );
  const shown = shownMap({ ...big, edges }, { open: new Set(), focus: hub, search: '' });
  assert.ok(shown.nodes.length <= FOLD_ABOVE);
  assert.ok(shown.nodes.some((entry) => entry.id === hub));
});
