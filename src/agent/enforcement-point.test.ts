import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createSilentLog } from '#telemetry';
import {
  applyUpdate,
  canonicalJson,
  encodeAnswer,
  encodeEnvelope,
  type PolicySetUpdate,
  proveResource,
  signTrustRoot,
} from '#trust';
import type { Ack } from '#wire';
import { createEnforcementPoint, type EnforcementPoint } from './enforcement-point.ts';
import {
  allow,
  createAuthor,
  createFakeDistribution,
  createFakeMesh,
  resource,
  type SignedSet,
  type Subscriber,
  service,
  setMessage,
  signRoot,
  signSet,
  startFakeAgent,
  svidResponse,
} from './fake-mesh.ts';

const mesh = createFakeMesh();
after(() => mesh.remove());

const one = signSet(mesh, [service('web'), allow('a', '/one')]);
const two = signSet(mesh, [service('web'), allow('a', '/two')], { parent: one });
const root = signRoot(mesh);
let folders = 0;

test('a set is verified, compiled, enforced, written down and acknowledged', async () => {
  const { point, subscriber, folder, end } = await start();
  assert.equal(point.snapshots.current(), undefined, 'nothing is allowed before');
  assert.deepEqual(subscriber.hello.namespaces, ['shop', 'palisade-system']);
  const first = await send(subscriber, one);
  assert.deepEqual(enforcedIn(first), ['palisade-system@1', 'shop@1']);
  assert.equal(point.snapshots.current()?.version, 'palisade-system@1 shop@1');
  const second = await send(subscriber, two);
  assert.deepEqual(enforcedIn(second), ['palisade-system@1', 'shop@2']);
  assert.deepEqual(second.refused, []);
  const file = join(folder, 'sets', 'shop.json');
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.equal(statSync(folder).mode & 0o777, 0o700);
  assert.deepEqual(
    readdirSync(join(folder, 'sets')).sort(),
    ['palisade-system.json', 'shop.json'],
    'no temporary file stays',
  );
  await end();
});

test('a restart enforces what is on disk, without an agent', async () => {
  const { folder, subscriber, end } = await start();
  await send(subscriber, one);
  await end();
  const { point, end: endAgain } = await open(folder, 'nowhere.sock');
  assert.equal(point.snapshots.current()?.version, 'palisade-system@1 shop@1');
  assert.equal(point.identity.current()?.id.serviceAccount, 'web', 'the certificate is kept too');
  const stale = point.stalenessMs();
  assert.ok(stale !== undefined && stale > 0, 'a restart does not make old policy fresh');
  await endAgain();
});

test('half of the policy is not enforced: the other half may hold what denies', async () => {
  const { point, subscriber, end } = await start({ withoutRoot: true });
  subscriber.send(setMessage(one));
  while (!point.missing().every((namespace) => namespace === 'palisade-system')) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(point.snapshots.current(), undefined);
  assert.deepEqual(enforcedIn(await send(subscriber, root)), ['palisade-system@1', 'shop@1']);
  assert.deepEqual(point.missing(), []);
  await end();
});

test('a set on disk that was tampered with is not enforced', async () => {
  const { folder, subscriber, end } = await start();
  await send(subscriber, one);
  await end();
  const file = join(folder, 'sets', 'shop.json');
  writeFileSync(file, readFileSync(file, 'utf8').replace('/one', '/etc'));
  const { point, end: endAgain } = await open(folder, 'nowhere.sock');
  assert.equal(point.snapshots.current(), undefined);
  await endAgain();
});

/** Sends a hostile update after version 2 is enforced; what is enforced must stay, and the refusal must tell `code`. */
async function check(code: string, hostile: PolicySetUpdate, number?: number): Promise<void> {
  const { point, subscriber, folder, end } = await start();
  await send(subscriber, one);
  await send(subscriber, two);
  const before = point.snapshots.current();
  const onDisk = readFileSync(join(folder, 'sets', 'shop.json'), 'utf8');
  const ack = await send(subscriber, hostile);
  assert.deepEqual(enforcedIn(ack), ['palisade-system@1', 'shop@2']);
  assert.equal(ack.refused[0]?.code, code);
  assert.equal(ack.refused[0]?.namespace, hostile.namespace);
  if (number !== undefined) assert.equal(ack.refused[0]?.number, BigInt(number));
  assert.equal(point.snapshots.current(), before, 'the very same snapshot');
  assert.equal(readFileSync(join(folder, 'sets', 'shop.json'), 'utf8'), onDisk);
  const three = signSet(mesh, [service('web'), allow('a', '/three')], { parent: two });
  const healed = await sendMessage(subscriber, setMessage(three), ({ enforced }) =>
    enforced.some((version) => version.hash === three.head.hash),
  );
  assert.deepEqual(
    enforcedIn(healed),
    ['palisade-system@1', 'shop@3'],
    'the next good version is taken',
  );
  assert.equal(healed.refused.filter(({ namespace }) => namespace === 'shop').length, 0);
  await end();
}

test('hostile control plane: an edited resource', () => {
  const next = signSet(mesh, [service('web'), allow('a', '/three')], { parent: two });
  return check('root_mismatch', {
    ...next,
    changes: next.changes.map((change) =>
      change.key.startsWith('Auth') ? { ...change, resource: allow('a', '/**') } : change,
    ),
  });
});

test('hostile control plane: a dropped resource', () => {
  const next = signSet(mesh, [service('web'), allow('a', '/3'), allow('b', '/4')], { parent: two });
  return check('root_mismatch', {
    ...next,
    changes: next.changes.filter(({ key }) => key !== 'AuthorizationPolicy/b'),
  });
});

test('hostile control plane: an old version again', () => check('version_rollback', one, 1));

test('hostile control plane: a fork', () =>
  check('fork', signSet(mesh, [allow('a', '/fork')], { parent: one })));

test('hostile control plane: a set signed by a stranger', () => {
  const author = createAuthor('mallory');
  return check('signature_threshold', signSet(mesh, [allow('a', '/x')], { parent: two, author }));
});

test('hostile control plane: the set of another namespace', () =>
  check('wrong_namespace', signSet(mesh, [service('web', 'bank')], { namespace: 'bank' })));

test('a signed set that does not compile leaves the last good one', () => {
  const broken = resource('AuthorizationPolicy', 'a', { action: 'ALLOW', rulez: [] });
  return check('resource_invalid', signSet(mesh, [broken], { parent: two }), 3);
});

test('a policy that a newer version would only try is not enforced by this one', () => {
  const policy = allow('a', '/tried');
  const metadata = { ...policy.metadata, annotations: { 'palisade.dev/try-until': '2030-01-01' } };
  return check('resource_invalid', signSet(mesh, [{ ...policy, metadata }], { parent: two }), 3);
});

test('the trust root is replaced only by its signed successor', async () => {
  const { subscriber, folder, end } = await start();
  const mallory = createAuthor('mallory');
  const root = { ...mesh.trustRoot, version: 2 };
  const stolen = { ...root, policyKeys: [mallory.entry] };
  const pinned = () => readFileSync(join(folder, 'trust-root.json'), 'utf8');
  const before = pinned();
  const refused = await sendMessage(subscriber, {
    case: 'trustRoot',
    value: { envelope: encodeEnvelope(signTrustRoot(stolen, [mallory.signer])) },
  });
  assert.equal(refused.refused[0]?.code, 'signature_threshold');
  assert.equal(pinned(), before);
  const accepted = await sendMessage(
    subscriber,
    {
      case: 'trustRoot',
      value: { envelope: encodeEnvelope(signTrustRoot(root, [mesh.author.signer])) },
    },
    ({ refused }) => refused.length === 0,
  );
  assert.deepEqual(accepted.refused, []);
  assert.notEqual(pinned(), before);
  await end();
});

test('a service of another namespace is looked up, proven, kept and found', async () => {
  const { point, subscriber, folder, distribution, end } = await start();
  await send(subscriber, one);
  const bank = signSet(mesh, [service('vault', 'bank')], { namespace: 'bank' });
  const set = applyUpdate(undefined, bank, mesh.trustRoot, Date.now());
  assert.ok(set.ok);
  const found = point.resolve('vault.bank:80');
  const lookup = await distribution.until(() => subscriber.lookups[0]);
  assert.deepEqual([lookup.namespace, lookup.kind, lookup.name], ['bank', 'Service', 'vault']);
  const question = { namespace: 'bank', kind: 'Service', name: 'vault' };
  const answer = encodeAnswer(proveResource(set.value, 'Service/vault'));
  const edited = { ...service('vault', 'bank'), spec: { ports: [{ port: 81, protocol: 'http' }] } };
  const mixed = { ...answer, resource: Buffer.from(canonicalJson(edited)) };
  const refused = await sendMessage(subscriber, {
    case: 'lookup',
    value: { ...question, ...mixed },
  });
  assert.equal(refused.refused.length, 1, 'a service that was not signed is refused');
  const isGood = ({ refused }: Ack) => refused.length === 0;
  await sendMessage(subscriber, { case: 'lookup', value: { ...question, ...answer } }, isGood);
  await found;
  assert.equal((await point.resolve('vault.bank'))?.fqdn, 'vault.bank.svc.example.org');
  await end();
  const { point: restarted, end: endAgain } = await open(folder, 'nowhere.sock');
  assert.equal((await restarted.resolve('vault.bank.svc'))?.namespace, 'bank');
  await endAgain();
});

test('endpoints are kept, replaced and survive a restart', async () => {
  const { point, subscriber, folder, end } = await start();
  await send(subscriber, one);
  const endpoints = [{ host: '127.0.0.1', port: 15_006, hbonePort: 15_008, node: 'shop/web/1' }];
  const bad = { host: '', port: 70_000, node: 'x' };
  subscriber.send({
    case: 'endpoints',
    value: { namespace: 'shop', service: 'web', endpoints: [...endpoints, bad] },
  });
  await send(subscriber, two);
  assert.deepEqual(point.endpoints({ namespace: 'shop', name: 'web' }), endpoints);
  await end();
  const again = await open(folder, 'nowhere.sock');
  assert.deepEqual(again.point.endpoints({ namespace: 'shop', name: 'web' }), endpoints);
  await again.end();
});

test('a lost stream is taken up again from what is held, and a goodbye is said', async () => {
  const { subscriber, distribution, end } = await start();
  await send(subscriber, one);
  subscriber.fail();
  const second = await distribution.until(() => distribution.subscribers[1]);
  assert.deepEqual(
    second.hello.known.map(({ namespace, number }) => `${namespace}@${number}`),
    ['palisade-system@1', 'shop@1'],
  );
  assert.equal(second.hello.node, subscriber.hello.node, 'the same node as before');
  await end();
  await distribution.until(() => second.ended === 'clean' || undefined);
});

test('an identity of a foreign authority is not used', async () => {
  const stranger = createFakeMesh();
  const { point, agent, end } = await start();
  const before = point.identity.current()?.serial;
  assert.ok(before);
  agent.rotate(svidResponse(stranger, 'spiffe://example.org/ns/shop/sa/web'));
  const changed = new Promise((resolve) => point.identity.onChange(resolve));
  agent.rotate();
  await changed;
  assert.notEqual(point.identity.current()?.serial, before);
  assert.equal(point.identity.current()?.bundles[0]?.trustDomain, 'example.org');
  await end();
  stranger.remove();
});

test('without a trust root nothing starts', async () => {
  const folder = join(mesh.folder, 'none');
  const point = await createEnforcementPoint({
    ...optionsFor(folder, 'nowhere.sock'),
    trustRootFile: join(mesh.folder, 'missing.json'),
  });
  assert.equal(point.ok, false);
  assert.equal(existsSync(join(folder, 'trust-root.json')), false);
});

async function start(more: { readonly withoutRoot?: boolean } = {}) {
  const distribution = createFakeDistribution();
  const agent = await startFakeAgent(mesh, distribution);
  const folder = join(mesh.folder, `proxy-${++folders}`);
  const { point, end } = await open(folder, 'agent.sock');
  if (point.identity.current() === undefined) {
    await new Promise((resolve) => point.identity.onChange(resolve));
  }
  const subscriber = await distribution.until(() => distribution.subscribers[0]);
  if (!more.withoutRoot) subscriber.send(setMessage(root));
  return {
    point,
    agent,
    folder,
    subscriber,
    distribution,
    async end() {
      await end();
      await agent.close();
    },
  };
}

async function open(
  folder: string,
  socket: string,
): Promise<{ point: EnforcementPoint; end: () => Promise<void> }> {
  const point = await createEnforcementPoint(optionsFor(folder, socket));
  assert.ok(point.ok, point.ok ? '' : point.error);
  return { point: point.value, end: point.value.close };
}

function optionsFor(folder: string, socket: string) {
  return {
    folder,
    agentSocket: join(mesh.folder, socket),
    workload: { namespace: 'shop', service: 'web' },
    appPort: 8080,
    trustRootFile: mesh.trustRootFile,
    clock: Date.now,
    log: createSilentLog(),
  };
}

/** Sends a set and resolves to the acknowledgement that enforces or refuses it. */
function send(subscriber: Subscriber, update: PolicySetUpdate | SignedSet) {
  const hash = 'head' in update ? update.head.hash : undefined;
  const isTold = ({ enforced, refused }: Ack) =>
    refused.length > 0 || enforced.some((version) => version.hash === hash);
  return sendMessage(subscriber, setMessage(update), isTold);
}

/** Sends a message and resolves to the first acknowledgement after it that fits. */
async function sendMessage(
  subscriber: Subscriber,
  message: object,
  fits: (ack: Ack) => boolean = ({ refused }) => refused.length > 0,
): Promise<Ack> {
  let next = subscriber.acks.length;
  subscriber.send(message);
  for (;;) {
    const ack = subscriber.acks[next];
    if (ack !== undefined && fits(ack)) return ack;
    if (ack === undefined) await new Promise((resolve) => setImmediate(resolve));
    else next++;
  }
}

function enforcedIn(ack: {
  readonly enforced: readonly { namespace: string; number: bigint }[];
}): string[] {
  return ack.enforced.map(({ namespace, number }) => `${namespace}@${number}`);
}
