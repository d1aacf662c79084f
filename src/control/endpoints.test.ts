import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createEndpointRegistry } from './endpoints.ts';

const ORDERS = { namespace: 'default', service: 'orders' };

function endpointOf(node: string, port: number) {
  return { ...ORDERS, node, host: '127.0.0.1', port, hbonePort: 0 };
}

function registry() {
  let now = 1_000_000;
  const changes: string[] = [];
  const endpoints = createEndpointRegistry({
    clock: () => now,
    graceMs: 30_000,
    onChange: ({ service }) => changes.push(service),
  });
  const ports = () => endpoints.ofService(ORDERS).map(({ port }) => port);
  const pass = (ms: number) => {
    now += ms;
    endpoints.sweep();
  };
  return { endpoints, changes, ports, pass };
}

test('a lost stream keeps its endpoints for the grace period, a goodbye none', () => {
  const { endpoints, ports, pass } = registry();
  endpoints.announce('a', [endpointOf('a', 1)]);
  endpoints.announce('b', [endpointOf('b', 2)]);
  endpoints.disconnected('a', false);
  endpoints.disconnected('b', true);
  assert.deepEqual(ports(), [1]);
  pass(29_999);
  assert.deepEqual(ports(), [1]);
  pass(1);
  assert.deepEqual(ports(), []);
});

test('who comes back within the grace period changed nothing, or replaces what was', () => {
  const { endpoints, changes, ports, pass } = registry();
  endpoints.announce('a', [endpointOf('a', 1)]);
  endpoints.disconnected('a', false);
  endpoints.announce('a', [endpointOf('a', 1)]);
  assert.deepEqual(changes, ['orders']);
  pass(60_000);
  assert.deepEqual(ports(), [1]);
  endpoints.announce('a', [endpointOf('a', 9)]);
  assert.deepEqual([ports(), changes], [[9], ['orders', 'orders']]);
});

test('an instance that begins to take tunnels is news', () => {
  const { endpoints, changes } = registry();
  endpoints.announce('a', [endpointOf('a', 1)]);
  endpoints.announce('a', [{ ...endpointOf('a', 1), hbonePort: 15_008 }]);
  assert.deepEqual(changes, ['orders', 'orders']);
  assert.deepEqual(
    endpoints.ofService(ORDERS).map(({ hbonePort }) => hbonePort),
    [15_008],
  );
});

test('what is restored after a restart has the same grace', () => {
  const { endpoints, ports, pass } = registry();
  endpoints.restore([endpointOf('a', 1), endpointOf('b', 2)]);
  assert.deepEqual(ports(), [1, 2]);
  endpoints.announce('b', [endpointOf('b', 2)]);
  pass(30_000);
  assert.deepEqual(ports(), [2]);
  assert.deepEqual([...endpoints.takeChanges()].toSorted(), ['a', 'b']);
  assert.equal(endpoints.takeChanges().size, 0);
});
