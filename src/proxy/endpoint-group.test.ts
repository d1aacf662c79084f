import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EndpointGroup, type EndpointState } from './endpoint-group.ts';
import { type FakeTraffic, fakeTraffic } from './fake-mesh.ts';
import type { Endpoint } from './options.ts';

type World = {
  readonly group: EndpointGroup;
  readonly ejected: string[];
  readonly advance: (ms: number) => void;
  readonly state: (port: number) => EndpointState;
};

const at = (...ports: number[]): Endpoint[] => ports.map((port) => ({ host: '127.0.0.1', port }));

function world(endpoints: readonly Endpoint[], traffic: FakeTraffic = {}): World {
  let now = 1_000_000;
  let turn = 0;
  const ejected: string[] = [];
  const group = new EndpointGroup(fakeTraffic(traffic), {
    now: () => now,
    random: () => (turn++ * 0.37) % 1,
    onEjected: ({ port }, reason) => ejected.push(`${port} ${reason}`),
  });
  group.list(endpoints);
  return {
    group,
    ejected,
    advance(ms) {
      now += ms;
    },
    state(port) {
      const found = group.states.find(({ endpoint }) => endpoint.port === port);
      if (found === undefined) throw new Error(`no endpoint ${port}`);
      return found;
    },
  };
}

function chosen({ group }: World, times = 60): ReadonlySet<number | undefined> {
  return new Set(Array.from({ length: times }, () => group.choose()?.endpoint.port));
}

test('one that could not be reached is left alone, and asked again after its ejection', () => {
  const all = world(at(1, 2, 3));
  assert.deepEqual(chosen(all), new Set([1, 2, 3]));
  all.group.report(all.state(2), 'connect_failed');
  assert.deepEqual(all.ejected, ['2 connect_failures']);
  assert.deepEqual(chosen(all), new Set([1, 3]));
  assert.equal(all.group.healthOf(all.state(2)), 'ejected');
  all.advance(2_000);
  assert.deepEqual(chosen(all), new Set([1, 2, 3]));
});

test('a flapping endpoint is left alone longer each time', () => {
  const all = world(at(1, 2));
  const outages: number[] = [];
  for (let round = 0; round < 4; round++) {
    all.group.report(all.state(1), 'connect_failed');
    let waited = 0;
    while (all.group.healthOf(all.state(1)) === 'ejected') {
      all.advance(100);
      waited += 100;
    }
    outages.push(waited);
  }
  assert.deepEqual(outages, [2_000, 4_000, 6_000, 8_000]);
});

test('attack: an endpoint list of nothing but failures does not empty the service', () => {
  const all = world(at(1, 2, 3, 4));
  for (const state of all.group.states) all.group.report(state, 'connect_failed');
  assert.equal(all.ejected.length, 2);
  assert.equal(chosen(all).size, 2);
  const only = world(at(1));
  for (let i = 0; i < 20; i++) only.group.report(only.state(1), 'connect_failed');
  assert.deepEqual(chosen(only), new Set([1]));
});

test('what an active check found unhealthy is not asked, even if nothing else is left', () => {
  const all = world(at(1, 2));
  all.state(1).checked = 'unhealthy';
  assert.deepEqual(chosen(all), new Set([2]));
  all.state(2).checked = 'unhealthy';
  assert.deepEqual(chosen(all), new Set([undefined]));
  const only = world(at(1));
  only.state(1).checked = 'unhealthy';
  assert.deepEqual(chosen(only), new Set([undefined]));
});

test('another try asks another endpoint while there is one', () => {
  const all = world(at(1, 2, 3));
  for (let i = 0; i < 50; i++) {
    const first = all.group.choose();
    const second = all.group.choose(first === undefined ? [] : [first]);
    assert.notEqual(first, second);
    assert.notEqual(all.group.choose(all.group.states), undefined);
  }
});

test('what is known of an endpoint outlives a new list, and goes with it', () => {
  const all = world(at(1, 2));
  all.group.report(all.state(1), 'connect_failed');
  all.group.list(at(2, 1, 3));
  assert.equal(all.group.healthOf(all.state(1)), 'ejected');
  all.group.list(at(2, 3));
  all.group.list(at(1, 2, 3));
  assert.equal(all.group.healthOf(all.state(1)), 'healthy');
});

test('round robin: in turn', () => {
  const all = world(at(1, 2, 3), { loadBalancing: 'ROUND_ROBIN' });
  const ports = Array.from({ length: 6 }, () => all.group.choose()?.endpoint.port);
  assert.deepEqual(ports.slice(0, 3), ports.slice(3));
  assert.equal(new Set(ports).size, 3);
});

test('success rate: the one that fails most is ejected at the end of the interval', () => {
  const all = world(at(1, 2, 3), {
    outlierDetection: {
      consecutiveGatewayErrors: 0,
      successRate: { minimumHosts: 3, requestVolume: 10, stdevFactor: 1 },
    },
  });
  all.group.choose();
  for (let i = 0; i < 20; i++) {
    for (const port of [1, 2, 3])
      all.group.report(all.state(port), port === 2 && i % 2 === 0 ? 'gateway_error' : 'ok');
  }
  all.advance(10_000);
  all.group.choose();
  assert.deepEqual(all.ejected, ['2 success_rate']);
});
