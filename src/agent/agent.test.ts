import assert from 'node:assert/strict';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Metadata, status } from '@grpc/grpc-js';
import { createLog, createSilentLog } from '#telemetry';
import {
  createGrpcClient,
  createMessage,
  Distribution,
  Host,
  SpiffeWorkloadAPI,
  SubscribeRequestSchema,
} from '#wire';
import { createAgent } from './agent.ts';
import { createEnforcementPoint } from './enforcement-point.ts';
import {
  createFakeMesh,
  registration,
  service,
  setMessage,
  signRoot,
  signSet,
  TRUST_DOMAIN,
} from './fake-mesh.ts';
import { errorOf, fakeCredentials, optionsFor, startWorld, withHeader } from './fake-world.ts';

const mesh = createFakeMesh();
after(() => mesh.remove());
const uid = process.getuid?.() ?? 0;
const WEB = `spiffe://${TRUST_DOMAIN}/ns/shop/sa/web`;

test('a registered process gets its identity, exactly as the Workload API demands', async () => {
  const world = await startWorld(mesh);
  await world.register();
  const { svids } = await world.fetchSvid();
  assert.equal(svids.length, 1);
  const [svid] = svids;
  assert.ok(svid);
  assert.equal(svid.spiffeId, WEB);
  const leaf = new X509Certificate(svid.x509Svid);
  assert.equal(leaf.subjectAltName, `URI:${WEB}`);
  assert.equal(leaf.ca, false);
  assert.deepEqual(Buffer.from(svid.bundle), Buffer.from(mesh.rootDer));
  const key = createPrivateKey({
    key: Buffer.from(svid.x509SvidKey),
    format: 'der',
    type: 'pkcs8',
  });
  assert.equal(leaf.checkPrivateKey(key), true);
  const asked = world.authority.requests.find(({ id }) => id === WEB);
  assert.ok(asked?.selectors.includes(`unix:uid:${uid}`), 'the CA sees what was attested');
  await world.end();
});

test('attack: a caller without the header, even an unregistered one, is an invalid argument', async () => {
  const world = await startWorld(mesh);
  for (const values of [[], ['True'], ['true', 'true'], ['1']]) {
    const metadata = new Metadata();
    for (const value of values) metadata.add('workload.spiffe.io', value);
    assert.equal(await world.fetchError(metadata), status.INVALID_ARGUMENT);
  }
  await world.end();
});

test('attack: a process without registration gets neither an identity nor a bundle', async () => {
  const world = await startWorld(mesh);
  await world.sync(signSet(mesh, [service('web'), registration('web', ['unix:uid:4294967294'])]));
  assert.equal(await world.fetchError(), status.PERMISSION_DENIED);
  const call = world.workload.serverStream(
    SpiffeWorkloadAPI.method.fetchX509Bundles,
    {},
    withHeader(),
  );
  assert.equal(await errorOf(call), status.PERMISSION_DENIED);
  await world.end();
});

test('attack: a process of another user is not who it is not', async () => {
  const world = await startWorld(mesh, { credentials: fakeCredentials({ uid: uid + 1 }) });
  await world.register();
  assert.equal(await world.fetchError(), status.PERMISSION_DENIED);
  await assert.rejects(
    world.host.unary(Host.method.introduce, { namespace: 'shop', service: 'web' }),
    { code: status.PERMISSION_DENIED },
  );
  await world.end();
});

test('attack: another process that took over the pid of an attested one', async () => {
  let isAlive = true;
  const world = await startWorld(mesh, {
    credentials: fakeCredentials({ uid, isAlive: () => isAlive }),
  });
  await world.register();
  await world.fetchSvid();
  isAlive = false;
  assert.equal(await world.fetchError(), status.PERMISSION_DENIED);
  await world.end();
});

test('streams stay open: a renewal arrives, a deleted registration ends them', async () => {
  const world = await startWorld(mesh, { ttlMs: 4_000 });
  await world.register();
  const stream = world.open();
  const first = await stream.next();
  const second = await stream.next();
  assert.notDeepEqual(first.svids[0]?.x509Svid, second.svids[0]?.x509Svid);
  await world.sync(signSet(mesh, [service('web')], { parent: world.registered }));
  assert.equal(await stream.error(), status.PERMISSION_DENIED);
  await world.end();
});

test('a caller waits while its identity cannot be issued, and gets it as soon as it can', async () => {
  const world = await startWorld(mesh);
  let refuses = true;
  world.authority.refuse = () => refuses;
  await world.register();
  const stream = world.open();
  refuses = false;
  assert.equal((await stream.next()).svids[0]?.spiffeId, WEB);
  await world.end();
});

test('introduced processes carry their service, over a restart of the agent', async () => {
  const world = await startWorld(mesh);
  const { selectors } = await world.host.unary(Host.method.introduce, {
    namespace: 'shop',
    service: 'orders',
  });
  assert.ok(selectors.includes('palisade:service:shop/orders'));
  await assert.rejects(
    world.host.unary(Host.method.introduce, { namespace: 'shop', service: 'payments' }),
    { code: status.PERMISSION_DENIED },
    'attack: an introduced process turns itself into another service',
  );
  await world.end();
  const again = await startWorld(mesh, { folder: world.folder });
  const me = await again.host.unary(Host.method.whoAmI, {});
  assert.ok(me.selectors.includes('palisade:service:shop/orders'));
  assert.ok(me.selectors.includes(`unix:path:${process.execPath}`));
  assert.equal(me.trustDomain, TRUST_DOMAIN);
  await again.end();
});

test('an enforcement point is served through the agent, under its attested identity', async () => {
  const world = await startWorld(mesh);
  const both = signSet(mesh, [service('web'), registration('web', [`unix:uid:${uid}`])]);
  await world.sync(both);
  const point = await createEnforcementPoint({
    folder: join(world.folder, 'proxy'),
    agentSocket: world.socketPath,
    workload: { namespace: 'shop', service: 'web' },
    appPort: 8080,
    trustRootFile: mesh.trustRootFile,
    announcements: [
      { namespace: 'shop', service: 'web', host: '127.0.0.1', port: 15_006 },
      { namespace: 'shop', service: 'payments', host: '127.0.0.1', port: 15_006 },
    ],
    clock: Date.now,
    log: createSilentLog(),
  });
  assert.ok(point.ok);
  const { control } = world;
  const proxy = await control.until(() =>
    control.subscribers.find(({ hello }) => hello.kind === 'proxy'),
  );
  assert.equal(proxy.hello.spiffeId, WEB);
  assert.deepEqual(
    proxy.hello.endpoints.map((endpoint) => endpoint.service),
    ['web'],
    'what it may not serve it cannot announce',
  );
  proxy.send(setMessage(signRoot(mesh)));
  proxy.send(setMessage(both));
  await control.until(() => proxy.acks.find((ack) => ack.enforced.length > 0));
  assert.equal(point.value.snapshots.current()?.version, 'palisade-system@1 shop@1');
  await point.value.close();
  await control.until(() => proxy.ended === 'clean' || undefined);
  await world.end();
});

test('attack: a relayed Hello that claims what was not attested', async () => {
  const world = await startWorld(mesh);
  await world.register();
  const spoof = async (hello: object): Promise<number | undefined> => {
    const client = createGrpcClient(Distribution, { kind: 'unix', path: world.socketPath });
    const call = client.bidi(Distribution.method.subscribe);
    call.write(helloMessage(hello));
    const code = await errorOf(call);
    client.close();
    return code;
  };
  const others = ['bank/vault/1', 'shop/payments/1', 'shop/web', 'shop/web/1/2', 'agent/host', ''];
  for (const node of others) {
    assert.equal(await spoof(helloOf(node)), status.PERMISSION_DENIED, node);
  }
  const client = createGrpcClient(Distribution, { kind: 'unix', path: world.socketPath });
  const call = client.bidi(Distribution.method.subscribe);
  call.on('error', () => {
    // Ended below.
  });
  const claimed = {
    ...helloOf('shop/web/1'),
    kind: 'ca',
    spiffeId: `spiffe://${TRUST_DOMAIN}/palisade/ca`,
    namespaces: ['*', 'bank', 'shop', 'palisade-system'],
    endpoints: [{ namespace: 'bank', service: 'vault', host: '127.0.0.1', port: 1 }],
  };
  call.write(helloMessage(claimed));
  const { control } = world;
  const seen = await control.until(() =>
    control.subscribers.find(({ hello }) => hello.node === 'shop/web/1'),
  );
  assert.equal(seen.hello.kind, 'proxy');
  assert.equal(seen.hello.spiffeId, WEB);
  assert.deepEqual(seen.hello.namespaces, ['shop', 'palisade-system']);
  assert.deepEqual(seen.hello.endpoints, []);
  call.cancel();
  client.close();
  await control.until(() => seen.ended === 'broken' || undefined);
  await world.end();
});

test('a restart without CA and control plane serves what is known', async () => {
  const world = await startWorld(mesh);
  await world.register();
  await world.end();
  const agent = await createAgent({
    ...optionsFor(mesh, world.folder, world.socketPath),
    caAddress: '127.0.0.1:1',
    controlAddress: '127.0.0.1:1',
  });
  assert.ok(agent.ok, agent.ok ? '' : agent.error);
  assert.equal(agent.value.health().ready, true);
  assert.match(agent.value.health().reason, /not reachable/);
  await agent.value.close();
});

test('attack: garbage, half a greeting and callers that vanish leave the agent serving others', async () => {
  const world = await startWorld(mesh);
  await world.register();
  const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
  const frame = Buffer.from([0xff, 0xff, 0xff, 0x01, 0x25, 0, 0, 0, 1]);
  const openings = ['GET / HTTP/1.1\r\n\r\n', '\0\0\0', preface.slice(0, 9), preface, frame];
  for (const opening of [...openings, Buffer.concat([Buffer.from(preface), frame])]) {
    const socket = connect(world.socketPath);
    socket.on('error', () => {
      // The agent may cut it.
    });
    await once(socket, 'connect');
    await new Promise((resolve) => socket.write(opening, resolve));
    socket.destroy();
    await once(socket, 'close');
  }
  const vanishing = createGrpcClient(Host, { kind: 'unix', path: world.socketPath });
  const pending = vanishing.unary(Host.method.introduce, { namespace: 'shop', service: 'gone' });
  vanishing.close();
  await pending.catch(() => {
    // Answered or not, as it fell.
  });
  assert.equal((await world.fetchSvid()).svids.length, 1);
  await world.end();
});

test('the socket is for the own user, replaces a dead one and never a live one', async () => {
  const world = await startWorld(mesh);
  assert.equal(statSync(world.socketPath).mode & 0o777, 0o600);
  assert.equal(statSync(join(world.folder, 'identity.json')).mode & 0o777, 0o600);
  const second = await createAgent(optionsFor(mesh, join(mesh.folder, 'second'), world.socketPath));
  assert.match(second.ok ? '' : second.error, /another agent answers/);
  await world.end();
  assert.equal(existsSync(world.socketPath), false);
});

test('secrets stay out of the log', async () => {
  const lines: string[] = [];
  const destination = { write: (line: string) => void lines.push(line) };
  const log = createLog({ name: 'agent', level: 'debug', destination });
  const world = await startWorld(mesh, { log });
  await world.register();
  await world.fetchSvid();
  await world.end();
  const stored = JSON.parse(readFileSync(join(world.folder, 'identity.json'), 'utf8')) as {
    privateKeyPem: string;
  };
  const keyLine = stored.privateKeyPem.split('\n')[1] ?? '';
  assert.ok(lines.length > 0 && keyLine.length > 20);
  assert.equal(lines.join('').includes(keyLine), false);
});

function helloOf(node: string) {
  return { node, kind: 'proxy', spiffeId: WEB, namespaces: ['shop'] };
}

function helloMessage(hello: object) {
  return createMessage(SubscribeRequestSchema, {
    message: { case: 'hello', value: hello as ReturnType<typeof helloOf> },
  });
}
