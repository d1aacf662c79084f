import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ServiceMap } from '../../api/service-map.ts';
import { edgeState } from './edge-state.ts';
import { mapSentence } from './map-sentence.ts';
import { pastEdgesPath, pastMap } from './past-map.ts';

const NOW: ServiceMap = {
  nodes: [
    {
      id: 'shop/orders',
      service: 'orders',
      namespace: 'shop',
      kind: 'service',
      proxies: 2,
      ready: 2,
      stale: 0,
    },
  ],
  edges: [],
  at: '2026-11-21T12:00:00.000Z',
  windowSeconds: 900,
};
const HOUR = { kind: 'last', span: '1h' } as const;

test('the edges of a stretch of time are summed, with their rates over it, and claim no encryption', () => {
  const at = Date.parse('2026-11-21T11:00:00.000Z');
  const past = pastMap(
    NOW,
    {
      series: [
        {
          key: { source: 'shop/web', destination: 'shop/orders' },
          points: [
            [at, 1_800, 0, 0, 10, 20, 1_000],
            [at + 60_000, 1_800, 360, 0, 10, 20, 3_000],
          ],
        },
        { key: { source: 'spiffe://other/ns/a/sa/b', destination: 'shop/orders' }, points: [] },
      ],
    },
    HOUR,
  );
  const [edge] = past.edges;
  assert.ok(edge !== undefined && past.edges.length === 1);
  assert.deepEqual(
    [edge.requests, edge.denied, edge.rate, edge.deniedRate, edge.bytesOut, edge.meanMs],
    [3_600, 360, 1, 0.1, 40, 2],
  );
  assert.equal(edge.lastSeen, '2026-11-21T11:01:00.000Z');
  assert.deepEqual([edge.mtls, edgeState(edge).word], [null, '10 % denied']);
  assert.deepEqual(
    past.nodes.map(({ id, proxies }) => `${id} ${proxies}`),
    ['shop/orders 2', 'shop/web 0'],
  );
  assert.equal(mapSentence(past), '2 services on 1 edge, in 60 minutes, calls are denied on 1.');
});

test('the last call of an edge still in use is the one heard of, not the beginning of its sum', () => {
  const series = [
    {
      key: { source: 'shop/web', destination: 'shop/orders' },
      points: [[Date.parse('2026-11-21T11:00:00.000Z'), 5, 0, 0, 0, 0, 0]],
    },
  ] as const;
  const lastSeen = (heard: string) => {
    const [edge] = pastMap(NOW, { series }, HOUR).edges;
    assert.ok(edge !== undefined);
    const now = { ...NOW, edges: [{ ...edge, lastSeen: heard }] };
    return pastMap(now, { series }, HOUR).edges[0]?.lastSeen;
  };
  assert.equal(lastSeen('2026-11-21T11:40:00.000Z'), '2026-11-21T11:40:00.000Z');
  assert.equal(lastSeen('2026-11-21T10:40:00.000Z'), '2026-11-21T11:00:00.000Z');
  // What came after the stretch is not of it.
  assert.equal(lastSeen('2026-11-22T11:40:00.000Z'), '2026-11-21T11:00:00.000Z');
});

test('a stretch of which nothing is known is a map without edges', () => {
  assert.equal(
    mapSentence(pastMap(NOW, { series: [] }, HOUR)),
    '1 service, and no call between them in the last 60 minutes.',
  );
});

test('what is asked for is the sums of edges in a step that fits', () => {
  assert.equal(
    pastEdgesPath({ kind: 'last', span: '24h' }),
    '/rollups?group=edge&metric=requests%2Cdenied%2Cerrors%2Cbytes_in%2Cbytes_out%2Cmean_us&step=15m&from=24h',
  );
});
