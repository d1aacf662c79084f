import assert from 'node:assert/strict';
import { test } from 'node:test';
import { callerName } from '#record-store';
import { createMessage, EdgeCountSchema } from '#wire';
import { createTrafficMap, isPlaintext } from './map.ts';
import { createSlidingCounter } from './sliding-counter.ts';

const WEB = 'spiffe://cluster.local/ns/default/sa/web';

function edgeCount(over: Parameters<typeof createMessage<typeof EdgeCountSchema>>[1]) {
  const base = { sourceId: WEB, sourceService: 'web', destinationService: 'orders' };
  return createMessage(EdgeCountSchema, {
    ...base,
    destinationNamespace: 'default',
    reporter: 'destination',
    ...over,
  });
}

test('a sliding count forgets what left its window, whatever the clock does', () => {
  const counter = createSlidingCounter(1_000, 10);
  counter.add(5, 100_000);
  counter.add(7, 104_000);
  const steps = [
    [104_000, 12],
    [109_999, 12],
    [110_000, 7],
    [113_999, 7],
    [114_000, 0],
    [104_000, 0],
  ] as const;
  for (const [at, sum] of steps) assert.equal(counter.sum(at), sum, String(at));
  counter.add(1, 500_000);
  assert.deepEqual(counter.slots(500_000), [0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
});

test('rates are of the last ten seconds, totals of a quarter of an hour', () => {
  let now = 1_800_000_000_000;
  const map = createTrafficMap(() => now);
  map.count(edgeCount({ requests: 50n, denied: 10n, mtls: true }));
  assert.deepEqual([map.edges()[0]?.rate, map.edges()[0]?.deniedRate], [5, 1]);
  now += 10_000;
  assert.deepEqual([map.edges()[0]?.rate, map.edges()[0]?.requests], [0, 50]);
  now += 15 * 60_000;
  assert.equal(map.edges()[0]?.requests, 0);
  map.sweep();
  assert.equal(map.edges().length, 0);
});

test('lately are the last five minutes: what was denied is not, and nothing is from before a start', () => {
  let now = 1_800_000_000_000;
  const map = createTrafficMap(() => now);
  now += 90_000;
  map.count(edgeCount({ requests: 5n, denied: 2n, connections: 4n }));
  map.count(edgeCount({ requests: 9n, denied: 9n, destinationService: 'payments' }));
  const lately = () => {
    const { from, edges } = map.recent();
    const sums = edges.map(({ destination, calls, connections }) => [
      destination,
      calls,
      connections,
    ]);
    return { ageMs: now - Date.parse(from), sums };
  };
  assert.deepEqual(lately(), { ageMs: 90_000, sums: [['default/orders', 3, 4]] });
  now += 3 * 60_000;
  map.count(edgeCount({ requests: 1n }));
  assert.deepEqual(lately().sums, [['default/orders', 4, 4]]);
  now += 2 * 60_000;
  assert.deepEqual(lately().sums, [['default/orders', 4, 4]]);
  now += 60_000;
  assert.deepEqual(lately().sums, [['default/orders', 1, 0]]);
  assert.ok(lately().ageMs >= 300_000 && lately().ageMs < 360_000);
});

test('failures that only the caller saw count, its other numbers do not', () => {
  const map = createTrafficMap(() => 1_800_000_000_000);
  map.count(edgeCount({ requests: 10n, errors: 0n }));
  map.count(edgeCount({ requests: 13n, errors: 3n, reporter: 'source' }));
  const [edge] = map.edges();
  assert.deepEqual([edge?.requests, edge?.errors], [10, 3]);
  assert.equal(map.series().calls.at(-1), 10);
});

test('what no server saw was not sent in plaintext, and what has no destination is no edge', () => {
  const map = createTrafficMap(() => 1_800_000_000_000);
  map.count(edgeCount({ requests: 2n, denied: 2n, reporter: 'source', destinationService: '' }));
  map.denied({
    sourceId: WEB,
    sourceService: 'web',
    namespace: '',
    service: '',
    denialId: 'd',
  });
  assert.deepEqual(map.edges(), []);
  map.count(edgeCount({ requests: 3n, errors: 3n, reporter: 'source' }));
  assert.equal(map.edges()[0]?.mtls, true);
  map.count(edgeCount({ requests: 1n, reporter: 'source' }));
  assert.equal(map.edges()[0]?.mtls, false);
  assert.ok(map.edges().every(isPlaintext));
  const denied = createTrafficMap(() => 1_800_000_000_000);
  denied.count(edgeCount({ requests: 1n, denied: 1n }));
  assert.ok(!denied.edges().some(isPlaintext));
});

test('attack: a report with names without end is left out', () => {
  const map = createTrafficMap(() => 1_800_000_000_000);
  map.count(edgeCount({ requests: 1n, sourceService: 'x'.repeat(100_000) }));
  assert.deepEqual(map.edges(), []);
});

test('a report of negative numbers subtracts nothing', () => {
  const map = createTrafficMap(() => 1_800_000_000_000);
  map.count(edgeCount({ requests: -9_000n }));
  assert.equal(map.edges()[0]?.requests, 0);
});

test('callers are named as people know them', () => {
  const cases = [
    [WEB, 'web', 'default/web'],
    [null, 'web', 'web'],
    ['spiffe://cluster.local/other', null, 'spiffe://cluster.local/other'],
    [null, null, 'unknown'],
  ] as const;
  for (const [id, service, name] of cases) assert.equal(callerName(id, service), name);
});
