// What the other end of a tunnel answers to CONNECT, where it is no sidecar of ours: as ztunnel and Envoy's waypoints do.
import assert from 'node:assert/strict';
import { createSecureServer, type Http2SecureServer, connect as http2Connect } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import { after, before, beforeEach, test } from 'node:test';
import { createFakeMesh, type FakeMesh, fakeService } from './fake-mesh.ts';
import { ask, createFakePair, type FakePair, talk } from './fake-pair.ts';

const GET = 'GET / HTTP/1.1\r\nHost: orders\r\n\r\n';
const POST = 'POST / HTTP/1.1\r\nHost: orders\r\nContent-Length: 2\r\n\r\nhi';

type Answer = { readonly status: number; readonly reason?: string };

let mesh: FakeMesh;
let pair: FakePair;
let answer: Answer = { status: 200 };
/** Authorities that the refusing end was asked for. */
let asked: string[] = [];
let served: string[] = [];
let refusing: Http2SecureServer;

before(async () => {
  mesh = createFakeMesh();
  const { privateKeyPem: key, chainPem: cert } = mesh.issue('orders');
  const tls = { key, cert, requestCert: true, rejectUnauthorized: false };
  refusing = createSecureServer({ ...tls, minVersion: 'TLSv1.3' });
  refusing.on('stream', (stream, headers) => {
    asked.push(`${headers[':authority']}`);
    stream.on('error', () => undefined);
    const reason = answer.reason === undefined ? {} : { 'x-palisade-reason': answer.reason };
    stream.respond({ ':status': answer.status, ...reason }, { endStream: true });
  });
  await new Promise<void>((resolve) => refusing.listen(0, '127.0.0.1', resolve));
  const hbonePort = (refusing.address() as AddressInfo).port;
  pair = await createFakePair({
    mesh,
    application(request, response) {
      served.push(`${request.method}`);
      request.resume().on('end', () => response.end('ok'));
    },
    service: fakeService(mesh, 'orders', {
      ports: [
        { port: 80, name: 'http', protocol: 'http' },
        { port: 90, name: 'tcp', protocol: 'tcp' },
        { port: 100, name: 'h2', protocol: 'http2' },
      ],
    }),
    endpoints: () => endpoints,
    upstreams: [{ service: 'orders', port: 90, localPort: 0 }],
  });
  endpoints.push({ host: '127.0.0.1', port: 8080, hbonePort, authority: '127.0.0.1:8080' });
});
const endpoints: { host: string; port: number; hbonePort: number; authority: string }[] = [];
beforeEach(() => {
  asked = [];
  served = [];
});
after(async () => {
  await pair.close();
  refusing.close();
});

async function check(
  given: Answer,
  request: string,
  want: { readonly status: number; readonly reason: string },
): Promise<void> {
  answer = given;
  asked = [];
  const text = await ask(pair.caller.outboundPort, request);
  const [, status] = /^HTTP\/1\.1 (\d+)/.exec(text) ?? [];
  const [, reason] = /x-palisade-reason: (\w+)/.exec(text) ?? [];
  assert.deepEqual({ status: Number(status), reason }, want, JSON.stringify(given));
  assert.deepEqual(asked, ['127.0.0.1:8080'], 'asked once, by the endpoint’s own name');
  assert.equal(pair.web.records.at(-1)?.reason, want.reason);
}

test('a refused CONNECT is a denial, or no connection, and never a broken answer', async () => {
  const denied = { status: 403, reason: 'policy_denied' };
  const failed = { status: 503, reason: 'upstream_connect_failed' };
  for (const request of [GET, POST]) {
    // ztunnel's RBAC, and Envoy's.
    await check({ status: 401 }, request, denied);
    await check({ status: 403 }, request, denied);
    // ztunnel: not its address; no such service or no connection to the workload.
    await check({ status: 400 }, request, failed);
    await check({ status: 503 }, request, failed);
    // Sidecars of ours.
    await check({ status: 404 }, request, failed);
    await check({ status: 403, reason: 'cannot_decide' }, request, {
      status: 403,
      reason: 'cannot_decide',
    });
    await check({ status: 503, reason: '<script>' }, request, failed);
  }
  assert.deepEqual(served, []);
});

test('a TCP caller is reset, and the record says why', async () => {
  answer = { status: 401 };
  const [port = 0] = pair.caller.upstreamPorts;
  const before = pair.web.records.length;
  assert.equal(await talk(connect(port, '127.0.0.1'), 'hello'), '');
  while (pair.web.records.length === before) await new Promise(setImmediate);
  assert.equal(pair.web.records.at(-1)?.reason, 'policy_denied');
});

test('HTTP/2 is told the same', async () => {
  answer = { status: 401 };
  const session = http2Connect(`http://127.0.0.1:${pair.caller.outboundPort}`);
  const stream = session.request({ ':path': '/', ':authority': 'orders:100' });
  const headers = await new Promise<Record<string, unknown>>((resolve) =>
    stream.once('response', resolve),
  );
  assert.equal(headers[':status'], 403);
  assert.equal(headers['x-palisade-reason'], 'policy_denied');
  session.destroy();
});

test('what could not be connected goes on to another endpoint; what was denied does not', async () => {
  const good = {
    host: '127.0.0.1',
    port: pair.server.inboundPort ?? 0,
    hbonePort: pair.server.hbonePort ?? 0,
  };
  const [bad] = endpoints;
  const both = await createFakePair({
    mesh,
    application: { port: pair.appPort },
    endpoints: () => [good, ...(bad === undefined ? [] : [bad])],
  });
  answer = { status: 503 };
  for (let i = 0; i < 12; i++)
    assert.match(await ask(both.caller.outboundPort, GET), /^HTTP\/1\.1 200 /);
  assert.ok(asked.length > 0, 'the refusing one was tried');
  await both.close();
  const denying = await createFakePair({
    mesh,
    application: { port: pair.appPort },
    endpoints: () => [good, ...(bad === undefined ? [] : [bad])],
  });
  answer = { status: 401 };
  asked = [];
  const answers: string[] = [];
  for (let i = 0; i < 30; i++)
    answers.push((await ask(denying.caller.outboundPort, GET)).slice(9, 12));
  assert.equal(answers.filter((status) => status === '403').length, asked.length);
  assert.ok(asked.length > 0);
  await denying.close();
});
