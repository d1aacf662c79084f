import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import {
  createFakeMesh,
  type FakeMesh,
  fakePolicy,
  fakeService,
  fakeSnapshot,
} from './fake-mesh.ts';
import {
  ALLOW_WEB,
  ask,
  closeOf,
  createFakePair,
  type FakePair,
  isWholeAnswer,
  talk,
} from './fake-pair.ts';
import type { Endpoint } from './options.ts';

const TCP = [{ port: 6379, name: 'redis', protocol: 'tcp' }] as const;
const GET = 'GET / HTTP/1.1\r\nHost: orders\r\n\r\n';

let mesh: FakeMesh;
let echo: Server;

before(async () => {
  mesh = createFakeMesh();
  echo = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {
      // Sessions are cut in these tests.
    });
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => echo.listen(0, '127.0.0.1', resolve));
});
after(() => echo.close());

function tcpPair(policies = [ALLOW_WEB]): Promise<FakePair> {
  return createFakePair({
    application: { port: (echo.address() as AddressInfo).port },
    mesh,
    policies,
    inbound: TCP,
    service: fakeService(mesh, 'orders', { ports: TCP }),
    upstreams: [{ service: 'orders', localPort: 0 }],
  });
}

test('TCP: bytes pass both ways, half-close too, one record a session', async () => {
  const pair = await tcpPair();
  const socket = connect({
    port: pair.caller.upstreamPorts[0] ?? 0,
    host: '127.0.0.1',
    allowHalfOpen: true,
  });
  assert.equal(await talk(socket, 'PING', (text) => text === 'PING'), 'PING');
  const rest = talk(socket, 'LAST');
  socket.end();
  assert.equal(await rest, 'LAST');
  const { records } = pair.orders;
  assert.equal(records.length, 1);
  assert.equal(records[0]?.about.kind, 'tcp');
  assert.equal(records[0]?.bytesIn, 8);
  assert.equal(records[0]?.bytesOut, 8);
  assert.equal(records[0]?.verdict, 'allow');
  assert.equal(
    pair.web.records[0]?.about['destination.id'],
    'spiffe://cluster.local/ns/default/sa/orders',
  );
  await pair.close();
});

test('TCP: a denied connection is cut without a byte of the application’s', async () => {
  const pair = await tcpPair([]);
  const socket = connect(pair.caller.upstreamPorts[0] ?? 0, '127.0.0.1');
  assert.equal(await talk(socket, 'PING'), '');
  assert.equal(pair.orders.records[0]?.verdict, 'deny');
  assert.equal(pair.orders.records[0]?.reason, 'policy_denied');
  await pair.close();
});

test('TCP: a policy change cuts the session it denies at once, and no other', async () => {
  const pair = await tcpPair();
  const open = async () => {
    const socket = connect(pair.caller.upstreamPorts[0] ?? 0, '127.0.0.1');
    await talk(socket, 'A', (text) => text === 'A');
    return socket;
  };
  const socket = await open();
  const snapshot = (policies: Parameters<typeof fakeSnapshot>[1]['policies']) =>
    fakeSnapshot(mesh, { service: 'orders', inbound: TCP, policies: policies ?? [] });
  pair.orders.snapshots.set(snapshot([ALLOW_WEB, fakePolicy('DENY', 'other', { port: ['1'] })]));
  assert.equal(await talk(socket, 'B', (text) => text === 'B'), 'B');
  const closed = closeOf(socket);
  pair.orders.snapshots.set(snapshot([]));
  await closed;
  assert.equal(pair.orders.records[0]?.reason, 'policy_denied');
  await pair.close();
});

test('TCP: rotation of either certificate leaves sessions alone', async () => {
  const pair = await tcpPair();
  const socket = connect(pair.caller.upstreamPorts[0] ?? 0, '127.0.0.1');
  await talk(socket, 'A', (text) => text === 'A');
  pair.orders.identity.set({ ...mesh.issue('orders'), bundles: [mesh.bundle] });
  pair.web.identity.set(mesh.issue('web'));
  assert.equal(await talk(socket, 'B', (text) => text === 'B'), 'B');
  const closed = closeOf(socket);
  socket.resume();
  // A root that no longer counts is another matter.
  pair.orders.identity.set({ ...mesh.issue('orders'), bundles: [createFakeMesh().bundle] });
  await closed;
  await pair.close();
});

test('HTTP: a policy change holds for the next request of an open connection', async () => {
  const pair = await createFakePair({ application: (_, response) => response.end('ok'), mesh });
  const socket = connect(pair.caller.outboundPort ?? 0, '127.0.0.1');
  assert.match(await talk(socket, GET, isWholeAnswer), /^HTTP\/1\.1 200 /);
  pair.orders.snapshots.set(fakeSnapshot(mesh, { service: 'orders', policies: [] }));
  assert.match(await talk(socket, GET, isWholeAnswer), /^HTTP\/1\.1 403 /);
  pair.orders.snapshots.set(fakeSnapshot(mesh, { service: 'orders', policies: [ALLOW_WEB] }));
  assert.match(await talk(socket, GET, isWholeAnswer), /^HTTP\/1\.1 200 /);
  socket.destroy();
  await pair.close();
});

test('HTTP: a policy change cuts an answer that is still streaming, where the Mesh says so', async () => {
  const pair = await createFakePair({
    application(_, response) {
      response.write('first');
    },
    mesh,
  });
  const socket = connect(pair.caller.outboundPort ?? 0, '127.0.0.1');
  await talk(socket, GET, (text) => text.includes('first'));
  const closed = closeOf(socket);
  socket.resume();
  const reauthorization = { requests: 'cut', withinMs: 5_000 } as const;
  pair.orders.snapshots.set(
    fakeSnapshot(mesh, { service: 'orders', policies: [], reauthorization }),
  );
  await closed;
  assert.equal(pair.orders.records[0]?.reason, 'policy_denied');
  await pair.close();
});

test('rotation: the next call is made under the new certificate, calls never fail', async () => {
  const pair = await createFakePair({ application: (_, response) => response.end('ok'), mesh });
  const socket = connect(pair.caller.outboundPort ?? 0, '127.0.0.1');
  await talk(socket, GET, isWholeAnswer);
  const next = mesh.issue('web');
  pair.web.identity.set(next);
  pair.orders.identity.set(mesh.issue('orders'));
  assert.match(await talk(socket, GET, isWholeAnswer), /^HTTP\/1\.1 200 /);
  assert.equal(pair.orders.records[1]?.about.peer_serial, next.serial);
  socket.destroy();
  await pair.close();
});

for (const transport of ['hbone', 'mtls'] as const) {
  test(`rotation in the middle of a handshake over ${transport}: the connection serves one call, no other`, async () => {
    let during: () => void = () => undefined;
    const relay = await relayTo(() => during());
    const pair = await createFakePair({
      application: (_, response) => response.end('ok'),
      mesh,
      transport,
      endpoints: (own) => [relay.endpoint(own)],
    });
    const next = { web: mesh.issue('web'), orders: mesh.issue('orders') };
    // The caller's hello has left, the server has answered it: both speak for the old certificates.
    during = () => {
      pair.web.identity.set(next.web);
      pair.orders.identity.set(next.orders);
    };
    const socket = connect(pair.caller.outboundPort ?? 0, '127.0.0.1');
    assert.match(await talk(socket, GET, isWholeAnswer), /^HTTP\/1\.1 200 /);
    assert.match(await talk(socket, GET, isWholeAnswer), /^HTTP\/1\.1 200 /);
    assert.equal(pair.orders.records[1]?.about.peer_serial, next.web.serial);
    assert.equal(pair.web.records[1]?.about.peer_serial, next.orders.serial);
    socket.destroy();
    await pair.close();
    relay.close();
  });
}

test('rotation and policy changes under load: not one allowed call fails', async () => {
  const pair = await createFakePair({ application: (_, response) => response.end('ok'), mesh });
  const POST = 'POST /x HTTP/1.1\r\nHost: orders\r\nContent-Length: 3\r\n\r\nabc';
  const stop = new AbortController();
  let answered = 0;
  const answers = new EventEmitter();
  const someAnswers = async (): Promise<void> => {
    for (let i = 0; i < 15; i++) await once(answers, 'answer');
  };
  const client = async (raw: string): Promise<void> => {
    const socket = connect(pair.caller.outboundPort ?? 0, '127.0.0.1');
    while (!stop.signal.aborted) {
      assert.match(await talk(socket, raw, isWholeAnswer), /^HTTP\/1\.1 200 /);
      answered++;
      answers.emit('answer');
    }
    socket.destroy();
  };
  const clients = Promise.all(
    Array.from({ length: 12 }, (_, i) => client(i % 2 === 0 ? GET : POST)),
  );
  for (let round = 0; round < 12; round++) {
    await someAnswers();
    pair.web.identity.set(mesh.issue('web'));
    await someAnswers();
    pair.orders.identity.set(mesh.issue('orders'));
    const policies = [ALLOW_WEB, fakePolicy('DENY', `round-${round}`, { path: ['/denied'] })];
    pair.orders.snapshots.set(fakeSnapshot(mesh, { service: 'orders', policies }));
    pair.web.snapshots.set(fakeSnapshot(mesh, { service: 'web', upstreams: [pair.service] }));
  }
  stop.abort();
  await clients;
  assert.ok(answered >= 360, `${answered} answers`);
  await pair.close();
});

test('bundle change: callers of a root that was withdrawn are refused on open connections', async () => {
  const pair = await createFakePair({ application: (_, response) => response.end('ok'), mesh });
  const socket = connect(pair.caller.outboundPort ?? 0, '127.0.0.1');
  await talk(socket, GET, isWholeAnswer);
  const other = createFakeMesh();
  pair.orders.identity.set({ ...mesh.issue('orders'), bundles: [other.bundle] });
  assert.match(await talk(socket, GET, isWholeAnswer), /^HTTP\/1\.1 403 [^]*peer_unauthenticated/);
  socket.destroy();
  await pair.close();
});

test('expiry: not ready, and refuses in both directions', async () => {
  const pair = await createFakePair({ application: (_, response) => response.end('ok'), mesh });
  assert.deepEqual(pair.server.ready(), { ready: true, reason: 'ready' });
  await ask(pair.caller.outboundPort, GET);
  pair.orders.identity.set(mesh.issue('orders', { fromMs: -7_200_000, forMs: 3_600_000 }));
  assert.equal(pair.server.ready().ready, false);
  assert.match(pair.server.ready().reason, /expired/);
  assert.doesNotMatch(await ask(pair.caller.outboundPort, GET), /^HTTP\/1\.1 200 /);
  pair.web.identity.set(undefined);
  assert.match(pair.caller.ready().reason, /no certificate/);
  assert.match(await ask(pair.caller.outboundPort, GET), /peer_unauthenticated/);
  await pair.close();
});

test('a certificate whose key cannot be read is none, and nothing crashes', async () => {
  const pair = await createFakePair({ application: (_, response) => response.end('ok'), mesh });
  const broken = { ...mesh.issue('orders'), privateKeyPem: 'garbage' };
  pair.orders.identity.set(broken);
  pair.web.identity.set(broken);
  assert.match(pair.server.ready().reason, /cannot be used/);
  assert.match(await ask(pair.caller.outboundPort, GET), /peer_unauthenticated/);
  assert.equal(await ask(pair.server.inboundPort, GET), '');
  pair.web.identity.set(mesh.issue('web'));
  pair.orders.identity.set(mesh.issue('orders'));
  assert.match(await ask(pair.caller.outboundPort, GET), /^HTTP\/1\.1 200 /);
  await pair.close();
});

test('the identities of a service change: kept connections to others are not used again', async () => {
  const pair = await createFakePair({ application: (_, response) => response.end('ok'), mesh });
  await ask(pair.caller.outboundPort, GET);
  const moved = fakeService(mesh, 'orders', { account: 'orders-v2' });
  pair.web.snapshots.set(fakeSnapshot(mesh, { service: 'web', upstreams: [moved] }));
  assert.match(await ask(pair.caller.outboundPort, GET), /upstream_identity_mismatch/);
  await pair.close();
});

test('drain: a call under way is finished, idle connections and listeners go', async () => {
  let arrived: (finish: () => void) => void = () => {};
  const underWay = new Promise<() => void>((resolve) => {
    arrived = resolve;
  });
  const pair = await createFakePair({
    application(_, response) {
      arrived(() => response.end('done'));
    },
    mesh,
  });
  const idle = connect(pair.caller.outboundPort ?? 0, '127.0.0.1');
  await once(idle, 'connect');
  const socket = connect(pair.caller.outboundPort ?? 0, '127.0.0.1');
  const answer = talk(socket, GET, isWholeAnswer);
  const finish = await underWay;
  const drained = pair.caller.drain(5_000);
  idle.resume();
  await once(idle, 'close');
  finish();
  const text = await answer;
  assert.match(text, /^HTTP\/1\.1 200 [^]*connection: close[^]*done$/);
  socket.end();
  await drained;
  assert.equal(pair.caller.ready().ready, false);
  await assert.rejects(once(connect(pair.caller.outboundPort ?? 0, '127.0.0.1'), 'connect'));
  await pair.close();
});

test('drain: what does not finish in time is cut', async () => {
  const pair = await tcpPair();
  const socket = connect(pair.caller.upstreamPorts[0] ?? 0, '127.0.0.1');
  await talk(socket, 'A', (text) => text === 'A');
  const closed = closeOf(socket);
  socket.resume();
  await pair.caller.drain(50);
  await closed;
  await pair.close();
});

test('an upstream listener for HTTP is that service, whatever Host the caller’s library writes', async () => {
  const hosts: string[] = [];
  const pair = await createFakePair({
    application(request, response) {
      hosts.push(request.headers.host ?? '');
      response.end('ok');
    },
    mesh,
    upstreams: [{ service: 'orders', port: 80, localPort: 0 }],
  });
  const port = pair.caller.upstreamPorts[0] ?? 0;
  assert.match(await ask(port, `GET / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`), /200 OK/);
  assert.match(await ask(port, 'GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n'), /200 OK/);
  assert.deepEqual(hosts, ['orders', 'shop.example']);
  await pair.close();
});

test('a service of another namespace is looked up once its name could be one', async () => {
  const pair = await createFakePair({ application: (_, response) => response.end('ok'), mesh });
  const { createProxy } = await import('./proxy.ts');
  const asked: string[] = [];
  const far = { ...fakeService(mesh, 'orders'), namespace: 'far', name: 'orders' };
  const caller = await createProxy(
    pair.web.options({
      endpoints: () => [{ host: '127.0.0.1', port: pair.server.inboundPort ?? 0 }],
      resolve: (host) => {
        asked.push(host);
        return Promise.resolve(host === 'orders.far' ? far : undefined);
      },
      listen: { inbound: undefined, outbound: { host: '127.0.0.1', port: 0 }, upstreams: [] },
    }),
  );
  const get = (host: string): string => `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
  assert.match(await ask(caller.outboundPort, get('orders.far')), /^HTTP\/1\.1 200 /);
  assert.match(await ask(caller.outboundPort, get('orders.far:80')), /^HTTP\/1\.1 200 /);
  assert.match(await ask(caller.outboundPort, get('nothing.far')), /^HTTP\/1\.1 404 /);
  assert.match(await ask(caller.outboundPort, get('www.example.com')), /^HTTP\/1\.1 404 /);
  assert.deepEqual(asked, ['orders.far', 'orders.far', 'nothing.far']);
  await caller.close();
  await pair.close();
});

/** Passes bytes on to the endpoint of a server; `during` is called when the server has spoken for the first time. */
async function relayTo(during: () => void) {
  let port = 0;
  const sockets = new Set<Socket>();
  const relay = createServer((near) => {
    const far = connect(port, '127.0.0.1');
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => {
        // Connections are given up in these tests.
      });
    }
    far.once('data', during);
    near.pipe(far).pipe(near);
  });
  await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve));
  const at = (relay.address() as AddressInfo).port;
  return {
    endpoint(own: Endpoint): Endpoint {
      port = own.hbonePort || own.port;
      return { ...own, port: at, ...(own.hbonePort ? { hbonePort: at } : {}) };
    },
    close() {
      relay.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
