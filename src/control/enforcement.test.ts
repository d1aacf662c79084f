import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AckSchema, createMessage, HelloSchema } from '#wire';
import { createEnforcement } from './enforcement.ts';
import type { PolicySets } from './policy-sets.ts';
import type { StoredPoint } from './store.ts';

const START = Date.parse('2026-06-01T00:00:00.000Z');
const VERSION = { namespace: 'default', number: 1n, hash: 'h1' };

function enforcementAt(restored: readonly StoredPoint[] = []) {
  let now = START;
  const state = {
    head: { number: 1, hash: 'h1', commit: { time: new Date(START).toISOString() } },
  };
  const sets = {
    current: (namespace: string) => (namespace === 'default' ? state : undefined),
    all: () => [{ namespace: 'default' }],
  } as unknown as PolicySets;
  const news: string[] = [];
  const enforcement = createEnforcement({
    clock: () => now,
    sets,
    revocations: () => ({ count: 0, digest: '' }),
    restored,
    forgetAfterMs: 600_000,
    staleAfterMs: 5_000,
    onChange: (node) => news.push(node),
  });
  const pass = (ms: number): void => {
    now += ms;
    enforcement.sweep();
  };
  const move = (): void => {
    state.head = { ...state.head, number: 2, hash: 'h2' };
    enforcement.policyChanged('default');
  };
  const hello = createMessage(HelloSchema, {
    node: 'default/a/1',
    kind: 'proxy',
    namespaces: ['default'],
  });
  const ack = createMessage(AckSchema, { enforced: [VERSION], ready: true });
  return { enforcement, news, pass, move, hello, ack, point: () => enforcement.status()[0] };
}

test('a point is stale when a version is not enforced in time, and says which', () => {
  const { enforcement, pass, move, hello, ack, point } = enforcementAt();
  enforcement.connected(hello, 'agent');
  enforcement.acknowledged('default/a/1', ack);
  assert.deepEqual([point()?.stale, point()?.reason, point()?.service], [false, '', 'a']);
  move();
  pass(5_000);
  assert.deepEqual([point()?.stale, point()?.sets[0]?.current], [false, false]);
  pass(1);
  assert.equal(point()?.reason, 'enforces version 1 of default instead of version 2');
});

test('a lost point is remembered for ten minutes, one that said goodbye is not', () => {
  const { enforcement, pass, hello, point } = enforcementAt();
  enforcement.connected(hello, 'agent');
  enforcement.disconnected('default/a/1', false);
  pass(600_000);
  assert.deepEqual([point()?.connected, point()?.stale], [false, true]);
  assert.match(point()?.reason ?? '', /not connected since 2026-06-01/);
  pass(1);
  assert.equal(point(), undefined);
  enforcement.connected(hello, 'agent');
  enforcement.disconnected('default/a/1', true);
  assert.equal(point(), undefined);
});

test('what is stored of a point is there after a restart, as not connected', () => {
  const { enforcement, hello, ack } = enforcementAt();
  enforcement.connected(hello, 'agent');
  enforcement.acknowledged('default/a/1', ack);
  assert.deepEqual([...enforcement.takeChanges()], ['default/a/1']);
  const stored = enforcement.stored('default/a/1');
  assert.ok(stored);
  const later = enforcementAt([stored, { node: 'x', state: 'not json' }]);
  assert.deepEqual(
    [later.point()?.connected, later.point()?.sets[0]?.enforced?.hash],
    [false, 'h1'],
  );
  assert.equal(later.enforcement.status().length, 1);
});

test('what a hello says it holds is no acknowledgement, and one of an earlier stream does not count', () => {
  const { enforcement, hello, ack, point } = enforcementAt();
  const said = () => [point()?.connected, point()?.sets[0]?.current, point()?.acknowledged];
  const back = createMessage(HelloSchema, {
    node: hello.node,
    kind: hello.kind,
    namespaces: hello.namespaces,
    known: [VERSION],
  });
  enforcement.connected(back, 'agent');
  assert.deepEqual(said(), [true, true, false]);
  enforcement.acknowledged('default/a/1', ack);
  assert.deepEqual(said(), [true, true, true]);
  const stored = enforcement.stored('default/a/1');
  assert.equal(stored && enforcementAt([stored]).point()?.acknowledged, false);
  enforcement.disconnected('default/a/1', false);
  assert.deepEqual(said(), [false, true, false]);
  enforcement.connected(back, 'agent');
  assert.deepEqual(said(), [true, true, false]);
});

test('an acknowledgement that says nothing new is no news', () => {
  const { enforcement, news, pass, hello, ack } = enforcementAt();
  enforcement.connected(hello, 'agent');
  enforcement.acknowledged('default/a/1', ack);
  const before = news.length;
  for (let i = 0; i < 5; i++) {
    pass(1_000);
    enforcement.acknowledged('default/a/1', ack);
  }
  assert.deepEqual([before, news.length], [2, 2]);
});

test('attack: a proxy that reports endless troubled endpoints is cut short', () => {
  const { enforcement, hello, ack, point } = enforcementAt();
  enforcement.connected(hello, 'agent');
  const one = { namespace: 'shop', service: 'orders', address: '10.0.0.1:80', health: 'ejected' };
  const troubled = Array.from({ length: 1_000 }, () => ({ ...one, service: 'x'.repeat(10_000) }));
  enforcement.acknowledged(
    'default/a/1',
    createMessage(AckSchema, { enforced: [VERSION], troubled: [one, ...troubled] }),
  );
  assert.deepEqual(point()?.troubled[0], one);
  assert.equal(point()?.troubled.length, 32);
  assert.equal(point()?.troubled[1]?.service.length, 300);
  const exposed = Array.from({ length: 1_000 }, () => '9'.repeat(10_000));
  enforcement.acknowledged(
    'default/a/1',
    createMessage(AckSchema, { enforced: [VERSION], exposed }),
  );
  assert.equal(point()?.exposed.join('').length, 16 * 60);
  enforcement.acknowledged('default/a/1', ack);
  assert.deepEqual(point()?.troubled, []);
});
