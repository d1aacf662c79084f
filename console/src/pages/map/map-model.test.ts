import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MapEdge, MapNode, ServiceMap } from '../../api/service-map.ts';
import { edgeState, edgeWidth } from './edge-state.ts';
import { foldNamespaces } from './grouping.ts';
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
