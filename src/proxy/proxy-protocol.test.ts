import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { afterEach, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { type Cidr, parseCidr } from '#lib';
import type { InboundPort } from '#snapshot';
import { createFakeMesh, fakePolicy } from './fake-mesh.ts';
import { createFakePair, type FakePair, isWholeAnswer, talk } from './fake-pair.ts';

const LOOPBACK = block('127.0.0.0/8');
const ELSEWHERE = block('192.0.2.0/24');
const HEADER = 'PROXY TCP4 203.0.113.9 10.0.0.1 40000 443\r\n';
const GET = 'GET / HTTP/1.1\r\nHost: orders\r\n\r\n';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

function block(text: string): Cidr {
  const parsed = parseCidr(text);
  assert.ok(parsed.ok);
  return parsed.value;
}

/** A server that lets in whoever a balancer connected for from 203.0.113.0/24. */
async function open(...ports: readonly Partial<InboundPort>[]): Promise<FakePair> {
  const mesh = createFakeMesh();
  const pair = await createFakePair({
    mesh,
    application: (_request, response) => response.end('in'),
    inbound: ports,
    policies: [fakePolicy('ALLOW', 'clients', { remoteIp: ['203.0.113.0/24'] })],
  });
  closers.push(() => pair.close());
  return pair;
}

const plain = (pair: FakePair): Socket => connect(pair.server.inboundPort ?? 0, '127.0.0.1');

/** The status that a request gets, or `closed`. */
async function ask(socket: Socket, raw: string): Promise<string> {
  const text = await talk(socket, raw, isWholeAnswer);
  socket.destroy();
  return text === '' ? 'closed' : text.slice(9, 12);
}

function refusals(pair: FakePair, kind: string): number {
  return pair.orders.metrics.refused(kind).value;
}

test('a declared balancer’s word is the address that policy sees as remote.ip', async () => {
  const pair = await open({ proxyProtocolFrom: [LOOPBACK], peerMode: 'PERMISSIVE' });
  assert.equal(await ask(plain(pair), HEADER + GET), '200');
  const stranger = HEADER.replace('203.0.113.9', '198.51.100.9');
  assert.equal(await ask(plain(pair), stranger + GET), '403');
  // The balancer itself, as in its health checks, is not one of its clients.
  assert.equal(await ask(plain(pair), `PROXY UNKNOWN\r\n${GET}`), '403');
  assert.equal(pair.orders.records[0]?.about['source.ip'], '127.0.0.1');
});

test('the header comes before TLS, and both are read whatever pieces they come in', async () => {
  const pair = await open({ proxyProtocolFrom: [LOOPBACK] });
  const raw = plain(pair).setNoDelay(true);
  for (const byte of Buffer.from(HEADER)) {
    raw.write(Buffer.of(byte));
    await new Promise(setImmediate);
  }
  const caller = pair.mesh.issue('web');
  const tls = connectTls({
    socket: raw,
    key: caller.privateKeyPem,
    cert: caller.chainPem,
    rejectUnauthorized: false,
  });
  await new Promise<void>((resolve) => tls.once('secureConnect', () => resolve()));
  assert.equal(await ask(tls, GET), '200');
  assert.match(`${pair.orders.records[0]?.about['source.id']}`, /\/sa\/web$/);
});

test('a peer’s tunnel brings no header, even from where balancers are', async () => {
  const mesh = createFakeMesh();
  const pair = await createFakePair({
    mesh,
    application: (_request, response) => response.end('in'),
    inbound: [{ proxyProtocolFrom: [LOOPBACK] }],
  });
  closers.push(() => pair.close());
  assert.equal(await ask(connect(pair.caller.outboundPort ?? 0, '127.0.0.1'), GET), '200');
});

test('spoofing: where no header was declared, none is accepted', async () => {
  const undeclared = await open({ peerMode: 'PERMISSIVE' });
  assert.equal(await ask(plain(undeclared), HEADER + GET), '400');
  const others = await open({ proxyProtocolFrom: [ELSEWHERE], peerMode: 'PERMISSIVE' });
  assert.equal(await ask(plain(others), HEADER + GET), '400');
  const strict = await open({ proxyProtocolFrom: [ELSEWHERE] });
  assert.equal(await ask(plain(strict), HEADER + GET), 'closed');
});

test('spoofing: a header for one port does not count at another', async () => {
  const pair = await open(
    { port: 80, proxyProtocolFrom: [LOOPBACK] },
    { port: 81, name: 'internal' },
  );
  const raw = plain(pair);
  raw.write(HEADER);
  const caller = pair.mesh.issue('web');
  const tls = connectTls({
    socket: raw,
    key: caller.privateKeyPem,
    cert: caller.chainPem,
    servername: 'outbound_.81_._.orders.default.svc.cluster.local',
    rejectUnauthorized: false,
  });
  tls.on('error', () => {
    // It is being refused.
  });
  await new Promise<void>((resolve) => tls.once('close', () => resolve()));
  assert.equal(refusals(pair, 'proxy_header_refused'), 1);
});

test('a declared balancer that sends no header, or a bad one, is refused and counted', async () => {
  const pair = await open({ proxyProtocolFrom: [LOOPBACK], peerMode: 'PERMISSIVE' });
  assert.equal(await ask(plain(pair), GET), 'closed');
  assert.equal(refusals(pair, 'not_proxy_header'), 1);
  assert.equal(await ask(plain(pair), HEADER.replace('TCP4', 'TCP5') + GET), 'closed');
  assert.equal(refusals(pair, 'bad_proxy_header'), 1);
  assert.equal(await ask(plain(pair), `PROXY UNKNOWN ${'x'.repeat(200)}`), 'closed');
  assert.equal(refusals(pair, 'proxy_header_too_large'), 1);
});
