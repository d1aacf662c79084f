// Peers without HBONE: what becomes of their connections when the server's own certificate is another one.
import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { connect as connectH2 } from 'node:http2';
import { after, before, test } from 'node:test';
import { connect, type TLSSocket } from 'node:tls';
import { bundlePem } from '#identity';
import { createFakeMesh, type FakeMesh } from './fake-mesh.ts';
import { createFakePair, type FakePair, isWholeAnswer, talk } from './fake-pair.ts';

const GET = 'GET / HTTP/1.1\r\nHost: orders\r\n\r\n';
const SLOW = 'GET /slow HTTP/1.1\r\nHost: orders\r\n\r\n';
const CLOSES = /\r\nconnection: close\r\n/i;

let mesh: FakeMesh;
let pair: FakePair;
const application = new EventEmitter();

before(async () => {
  mesh = createFakeMesh();
  pair = await createFakePair({
    mesh,
    transport: 'mtls',
    application(request, response) {
      if (request.url !== '/slow') return response.end('ok');
      application.once('finish', () => response.end('done'));
      application.emit('asked');
    },
  });
});
after(() => pair.close());

/** A peer with an SVID of its own and no sidecar of ours. */
async function peer(alpn?: string): Promise<TLSSocket> {
  const { privateKeyPem, chainPem, bundles } = mesh.issue('web');
  const socket = connect({
    host: '127.0.0.1',
    port: pair.server.inboundPort ?? 0,
    key: privateKeyPem,
    cert: chainPem,
    ca: bundles.map(bundlePem),
    checkServerIdentity: () => undefined,
    ...(alpn === undefined ? {} : { ALPNProtocols: [alpn] }),
  });
  await once(socket, 'secureConnect');
  return socket;
}

function rotate(): string {
  const next = mesh.issue('orders');
  pair.orders.identity.set(next);
  return next.serial.toLowerCase();
}

test('HTTP/1.1: the call under way is finished and ends its connection, an idle one ends with its next call', async () => {
  const busy = await peer();
  const idle = await peer();
  assert.doesNotMatch(await talk(idle, GET, isWholeAnswer), CLOSES);
  const asked = once(application, 'asked');
  const answer = talk(busy, SLOW, isWholeAnswer);
  await asked;
  const serial = rotate();
  application.emit('finish');
  assert.match(await answer, CLOSES);
  assert.match(await answer, /done/);
  const ended = once(idle, 'end');
  const last = await talk(idle, GET, isWholeAnswer);
  assert.match(last, /^HTTP\/1\.1 200 /);
  assert.match(last, CLOSES);
  await ended;
  const fresh = await peer();
  assert.equal(fresh.getPeerCertificate().serialNumber.toLowerCase(), serial);
  assert.doesNotMatch(await talk(fresh, GET, isWholeAnswer), CLOSES);
  for (const socket of [busy, idle, fresh]) socket.destroy();
});

test('HTTP/2: a GOAWAY comes, the stream under way is finished, and the connection ends', async () => {
  const socket = await peer('h2');
  const session = connectH2('http://orders', { createConnection: () => socket });
  session.on('error', () => {
    // Told by what the stream hears.
  });
  const asked = once(application, 'asked');
  const stream = session.request({ ':path': '/slow' });
  await asked;
  const goaway = once(session, 'goaway');
  rotate();
  const [code] = await goaway;
  assert.equal(code, 0);
  application.emit('finish');
  assert.equal((await stream.setEncoding('utf8').toArray()).join(''), 'done');
  await once(session, 'close');
});
