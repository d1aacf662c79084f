import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { bundlePem, type WorkloadIdentity } from '#identity';
import { serverNameOf } from './context.ts';
import { createFakeMesh, type FakeMesh, fakePolicy, fakeSnapshot } from './fake-mesh.ts';
import { ALLOW_WEB, ask, createFakePair, type FakePair, isWholeAnswer, talk } from './fake-pair.ts';

let mesh: FakeMesh;
let pair: FakePair;
let received = '';

const application = createServer((socket) => {
  socket.on('error', () => {
    // Attacked connections are reset; what arrived is in `received`.
  });
  socket.on('data', (chunk) => {
    received += chunk.toString('latin1');
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Palisade-Denial: fake\r\n\r\nok');
  });
});

before(async () => {
  mesh = createFakeMesh();
  await new Promise<void>((resolve) => application.listen(0, '127.0.0.1', resolve));
  pair = await createFakePair({
    application: { port: (application.address() as AddressInfo).port },
    policies: [ALLOW_WEB, fakePolicy('DENY', 'admin', { path: ['/admin', '/admin/*'] })],
    mesh,
  });
});
after(async () => {
  await pair.close();
  application.close();
});

/** A caller that speaks to the server's proxy itself, with a certificate of its choice. */
async function callServer(
  identity: WorkloadIdentity | undefined,
  raw: string,
  serverName: string | undefined = serverNameOf(pair.service.fqdn, 80),
): Promise<string> {
  received = '';
  const socket = connectTls({
    port: pair.server.inboundPort ?? 0,
    host: '127.0.0.1',
    rejectUnauthorized: false,
    ca: bundlePem(mesh.bundle),
    ...(serverName === undefined ? {} : { servername: serverName }),
    ...(identity === undefined ? {} : { key: identity.privateKeyPem, cert: identity.chainPem }),
  });
  const text = await talk(socket, raw, isWholeAnswer);
  socket.destroy();
  return text;
}

const GET = 'GET / HTTP/1.1\r\nHost: orders\r\n\r\n';

test('no certificate: 403, the application sees nothing', async () => {
  const text = await callServer(undefined, GET);
  assert.match(text, /^HTTP\/1\.1 403 [^]*x-palisade-reason: peer_unauthenticated/);
  assert.equal(received, '');
  assert.equal(pair.orders.records.at(-1)?.verdict, 'deny');
});

test('certificate of another authority for the same trust domain: 403', async () => {
  const impostor = createFakeMesh().issue('web');
  assert.match(await callServer(impostor, GET), /^HTTP\/1\.1 403 [^]*peer_unauthenticated/);
  assert.equal(received, '');
});

test('certificate of another trust domain: 403', async () => {
  const foreigner = createFakeMesh('other.example').issue('web');
  assert.match(await callServer(foreigner, GET), /^HTTP\/1\.1 403 [^]*peer_unauthenticated/);
  assert.equal(received, '');
});

test('expired certificate: 403', async () => {
  const expired = mesh.issue('web', { fromMs: -7_200_000, forMs: 3_600_000 });
  assert.match(await callServer(expired, GET), /^HTTP\/1\.1 403 [^]*peer_unauthenticated/);
  assert.equal(received, '');
});

test('valid certificate that no policy allows: 403', async () => {
  assert.match(await callServer(mesh.issue('intruder'), GET), /^HTTP\/1\.1 403 [^]*policy_denied/);
  assert.equal(received, '');
});

test('valid certificate: passes, with and without Istio’s server name', async () => {
  assert.match(await callServer(mesh.issue('web'), GET), /^HTTP\/1\.1 200 /);
  assert.match(await callServer(mesh.issue('web'), GET, 'anything.example'), /^HTTP\/1\.1 200 /);
  assert.match(received, /x-forwarded-client-cert: By=/);
});

test('server name of another service or port: closed', async () => {
  for (const name of [
    serverNameOf('payments.default.svc.cluster.local', 80),
    serverNameOf(pair.service.fqdn, 81),
  ]) {
    assert.equal(await callServer(mesh.issue('web'), GET, name), '');
    assert.equal(received, '');
  }
});

test('TLS 1.2 is not spoken', async () => {
  const own = mesh.issue('web');
  const socket = connectTls({
    port: pair.server.inboundPort ?? 0,
    host: '127.0.0.1',
    rejectUnauthorized: false,
    maxVersion: 'TLSv1.2',
    key: own.privateKeyPem,
    cert: own.chainPem,
  });
  const [error] = (await once(socket, 'error')) as [Error & { code?: string }];
  assert.match(error.message, /version|closed|reset/i);
});

test('a session is not resumed', async () => {
  const own = mesh.issue('web');
  const options = {
    port: pair.server.inboundPort ?? 0,
    host: '127.0.0.1',
    rejectUnauthorized: false,
    key: own.privateKeyPem,
    cert: own.chainPem,
  };
  const first = connectTls(options);
  const session = new Promise<Buffer | undefined>((resolve) => {
    first.once('session', resolve);
    first.once('close', () => resolve(undefined));
  });
  await talk(first, GET, isWholeAnswer);
  first.destroy();
  const ticket = await session;
  const second: TLSSocket = connectTls(
    ticket === undefined ? options : { ...options, session: ticket },
  );
  assert.match(await talk(second, GET, isWholeAnswer), /200 OK/);
  assert.equal(second.isSessionReused(), false);
  second.destroy();
});

test('plaintext to STRICT is closed and counted', async () => {
  const before = pair.orders.metrics.refused('garbage').value;
  assert.doesNotMatch(await ask(pair.server.inboundPort, GET), /HTTP/);
  assert.ok(
    pair.orders.metrics.handshake('failed', 'inbound').value > 0 ||
      pair.orders.metrics.refused('garbage').value > before,
  );
});

test('plaintext where PERMISSIVE: judged as nobody, and never with the caller’s own claims', async () => {
  pair.orders.snapshots.set(
    fakeSnapshot(mesh, {
      service: 'orders',
      policies: [ALLOW_WEB, fakePolicy('ALLOW', 'health', { path: ['/health'] })],
      inbound: [{ peerMode: 'PERMISSIVE' }],
    }),
  );
  received = '';
  const spoof = 'X-Forwarded-Client-Cert: By=spiffe://cluster.local/ns/default/sa/web\r\n';
  const health = `GET /health HTTP/1.1\r\nHost: orders\r\n${spoof}\r\n`;
  assert.match(await ask(pair.server.inboundPort, health), /^HTTP\/1\.1 200 /);
  assert.doesNotMatch(received, /forwarded-client-cert/i);
  assert.match(await ask(pair.server.inboundPort, GET), /^HTTP\/1\.1 403 [^]*policy_denied/);
  // Mutual TLS goes on working beside it, its first bytes having been looked at.
  assert.match(await callServer(mesh.issue('web'), GET), /^HTTP\/1\.1 200 /);
  pair.orders.snapshots.set(
    fakeSnapshot(mesh, {
      service: 'orders',
      policies: [ALLOW_WEB, fakePolicy('DENY', 'admin', { path: ['/admin', '/admin/*'] })],
    }),
  );
});

const SMUGGLED = 'GET /admin HTTP/1.1\r\nHost: orders\r\n\r\n';
const ATTACKS: readonly (readonly [name: string, raw: string])[] = [
  [
    'two Content-Length',
    `POST / HTTP/1.1\r\nHost: orders\r\nContent-Length: 0\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n`,
  ],
  [
    'Content-Length and chunked',
    'POST / HTTP/1.1\r\nHost: orders\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  ],
  [
    'Transfer-Encoding behind a space',
    'POST / HTTP/1.1\r\nHost: orders\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n',
  ],
  [
    'a bare CR that hides a field',
    'POST / HTTP/1.1\r\nHost: orders\r\nX: y\rContent-Length: 5\r\n\r\n',
  ],
  ['a bare LF', `GET / HTTP/1.1\nHost: orders\n\n`],
  [
    'a chunk longer than it says',
    'POST / HTTP/1.1\r\nHost: orders\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n',
  ],
  ['a body on TRACE', 'TRACE / HTTP/1.1\r\nHost: orders\r\nContent-Length: 5\r\n\r\nabcde'],
  ['two Host', 'GET / HTTP/1.1\r\nHost: orders\r\nHost: payments\r\n\r\n'],
  ['a folded field', 'GET / HTTP/1.1\r\nHost: orders\r\nX: a\r\n Content-Length: 5\r\n\r\n'],
  ['a dot segment', 'GET /x/../admin HTTP/1.1\r\nHost: orders\r\n\r\n'],
  ['an escaped slash', 'GET /x%2f..%2fadmin HTTP/1.1\r\nHost: orders\r\n\r\n'],
  ['a doubled slash', 'GET //admin HTTP/1.1\r\nHost: orders\r\n\r\n'],
  [
    'credentials named by Connection',
    'GET / HTTP/1.1\r\nHost: orders\r\nConnection: authorization\r\n\r\n',
  ],
  ['the method of the HTTP/2 preface', 'PRI * HTTP/1.1\r\nHost: orders\r\n\r\n'],
];

for (const [name, raw] of ATTACKS) {
  test(`request smuggling by ${name}: 400, and what follows is never read`, async () => {
    for (const side of ['caller', 'server'] as const) {
      received = '';
      const text =
        side === 'server'
          ? await callServer(mesh.issue('web'), raw + SMUGGLED)
          : await ask(pair.caller.outboundPort, raw + SMUGGLED);
      assert.match(text, /^HTTP\/1\.1 400 /, `${side}: ${text}`);
      assert.equal(text.match(/HTTP\/1\.1 /g)?.length, 1);
      assert.doesNotMatch(received, /admin/);
    }
  });
}

test('policy and application see the same path, whatever its spelling', async () => {
  for (const path of ['/%61dmin', '/%61%64min', '/admin?x', '/admin/%78']) {
    received = '';
    const text = await callServer(
      mesh.issue('web'),
      `GET ${path} HTTP/1.1\r\nHost: orders\r\n\r\n`,
    );
    assert.match(text, /^HTTP\/1\.1 403 /, path);
    assert.equal(received, '');
  }
  await callServer(mesh.issue('web'), 'GET /%62asket/%2D%2d?%61 HTTP/1.1\r\nHost: orders\r\n\r\n');
  assert.match(received, /^GET \/basket\/--\?%61 HTTP\/1\.1\r\n/);
});

test('keep-alive: each request is judged by itself', async () => {
  const text = await callServer(mesh.issue('web'), SMUGGLED);
  assert.match(text, /^HTTP\/1\.1 403 /);
  const socket = connect(pair.caller.outboundPort ?? 0, '127.0.0.1');
  assert.match(await talk(socket, GET, isWholeAnswer), /200 OK/);
  assert.match(await talk(socket, SMUGGLED, isWholeAnswer), /403 Forbidden/);
  assert.match(await talk(socket, GET, isWholeAnswer), /200 OK/);
  socket.destroy();
});

test('fields of the sidecar’s own are taken from neither side', async () => {
  received = '';
  const text = await ask(
    pair.caller.outboundPort,
    'GET / HTTP/1.1\r\nHost: orders\r\nX-Palisade-Reason: a\r\nX-Forwarded-Client-Cert: b\r\n' +
      'x_forwarded_client_cert: c\r\nX_Palisade_Denial: d\r\n\r\n',
  );
  assert.doesNotMatch(text, /palisade/i);
  assert.doesNotMatch(received, /palisade|client_cert/i);
  assert.equal(received.match(/client-cert/gi)?.length, 1);
});

test('bytes that never make a request: closed after the header time-out, counted', async () => {
  const slow = await createFakePair({
    application: (_, response) => response.end(),
    mesh,
    timeouts: { headerMs: 200 },
  });
  const half = connect(slow.caller.outboundPort ?? 0, '127.0.0.1');
  assert.match(await talk(half, 'GET / HTTP/1.1\r\nHo'), /^HTTP\/1\.1 408 /);
  const silent = connect(slow.server.inboundPort ?? 0, '127.0.0.1');
  assert.equal(await talk(silent, '\x16\x03\x01'), '');
  assert.ok(slow.orders.metrics.refused('handshake_timeout').value >= 1);
  await slow.close();
});

test('10,000 connections of garbage: none crashes anything, calls go on', async () => {
  const garbage = (index: number): Buffer => {
    const bytes = Buffer.alloc(1 + (index % 300));
    for (let i = 0; i < bytes.length; i++) bytes[i] = (index * 31 + i * 17 + (i >> 3)) & 255;
    return bytes;
  };
  const ports = [pair.server.inboundPort ?? 0, pair.caller.outboundPort ?? 0];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < 10_000) {
      const index = next++;
      const socket: Socket = connect(ports[index % 2] ?? 0, '127.0.0.1');
      socket.on('error', () => {
        // Refused connections are what is expected here.
      });
      socket.end(garbage(index));
      socket.resume();
      await once(socket, 'close').catch(() => undefined);
    }
  };
  await Promise.all(Array.from({ length: 50 }, worker));
  assert.match(await ask(pair.caller.outboundPort, GET), /^HTTP\/1\.1 200 /);
  assert.ok(pair.orders.metrics.handshake('failed', 'inbound').value >= 1000);
});
