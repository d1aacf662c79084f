import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { createFakeMesh, type FakeMesh, fakeSnapshot } from './fake-mesh.ts';
import {
  ALLOW_WEB,
  ask,
  closeOf,
  createFakePair,
  type FakePair,
  isWholeAnswer,
  talk,
} from './fake-pair.ts';
import { createFakeTunnel } from './fake-tunnel.ts';
import { tunnelPortOf } from './route.ts';

const GET = 'GET / HTTP/1.1\r\nHost: orders\r\n\r\n';
const AUTHORITY = 'orders.default.svc.cluster.local:80';
const head = (authority: string, ...more: string[]): string[] => [
  ':method',
  'CONNECT',
  ':authority',
  authority,
  ...more,
];

let mesh: FakeMesh;
let pair: FakePair;
let served: string[] = [];

before(async () => {
  mesh = createFakeMesh();
  pair = await createFakePair({
    mesh,
    application(request, response) {
      served.push(`${request.method} ${request.url}`);
      response.end('ok');
    },
  });
});
after(() => pair.close());

test('many calls at once share one connection and one handshake', async () => {
  const answers = await Promise.all(
    Array.from({ length: 40 }, () => ask(pair.caller.outboundPort, GET)),
  );
  for (const answer of answers) assert.match(answer, /^HTTP\/1\.1 200 /);
  assert.equal(pair.orders.metrics.handshake('ok', 'inbound', 'X25519MLKEM768').value, 1);
  assert.equal(pair.orders.metrics.connections('inbound', 'hbone').value, 1);
});

test('a reader that stops holds up its own stream alone, and little is kept for it', async () => {
  let written = 0;
  const stalled = await createFakePair({
    mesh,
    application(request, response) {
      if (request.url === '/small') return void response.end('ok');
      const more = (): void => {
        while (!response.destroyed && written < 64e6) {
          written += 65_536;
          if (!response.write(Buffer.alloc(65_536))) return void response.once('drain', more);
        }
      };
      more();
    },
  });
  const socket = connect(stalled.caller.outboundPort ?? 0, '127.0.0.1');
  socket.write('GET /large HTTP/1.1\r\nHost: orders\r\n\r\n');
  await new Promise((resolve) => socket.once('data', resolve));
  socket.pause();
  let before = -1;
  // Until nothing moves any more; small calls pass all the while.
  while (written !== before) {
    before = written;
    for (let i = 0; i < 20; i++) {
      const answer = await ask(
        stalled.caller.outboundPort,
        'GET /small HTTP/1.1\r\nHost: orders\r\n\r\n',
      );
      assert.match(answer, /^HTTP\/1\.1 200 /);
    }
  }
  // Four sockets' kernel buffers, and one stream's window.
  assert.ok(written < 32e6, `${written} bytes were taken from the application`);
  socket.destroy();
  await stalled.close();
});

test('draining: calls that change something go on elsewhere, none is lost and none made twice', async () => {
  served = [];
  const other = await createFakePair({
    mesh,
    application(request, response) {
      served.push(`${request.method} ${request.url}`);
      response.end('ok');
    },
  });
  const both = await createFakePair({
    mesh,
    application: (_, response) => response.end('unused'),
    endpoints: () => [pair, other].map(({ server }) => endpointOf(server)),
  });
  let sent = 0;
  const client = async (): Promise<void> => {
    for (let i = 0; i < 60; i++) {
      const path = `/${sent++}`;
      const answer = await ask(
        both.caller.outboundPort,
        `POST ${path} HTTP/1.1\r\nHost: orders\r\nContent-Length: 0\r\n\r\n`,
      );
      assert.match(answer, /^HTTP\/1\.1 200 /, path);
    }
  };
  const clients = Promise.all(Array.from({ length: 4 }, client));
  await new Promise((resolve) => setTimeout(resolve, 30));
  await other.server.drain(2_000);
  await clients;
  assert.equal(new Set(served).size, 240);
  assert.equal(served.length, 240);
  await Promise.all([both.close(), other.close()]);
});

test('draining: a stream whose request is still on its way is answered all the same', async () => {
  const other = await createFakePair({ mesh, application: (_, response) => response.end('ok') });
  const tunnel = await createFakeTunnel(other.server.hbonePort, mesh.issue('web'));
  const stream = tunnel.open(head(AUTHORITY));
  await tunnel.until(() => stream.status() === 200);
  const drained = other.server.drain(2_000);
  stream.send(GET);
  await tunnel.until(() => isWholeAnswer(stream.text()) || stream.ended());
  assert.match(stream.text(), /^HTTP\/1\.1 200 /);
  tunnel.socket.destroy();
  await drained;
  await other.close();
});

function endpointOf(server: FakePair['server']) {
  return { host: '127.0.0.1', port: server.inboundPort ?? 0, hbonePort: server.hbonePort };
}

test('ztunnel’s way: the proxy’s own address with the application’s port', async () => {
  const tunnel = await createFakeTunnel(pair.server.hbonePort, mesh.issue('web'));
  const authority = `127.0.0.1:${pair.appPort}`;
  const stream = tunnel.open(head(authority, 'baggage', 'k8s.namespace.name=default'));
  stream.send(GET);
  await tunnel.until(() => isWholeAnswer(stream.text()));
  assert.equal(stream.status(), 200);
  tunnel.socket.destroy();
});

test('attack: metadata in the CONNECT says who the caller is; the certificate says it', async () => {
  const tunnel = await createFakeTunnel(pair.server.hbonePort, mesh.issue('intruder'));
  const stream = tunnel.open(
    head(
      AUTHORITY,
      'x-forwarded-client-cert',
      'URI=spiffe://cluster.local/ns/default/sa/web',
      'x-forwarded-for',
      '10.0.0.1',
      'baggage',
      'source.principal=spiffe://cluster.local/ns/default/sa/web',
      'forwarded',
      'for=10.0.0.1',
    ),
  );
  stream.send(GET);
  await tunnel.until(() => isWholeAnswer(stream.text()));
  assert.match(stream.text(), /^HTTP\/1\.1 403 [^]*policy_denied/);
  const record = pair.orders.records.at(-1);
  assert.equal(record?.about['source.id'], 'spiffe://cluster.local/ns/default/sa/intruder');
  assert.equal(record?.about['source.ip'], '127.0.0.1');
  tunnel.socket.destroy();
});

test('attack: no certificate, or one of a foreign root: 403 in each stream, and few streams', async () => {
  served = [];
  for (const identity of [undefined, createFakeMesh().issue('web')]) {
    const tunnel = await createFakeTunnel(pair.server.hbonePort, identity);
    const stream = tunnel.open(head(AUTHORITY));
    stream.send(GET);
    await tunnel.until(() => isWholeAnswer(stream.text()));
    assert.match(stream.text(), /^HTTP\/1\.1 403 [^]*peer_unauthenticated/);
    for (let i = 1; tunnel.connection.canOpen; i++) {
      assert.ok(i <= 8, 'the peer takes no end of streams');
      tunnel.open(head(AUTHORITY));
    }
    tunnel.socket.destroy();
  }
  assert.deepEqual(served, []);
});

test('what is no tunnel to a port of ours is refused with a status, and the connection lives', async () => {
  const tunnel = await createFakeTunnel(pair.server.hbonePort, mesh.issue('web'));
  const get = [':method', 'GET', ':scheme', 'https', ':authority', AUTHORITY, ':path', '/'];
  const cases: readonly (readonly [readonly string[], boolean, number])[] = [
    [get, true, 405],
    [head(AUTHORITY), true, 400],
    [head('orders.default.svc.cluster.local:81'), false, 404],
    [head('payments.default.svc.cluster.local:80'), false, 404],
    [head('127.0.0.1:80'), false, 404],
    [head('10.1.2.3:80'), false, 404],
    [head('orders'), false, 404],
    [head('[::1]:80'), false, 404],
    [head(`${AUTHORITY}@evil`), false, 404],
  ];
  for (const [fields, isEnd, status] of cases) {
    const stream = tunnel.open(fields, isEnd);
    await tunnel.until(() => stream.status() !== undefined);
    assert.equal(stream.status(), status, fields.join(' '));
  }
  const good = tunnel.open(head(AUTHORITY));
  good.send(GET);
  await tunnel.until(() => isWholeAnswer(good.text()));
  tunnel.socket.destroy();
});

test('attack: rapid reset ends the attacker’s connection and nobody else’s', async () => {
  const tunnel = await createFakeTunnel(pair.server.hbonePort, mesh.issue('web'));
  let opened = 0;
  const flood = (): void => {
    for (let i = 0; i < 50 && tunnel.connection.canOpen; i++) {
      opened++;
      tunnel.connection.reset(tunnel.open(head(AUTHORITY)).stream, 8);
    }
    if (!tunnel.socket.closed) setImmediate(flood);
  };
  flood();
  await tunnel.closed;
  assert.ok(opened < 20_000, `${opened} streams`);
  assert.ok(pair.orders.metrics.refused('h2_rapid_reset').value > 0);
  assert.match(await ask(pair.caller.outboundPort, GET), /^HTTP\/1\.1 200 /);
});

test('attack: no preface, another protocol, plaintext: closed and counted', async () => {
  const identity = mesh.issue('web');
  const bad = await createFakeTunnel(pair.server.hbonePort, identity);
  bad.socket.write(GET);
  await bad.closed;
  const plain = connect(pair.server.hbonePort ?? 0, '127.0.0.1');
  assert.equal(await talk(plain, GET), '');
  assert.ok(pair.orders.metrics.handshake('failed', 'inbound').value > 0);
  const slow = await createFakePair({
    mesh,
    application: (_, response) => response.end('ok'),
    timeouts: { headerMs: 150 },
  });
  const silent = connectTls({
    host: '127.0.0.1',
    port: slow.server.hbonePort ?? 0,
    key: identity.privateKeyPem,
    cert: identity.chainPem,
    rejectUnauthorized: false,
  });
  silent.resume();
  await closeOf(silent);
  await slow.close();
});

test('a tunnel leads to whatever proves to be the service: another identity gets not a byte', async () => {
  served = [];
  const wrong = await createFakePair({
    mesh,
    serverAccount: 'mallory',
    application: (_, response) => response.end('stolen'),
  });
  const answer = await ask(wrong.caller.outboundPort, GET);
  assert.match(answer, /^HTTP\/1\.1 503 [^]*upstream_identity_mismatch/);
  assert.deepEqual(wrong.orders.records, []);
  await wrong.close();
});

test('plain mutual TLS serves endpoints that advertise no tunnel', async () => {
  const plain = await createFakePair({
    mesh,
    transport: 'mtls',
    application: (_, response) => response.end('ok'),
  });
  assert.match(await ask(plain.caller.outboundPort, GET), /^HTTP\/1\.1 200 /);
  assert.equal(plain.orders.metrics.connections('inbound', 'hbone').value, 0);
  assert.equal(
    plain.orders.records[0]?.about['connection.sni'],
    'outbound_.80_._.orders.default.svc.cluster.local',
  );
  await plain.close();
});

test('which port a CONNECT is for', () => {
  const ports = [
    { port: 80, targetPort: 8080 },
    { port: 81, targetPort: 9090 },
    { port: 82, targetPort: 9090 },
    { port: 83, targetPort: undefined },
  ];
  const snapshot = fakeSnapshot(mesh, { service: 'orders', policies: [ALLOW_WEB], inbound: ports });
  const own = { address: '10.0.0.7', appPort: 7070 };
  const check = (authority: string, port: number | undefined): void =>
    assert.equal(tunnelPortOf(snapshot, authority, own)?.port, port, authority);
  check('orders.default.svc.cluster.local:80', 80);
  check('ORDERS.default.svc.cluster.local:83', 83);
  check('orders.default.svc.cluster.local:8080', undefined);
  check('10.0.0.7:8080', 80);
  check('10.0.0.7:7070', 83);
  check('10.0.0.7:80', undefined);
  // Two policies lead there.
  check('10.0.0.7:9090', undefined);
  check('10.0.0.8:8080', undefined);
  check('10.0.0.7:', undefined);
  check('10.0.0.7:999999', undefined);
  check(':80', undefined);
  check('', undefined);
});
