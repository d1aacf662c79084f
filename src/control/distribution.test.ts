import assert from 'node:assert/strict';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, test } from 'node:test';
import { applyUpdate, decodeAnswer, decodeUpdate, type PolicySet, verifyLookup } from '#trust';
import type { LookupResult, PolicySetUpdate } from '#wire';
import { type Fixture, serviceResource, startFixture } from './control-fixture.ts';
import { subscribe } from './subscriber-fixture.ts';

let mesh: Fixture;
before(async () => {
  mesh = await startFixture();
});
after(() => mesh.close());

/** What an enforcement point makes of an update: the set, or the code of its refusal. */
function receive(current: PolicySet | undefined, message: PolicySetUpdate): PolicySet | string {
  const update = decodeUpdate(message);
  if (!update.ok) return update.error.code;
  const set = applyUpdate(current, update.value, mesh.trustRoot, Date.now());
  return set.ok ? set.value : set.error.code;
}

function verified(current: PolicySet | undefined, message: PolicySetUpdate): PolicySet {
  const set = receive(current, message);
  assert.ok(typeof set !== 'string', `refused: ${set as string}`);
  return set;
}

/** Adds a Service to a namespace as its next commit. */
async function addService(namespace: string, name: string, parent: PolicySet): Promise<string> {
  const resource = serviceResource(namespace, name);
  const resources = { ...Object.fromEntries(parent.resources), [`Service/${name}`]: resource };
  const { envelope } = mesh.commit({ namespace, resources, parent: parent.head });
  const answer = await mesh.call('POST', `/api/v1/policy-sets/${namespace}/commits`, {
    body: { envelope, changes: [{ key: `Service/${name}`, resource }] },
    headers: { 'if-match': `"${parent.head.hash}"` },
  });
  assert.equal(answer.status, 201, answer.text);
  return answer.json.hash;
}

function known({ namespace, head }: PolicySet) {
  return { namespace, number: BigInt(head.number), hash: head.hash };
}

test('a subscriber gets its namespace whole, then only what changed, and nothing of others', async () => {
  await mesh.apply('flow', {
    'Service/a': serviceResource('flow', 'a'),
    'Service/b': serviceResource('flow', 'b'),
  });
  const own = subscribe(mesh, { node: 'flow/a/1', namespaces: ['flow'] });
  const other = subscribe(mesh, { node: 'elsewhere/x/1', namespaces: ['elsewhere'] });
  const first = await own.next('policySet');
  assert.deepEqual([first.full, first.changes.length, first.commits.length], [true, 2, 1]);
  const one = verified(undefined, first);
  await addService('flow', 'c', one);
  const second = await own.next('policySet');
  assert.deepEqual([second.full, second.changes.map(({ key }) => key)], [false, ['Service/c']]);
  const two = verified(one, second);
  await addService('flow', 'd', two);
  const three = verified(two, await own.next('policySet'));
  assert.equal(three.head.number, 3);
  assert.deepEqual([other.waiting('policySet'), other.waiting('endpoints')], [0, 0]);

  const back = subscribe(mesh, { node: 'flow/b/1', namespaces: ['flow'], known: [known(one)] });
  const missed = await back.next('policySet');
  assert.deepEqual([missed.full, missed.commits.length, missed.changes.length], [false, 2, 2]);
  assert.equal(verified(one, missed).head.hash, three.head.hash);
  for (const stream of [own, other, back]) stream.end();
});

test('what travels for a change is in proportion to the change, not to the set', async () => {
  const many = Object.fromEntries(
    Array.from({ length: 300 }, (_, i) => [`Service/s${i}`, serviceResource('large', `s${i}`)]),
  );
  await mesh.apply('large', many);
  const stream = subscribe(mesh, { node: 'large/s1/1', namespaces: ['large'] });
  const whole = await stream.next('policySet');
  const set = verified(undefined, whole);
  await addService('large', 'one-more', set);
  const delta = await stream.next('policySet');
  const size = (update: PolicySetUpdate) =>
    [...update.commits, ...update.changes.map(({ resource }) => resource)].reduce(
      (sum, bytes) => sum + bytes.length,
      0,
    );
  assert.ok(size(delta) * 20 < size(whole), `${size(delta)} of ${size(whole)} bytes`);
  stream.end();
});

test('somebody who has the head gets nothing; who is on a fork gets the head to refuse', async () => {
  await mesh.apply('known', { 'Service/a': serviceResource('known', 'a') });
  const probe = subscribe(mesh, { node: 'known/a/1', namespaces: ['known'] });
  const set = verified(undefined, await probe.next('policySet'));
  const same = subscribe(mesh, { node: 'known/b/1', namespaces: ['known'], known: [known(set)] });
  const forked = { namespace: 'known', number: 1n, hash: 'f'.repeat(64) };
  const fork = subscribe(mesh, { node: 'known/c/1', namespaces: ['known'], known: [forked] });
  assert.equal((await fork.next('policySet')).full, true);
  same.lookup('known', 'Service', 'a');
  await same.next('lookup');
  assert.equal(same.waiting('policySet'), 0);
  for (const stream of [probe, same, fork]) stream.end();
});

test('a lookup is proven, and proven again after each change of its namespace', async () => {
  const stream = subscribe(mesh, { node: 'caller/x/1', namespaces: ['caller'] });
  const check = (answer: LookupResult) => {
    const decoded = decodeAnswer(answer);
    assert.ok(decoded.ok);
    const question = {
      namespace: 'callee',
      key: 'Service/a',
      trustRoot: mesh.trustRoot,
      nowMs: Date.now(),
    };
    const proven = verifyLookup(decoded.value, question);
    assert.ok(proven.ok, proven.ok ? '' : proven.error.message);
    return proven.value;
  };
  stream.lookup('callee', 'Service', 'a');
  assert.equal((await stream.next('lookup')).noSet, true);
  await mesh.apply('callee', { 'Service/b': serviceResource('callee', 'b') });
  assert.equal(check(await stream.next('lookup')).resource, undefined);
  const holder = subscribe(mesh, { node: 'callee/b/1', namespaces: ['callee'] });
  await addService('callee', 'a', verified(undefined, await holder.next('policySet')));
  const found = check(await stream.next('lookup'));
  assert.deepEqual([found.number, (found.resource as { kind: string }).kind], [2, 'Service']);
  assert.equal(stream.waiting('policySet'), 0);
  for (const open of [stream, holder]) open.end();
});

test('endpoints reach those who may call the service, and leave with a goodbye', async () => {
  const serves = { namespace: 'shop', service: 'orders', host: '127.0.0.1', port: 15_006 };
  const caller = subscribe(mesh, { node: 'shop/web/1', namespaces: ['shop'] });
  const foreign = subscribe(mesh, { node: 'office/desk/1', namespaces: ['office'] });
  foreign.lookup('shop', 'Service', 'orders');
  assert.deepEqual((await foreign.next('endpoints')).endpoints, []);
  const server = subscribe(mesh, {
    node: 'shop/orders/1',
    namespaces: ['shop'],
    endpoints: [serves],
  });
  for (const stream of [caller, foreign]) {
    const { endpoints, service } = await stream.next('endpoints');
    assert.deepEqual(
      [service, endpoints[0]?.port, endpoints[0]?.node],
      ['orders', 15_006, 'shop/orders/1'],
    );
  }
  server.end();
  assert.deepEqual((await caller.next('endpoints')).endpoints, []);
  for (const stream of [caller, foreign]) stream.end();
});

test('a stream that breaks off takes no endpoint away at once, and shows as lost', async () => {
  const serves = { namespace: 'lost', service: 'orders', host: '127.0.0.1', port: 15_008 };
  const caller = subscribe(mesh, { node: 'lost/web/1', namespaces: ['lost'] });
  const server = subscribe(mesh, {
    node: 'lost/orders/1',
    namespaces: ['lost'],
    endpoints: [serves],
  });
  await caller.next('endpoints');
  server.cancel();
  await server.failed;
  let point: { connected: boolean } | undefined;
  for (let i = 0; i < 50 && point?.connected !== false; i++) {
    const { json } = await mesh.call('GET', '/api/v1/enforcement-points');
    point = json.items.find((found: { node: string }) => found.node === 'lost/orders/1');
  }
  assert.equal(point?.connected, false);
  caller.lookup('lost', 'Service', 'orders');
  assert.equal((await caller.next('endpoints')).endpoints.length, 1);
  caller.end();
});

test('a restart of the control plane takes no endpoint away', async () => {
  const serves = { namespace: 'stay', service: 'orders', host: '127.0.0.1', port: 15_007 };
  const server = subscribe(mesh, {
    node: 'stay/orders/1',
    namespaces: ['stay'],
    endpoints: [serves],
  });
  server.lookup('stay', 'Service', 'orders');
  await server.next('endpoints');
  await mesh.restart();
  await server.failed;
  const caller = subscribe(mesh, { node: 'stay/web/1', namespaces: ['stay'] });
  assert.equal((await caller.next('endpoints')).endpoints[0]?.port, 15_007);
  const { json } = await mesh.call('GET', '/api/v1/enforcement-points');
  const point = json.items.find((found: { node: string }) => found.node === 'stay/orders/1');
  assert.deepEqual([point.connected, point.stale], [false, true]);
  caller.end();
});

test('an enforcement point shows what it enforces and what it refused', async () => {
  await mesh.apply('status', { 'Service/a': serviceResource('status', 'a') });
  const stream = subscribe(mesh, {
    node: 'status/a/1',
    namespaces: ['status'],
    metricsUrl: 'http://127.0.0.1:15020',
  });
  const set = verified(undefined, await stream.next('policySet'));
  const shown = async () => {
    stream.lookup('status', 'Service', 'a');
    await stream.next('lookup');
    const { json } = await mesh.call('GET', '/api/v1/enforcement-points');
    return json.items.find((found: { node: string }) => found.node === 'status/a/1');
  };
  stream.ack({ enforced: [known(set)], ready: true, certificateSerial: 'ab12' });
  const good = await shown();
  assert.deepEqual(
    [
      good.connected,
      good.stale,
      good.sets[0].current,
      good.ready,
      good.service,
      good.certificateSerial,
    ],
    [true, false, true, true, 'a', 'ab12'],
  );
  const holders = async () => {
    const { json } = await mesh.call('GET', '/api/v1/identities');
    return json.items.map(({ heldBy }: { heldBy: string | null }) => heldBy);
  };
  const { json: issued } = await mesh.call('GET', '/api/v1/identities');
  stream.ack({ enforced: [known(set)], ready: true, certificateSerial: issued.items[0].serial });
  await shown();
  assert.equal((await holders())[0], 'status/a/1');
  const refused = { ...known(set), number: 2n, code: 'signature_threshold', message: 'too few' };
  stream.ack({ enforced: [known(set)], refused: [refused], ready: true });
  const bad = await shown();
  assert.deepEqual([bad.stale, bad.refused[0].code], [true, 'signature_threshold']);
  assert.match(bad.reason, /refused version 2 of status: too few/);
  assert.equal(stream.waiting('policySet'), 0);
  const { json: overview } = await mesh.call('GET', '/api/v1/overview');
  assert.equal(overview.problems[0].severity, 'page');
  stream.end();
});

test('strangers, foreign certificates and other roles get no configuration', async () => {
  const web = subscribe(
    mesh,
    { node: 'n', namespaces: ['default'] },
    'spiffe://cluster.local/ns/default/sa/web',
  );
  assert.ok(await web.failed);
  const cases = [
    [{ node: 'n', kind: 'ca', namespaces: ['*'] }, 7],
    [{ node: 'n', kind: 'proxy', namespaces: ['*'] }, 7],
    [{ node: '', namespaces: ['default'] }, 3],
    [
      {
        node: 'n',
        namespaces: ['default'],
        endpoints: [{ namespace: 'default', service: 'a', host: 'h', port: 0 }],
      },
      3,
    ],
  ] as const;
  for (const [hello, code] of cases) {
    const { namespaces, ...rest } = hello;
    const endpoints = 'endpoints' in hello ? [...hello.endpoints] : [];
    const stream = subscribe(mesh, { ...rest, namespaces: [...namespaces], endpoints });
    assert.equal((await stream.failed).code, code, JSON.stringify(hello));
  }
  const mute = subscribe(mesh, undefined);
  mute.lookup('default', 'Service', 'a');
  assert.equal((await mute.failed).code, 3);
});

test('attack: the agent of another host takes over a node', async () => {
  const victim = subscribe(mesh, { node: 'taken/a/1', namespaces: ['taken'] });
  victim.lookup('taken', 'Service', 'a');
  await victim.next('lookup');
  const thief = subscribe(
    mesh,
    { node: 'taken/a/1', namespaces: ['taken'] },
    'spiffe://cluster.local/palisade/agent/evil',
  );
  assert.equal((await thief.failed).code, 6);
  victim.lookup('taken', 'Service', 'b');
  await victim.next('lookup');
  victim.end();
});

test('attack: an edited database changes nothing that is enforced', async () => {
  await mesh.apply('edited', { 'Service/a': serviceResource('edited', 'a') });
  const stream = subscribe(mesh, { node: 'edited/a/1', namespaces: ['edited'] });
  const one = verified(undefined, await stream.next('policySet'));
  stream.end();
  const hash = await addService('edited', 'b', one);
  const db = new DatabaseSync(join(mesh.folder, 'control', 'control.db'));
  db.exec("UPDATE changes SET resource = replace(resource, '80', '81') WHERE namespace = 'edited'");
  const late = subscribe(mesh, {
    node: 'edited/late/1',
    namespaces: ['edited'],
    known: [known(one)],
  });
  assert.equal(receive(one, await late.next('policySet')), 'root_mismatch');
  late.end();

  await mesh.restart();
  assert.deepEqual(mesh.control().health().brokenSets, ['edited']);
  const after = subscribe(mesh, { node: 'edited/a/1', namespaces: ['edited', 'flow'] });
  await after.next('policySet');
  assert.equal(after.waiting('policySet'), 0);
  after.end();

  // Its author repairs it: the whole set again, on top of the head that is stored.
  const resources = { 'Service/c': serviceResource('edited', 'c') };
  const parent = { ...one.head, number: 2, hash };
  const { envelope } = mesh.commit({ namespace: 'edited', resources, parent });
  const changes = Object.entries(resources).map(([key, resource]) => ({ key, resource }));
  const repaired = await mesh.call('POST', '/api/v1/policy-sets/edited/commits', {
    body: { envelope, changes },
    headers: { 'if-match': `"${hash}"` },
  });
  assert.equal(repaired.status, 201, repaired.text);
  db.close();
  await mesh.restart();
  assert.deepEqual(mesh.control().health().brokenSets, []);
  const whole = subscribe(mesh, { node: 'edited/new/1', namespaces: ['edited'] });
  const repair = verified(undefined, await whole.next('policySet'));
  assert.deepEqual([repair.head.number, [...repair.resources.keys()]], [3, ['Service/c']]);
  whole.end();
});
