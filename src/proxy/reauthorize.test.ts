import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { connect, createServer, type Server } from 'node:net';
import { after, before, test } from 'node:test';
import type { RevocationCheck } from '#identity';
import { createCell } from '#lib';
import { createFakeMesh, type FakeMesh, fakeService, fakeSnapshot } from './fake-mesh.ts';
import {
  ALLOW_WEB,
  closeOf,
  createFakePair,
  type FakePair,
  isWholeAnswer,
  talk,
} from './fake-pair.ts';

const TCP = [{ port: 6379, name: 'redis', protocol: 'tcp' }] as const;
const GET = 'GET / HTTP/1.1\r\nHost: orders\r\n\r\n';
/** What the proxy may take to cut what may no longer be. */
const WITHIN_MS = 100;
const REVOKED = { code: 'revoked', message: 'revoked' };

let mesh: FakeMesh;
let echo: Server;

before(async () => {
  mesh = createFakeMesh();
  echo = createServer((socket) => {
    socket.on('error', () => {
      // Sessions are cut in these tests.
    });
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => echo.listen(0, '127.0.0.1', resolve));
});
after(() => echo.close());

type Revocations = ReturnType<typeof createCell<RevocationCheck | undefined>>;

function tcpPair(
  revocations: { readonly web?: Revocations; readonly orders?: Revocations } = {},
): Promise<FakePair> {
  return createFakePair({
    application: { port: (echo.address() as { port: number }).port },
    mesh,
    inbound: TCP,
    service: fakeService(mesh, 'orders', { ports: TCP }),
    upstreams: [{ service: 'orders', localPort: 0 }],
    revocations,
  });
}

/** Answers each request when `finish` is emitted. */
async function waitingPair(
  revocations: { readonly web?: Revocations; readonly orders?: Revocations } = {},
): Promise<{ readonly pair: FakePair; readonly application: EventEmitter }> {
  const application = new EventEmitter();
  const pair = await createFakePair({
    application(_, response) {
      application.once('finish', () => response.end('done'));
      application.emit('request');
    },
    mesh,
    revocations,
  });
  return { pair, application };
}

async function closedWithin(closed: Promise<unknown>, since: number): Promise<void> {
  await closed;
  const took = performance.now() - since;
  assert.ok(took < WITHIN_MS, `${took} ms`);
}

function denyAll(pair: FakePair, requests: 'finish' | 'cut', withinMs = 5_000): void {
  const reauthorization = { requests, withinMs };
  pair.orders.snapshots.set(
    fakeSnapshot(mesh, { service: 'orders', policies: [], reauthorization }),
  );
}

/** What was cut can be asked about: by an id, and by what denied it, not by what had allowed it. */
function explained(pair: FakePair): void {
  const record = pair.orders.records[0];
  assert.deepEqual([record?.verdict, record?.reason], ['deny', 'policy_denied']);
  assert.match(record?.denialId ?? '', /^[0-9a-f]{16}$/);
  assert.deepEqual([record?.policy, record?.rule], [null, null]);
}

function revokeSerial(serial: string | undefined): RevocationCheck {
  return (svid) => (svid.serial === serial ? REVOKED : undefined);
}

test('a plain request under way finishes although policy no longer allows it, the next one is denied', async () => {
  const { pair, application } = await waitingPair();
  const socket = connect(pair.caller.outboundPort ?? 0, '127.0.0.1');
  const arrived = once(application, 'request');
  const answer = talk(socket, GET, isWholeAnswer);
  await arrived;
  denyAll(pair, 'finish');
  application.emit('finish');
  assert.match(await answer, /^HTTP\/1\.1 200 [^]*done$/);
  assert.equal(pair.orders.metrics.reauthorized('finish').value, 1);
  assert.match(await talk(socket, GET, isWholeAnswer), /^HTTP\/1\.1 403 /);
  socket.destroy();
  await pair.close();
});

test('a plain request that does not finish within the grace is cut', async () => {
  const { pair, application } = await waitingPair();
  const socket = connect(pair.caller.outboundPort ?? 0, '127.0.0.1');
  const arrived = once(application, 'request');
  const answer = talk(socket, GET, isWholeAnswer);
  await arrived;
  denyAll(pair, 'finish', 150);
  const text = await answer;
  assert.doesNotMatch(text, /200/);
  explained(pair);
  socket.destroy();
  await pair.close();
});

test('a plain request is cut within 100 ms where the Mesh says so', async () => {
  const { pair, application } = await waitingPair();
  const socket = connect(pair.caller.outboundPort ?? 0, '127.0.0.1');
  const arrived = once(application, 'request');
  const answer = talk(socket, GET, isWholeAnswer);
  await arrived;
  const since = performance.now();
  denyAll(pair, 'cut');
  await closedWithin(answer, since);
  explained(pair);
  assert.equal(pair.orders.metrics.reauthorized('cut').value, 1);
  socket.destroy();
  await pair.close();
});

test('a TCP session is cut within 100 ms, whatever the Mesh says of requests', async () => {
  const pair = await tcpPair();
  const socket = connect(pair.caller.upstreamPorts[0] ?? 0, '127.0.0.1');
  await talk(socket, 'A', (text) => text === 'A');
  const closed = closeOf(socket);
  socket.resume();
  const since = performance.now();
  denyAll(pair, 'finish');
  await closedWithin(closed, since);
  explained(pair);
  await pair.close();
});

test('attack: the sessions of a stolen certificate end within 100 ms of its revocation, and it opens no other', async () => {
  const orders: Revocations = createCell<RevocationCheck | undefined>(undefined);
  const pair = await tcpPair({ orders });
  const port = pair.caller.upstreamPorts[0] ?? 0;
  const socket = connect(port, '127.0.0.1');
  await talk(socket, 'A', (text) => text === 'A');
  const closed = closeOf(socket);
  socket.resume();
  // Of somebody else: nothing happens.
  orders.set(revokeSerial('00'));
  assert.equal(pair.orders.metrics.reauthorized('cut').value, 0);
  const since = performance.now();
  orders.set(revokeSerial(pair.web.identity.current()?.serial));
  await closedWithin(closed, since);
  assert.equal(pair.orders.records[0]?.reason, 'peer_unauthenticated');
  assert.equal(await talk(connect(port, '127.0.0.1'), 'B'), '');
  // The rotated one counts.
  pair.web.identity.set(mesh.issue('web'));
  const again = connect(port, '127.0.0.1');
  assert.equal(await talk(again, 'C', (text) => text === 'C'), 'C');
  again.destroy();
  await pair.close();
});

test('attack: a revoked caller’s request under way gets no grace', async () => {
  const orders: Revocations = createCell<RevocationCheck | undefined>(undefined);
  const { pair, application } = await waitingPair({ orders });
  const socket = connect(pair.caller.outboundPort ?? 0, '127.0.0.1');
  const arrived = once(application, 'request');
  const answer = talk(socket, GET, isWholeAnswer);
  await arrived;
  orders.set((svid) => (svid.id.serviceAccount === 'web' ? REVOKED : undefined));
  application.emit('finish');
  assert.doesNotMatch(await answer, /200/);
  assert.equal(pair.orders.records[0]?.reason, 'peer_unauthenticated');
  socket.destroy();
  await pair.close();
});

test('attack: a revoked server gets no further byte, on kept connections and on new ones', async () => {
  const web: Revocations = createCell<RevocationCheck | undefined>(undefined);
  const { pair, application } = await waitingPair({ web });
  const socket = connect(pair.caller.outboundPort ?? 0, '127.0.0.1');
  const arrived = once(application, 'request');
  const answer = talk(socket, GET, isWholeAnswer);
  await arrived;
  application.emit('finish');
  assert.match(await answer, /^HTTP\/1\.1 200 /);
  web.set(revokeSerial(pair.orders.identity.current()?.serial));
  assert.match(await talk(socket, GET, isWholeAnswer), /upstream_identity_mismatch/);
  assert.equal(pair.orders.records.length, 1);
  socket.destroy();
  await pair.close();
});

test('attack: a server whose root was withdrawn is cut while it answers', async () => {
  const { pair, application } = await waitingPair();
  const socket = connect(pair.caller.outboundPort ?? 0, '127.0.0.1');
  const arrived = once(application, 'request');
  const answer = talk(socket, GET, isWholeAnswer);
  await arrived;
  const since = performance.now();
  pair.web.identity.set({ ...mesh.issue('web'), bundles: [createFakeMesh().bundle] });
  await closedWithin(answer, since);
  assert.equal(pair.web.records[0]?.reason, 'upstream_identity_mismatch');
  socket.destroy();
  await pair.close();
});

test('a request that is allowed again before its grace is over goes on', async () => {
  const { pair, application } = await waitingPair();
  const socket = connect(pair.caller.outboundPort ?? 0, '127.0.0.1');
  const arrived = once(application, 'request');
  const answer = talk(socket, GET, isWholeAnswer);
  await arrived;
  denyAll(pair, 'finish', 120);
  pair.orders.snapshots.set(fakeSnapshot(mesh, { service: 'orders', policies: [ALLOW_WEB] }));
  setTimeout(() => application.emit('finish'), 300);
  assert.match(await answer, /^HTTP\/1\.1 200 /);
  socket.destroy();
  await pair.close();
});
