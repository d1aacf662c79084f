import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { before, test } from 'node:test';
import {
  createFakeMesh,
  type FakeMesh,
  fakePolicy,
  fakeService,
  fakeSnapshot,
  fakeWorkload,
} from './fake-mesh.ts';
import {
  ALLOW_WEB,
  ask,
  createFakePair,
  type FakePair,
  type FakePairOptions,
} from './fake-pair.ts';
import { createProxy } from './proxy.ts';
import { serializeFailure, statusOf } from './respond.ts';

let mesh: FakeMesh;
const GET = (target: string, host: string, more = ''): string =>
  `GET ${target} HTTP/1.1\r\nHost: ${host}\r\n${more}\r\n`;

before(() => {
  mesh = createFakeMesh();
});

/** Asks through a pair made for the case; checks status, reason and whether a retry is invited. */
async function check(
  options: Partial<FakePairOptions>,
  raw: string,
  want: { status: number; reason: string; retry?: boolean },
  prepare: (pair: FakePair) => void | Promise<void> = () => {},
): Promise<{ answer: string; pair: FakePair }> {
  const pair = await createFakePair({
    application: (_, response) => response.end('ok'),
    mesh,
    ...options,
  });
  try {
    await prepare(pair);
    const answer = await ask(pair.caller.outboundPort, raw);
    assert.match(answer, new RegExp(`^HTTP/1\\.1 ${want.status} `), answer);
    assert.match(answer, new RegExp(`\\r\\nx-palisade-reason: ${want.reason}\\r\\n`), answer);
    assert.equal(/\r\nretry-after:/.test(answer), want.retry === true, answer);
    return { answer, pair };
  } finally {
    await pair.close();
  }
}

test('denied by policy: 403 with an id that both records carry', async () => {
  const denied = fakePolicy('DENY', 'admin', { path: ['/admin/*'] });
  const { answer, pair } = await check(
    { policies: [ALLOW_WEB, denied] },
    GET('/admin/x', 'orders'),
    { status: 403, reason: 'policy_denied' },
  );
  const id = /\r\nx-palisade-denial: ([0-9a-f]{16})\r\n/.exec(answer)?.[1];
  assert.ok(id);
  assert.match(answer, /content-type: text\/plain/);
  assert.equal(
    answer.slice(answer.indexOf('\r\n\r\n') + 4),
    `policy_denied: denied by policy (${id})\n`,
  );
  const [record] = pair.orders.records;
  assert.equal(record?.denialId, id);
  assert.equal(record?.verdict, 'deny');
  assert.equal(record?.policy, 'default/admin');
  assert.equal(record?.rule, '0');
  assert.equal(pair.web.records[0]?.denialId, id);
  assert.equal(pair.web.records[0]?.reason, 'policy_denied');
  assert.doesNotMatch(answer, /default\/admin|spiffe/);
});

test('denied where the caller accepts JSON: problem+json', async () => {
  const { answer } = await check(
    { policies: [] },
    GET('/', 'orders', 'Accept: application/json\r\n'),
    { status: 403, reason: 'policy_denied' },
  );
  assert.match(answer, /content-type: application\/problem\+json/);
  const problem = JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4)) as Record<
    string,
    unknown
  >;
  assert.equal(problem['status'], 403);
  assert.equal(problem['code'], 'policy_denied');
  assert.match(String(problem['denial']), /^[0-9a-f]{16}$/);
});

test("the caller's certificate is of another trust domain: 403 peer_unauthenticated", async () => {
  const other = createFakeMesh('other.example');
  await check(
    {},
    GET('/', 'orders'),
    { status: 403, reason: 'peer_unauthenticated' },
    // The caller trusts the server's domain, the server does not trust the caller's.
    (pair) =>
      pair.web.identity.set({ ...other.issue('web'), bundles: [mesh.bundle, other.bundle] }),
  );
});

test("the caller's own certificate expired: 403 peer_unauthenticated, nothing is sent", async () => {
  const { pair } = await check(
    {},
    GET('/', 'orders'),
    { status: 403, reason: 'peer_unauthenticated' },
    (pair) => pair.web.identity.set(mesh.issue('web', { fromMs: -7_200_000, forMs: 3_600_000 })),
  );
  assert.equal(pair.orders.records.length, 0);
});

test('no snapshot at the server: 403 cannot_decide', async () => {
  await check({}, GET('/', 'orders'), { status: 403, reason: 'cannot_decide' }, (pair) =>
    pair.orders.snapshots.set(undefined),
  );
});

test('no snapshot at the caller: 403 cannot_decide', async () => {
  await check({}, GET('/', 'orders'), { status: 403, reason: 'cannot_decide' }, (pair) =>
    pair.web.snapshots.set(undefined),
  );
});

test('too stale where staleness denies: 403 cannot_decide and not ready; where it enforces: 200', async () => {
  for (const [then, status] of [
    ['deny', 403],
    ['enforce', 200],
  ] as const) {
    const snapshot = fakeSnapshot(mesh, {
      service: 'orders',
      policies: [ALLOW_WEB],
      // oxlint-disable-next-line unicorn/no-thenable -- the snapshot's own field name
      staleness: { budgetMs: 1000, then },
    });
    const orders = fakeWorkload(snapshot, mesh.issue('orders'));
    const pair = await createFakePair({ application: (_, response) => response.end('ok'), mesh });
    const server = await createProxy(
      orders.options({
        appPort: pair.appPort,
        heardAt: () => Date.now() - 5000,
        listen: { inbound: { host: '127.0.0.1', port: 0 }, outbound: undefined, upstreams: [] },
      }),
    );
    const caller = await createProxy(
      pair.web.options({
        endpoints: () => [{ host: '127.0.0.1', port: server.inboundPort ?? 0 }],
        listen: { inbound: undefined, outbound: { host: '127.0.0.1', port: 0 }, upstreams: [] },
      }),
    );
    const answer = await ask(caller.outboundPort, GET('/', 'orders'));
    assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `));
    assert.equal(server.ready().ready, then === 'enforce');
    await Promise.all([server.close(), caller.close(), pair.close()]);
  }
});

test('the server is not the service: 503 upstream_identity_mismatch, and not a byte reached it', async () => {
  const { pair } = await check({ serverAccount: 'intruder' }, GET('/', 'orders'), {
    status: 503,
    reason: 'upstream_identity_mismatch',
  });
  assert.equal(pair.orders.records.length, 0);
});

test('the server is of another trust domain: 503 upstream_identity_mismatch', async () => {
  const other = createFakeMesh('other.example');
  await check(
    {},
    GET('/', 'orders'),
    { status: 503, reason: 'upstream_identity_mismatch' },
    (pair) => pair.orders.identity.set(other.issue('orders')),
  );
});

test('unknown names: 404 no_such_service', async () => {
  for (const host of [
    'nobody',
    'example.com',
    'orders:81',
    'nobody.default.svc.cluster.local',
    '1.2.3.4',
  ]) {
    await check({}, GET('/', host), { status: 404, reason: 'no_such_service' });
  }
});

test('no endpoint: 503 no_healthy_endpoint, retry invited', async () => {
  const web = fakeWorkload(
    fakeSnapshot(mesh, { service: 'web', upstreams: [fakeService(mesh, 'orders')] }),
    mesh.issue('web'),
  );
  const proxy = await createProxy(
    web.options({
      listen: { inbound: undefined, outbound: { host: '127.0.0.1', port: 0 }, upstreams: [] },
    }),
  );
  const answer = await ask(proxy.outboundPort, GET('/', 'orders'));
  assert.match(
    answer,
    /^HTTP\/1\.1 503 [^]*x-palisade-reason: no_healthy_endpoint\r\nretry-after: 1\r\n/,
  );
  assert.equal(web.records[0]?.about['destination.service'], 'orders');
  await proxy.close();
});

test('server proxy not listening: 503 upstream_connect_failed, retry invited', async () => {
  await check(
    {},
    GET('/', 'orders'),
    { status: 503, reason: 'upstream_connect_failed', retry: true },
    (pair) => pair.server.close(),
  );
});

test('application not listening: 503 upstream_connect_failed, retry invited', async () => {
  await check({ application: { port: 1 } }, GET('/', 'orders'), {
    status: 503,
    reason: 'upstream_connect_failed',
    retry: true,
  });
});

test('no TLS at the endpoint: 503 upstream_tls_failed, no retry', async () => {
  const plain = createServer((socket) => socket.end('HTTP/1.1 200 OK\r\n\r\n'));
  await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve));
  const address = plain.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const web = fakeWorkload(
    fakeSnapshot(mesh, { service: 'web', upstreams: [fakeService(mesh, 'orders')] }),
    mesh.issue('web'),
  );
  const proxy = await createProxy(
    web.options({
      endpoints: () => [{ host: '127.0.0.1', port }],
      listen: { inbound: undefined, outbound: { host: '127.0.0.1', port: 0 }, upstreams: [] },
    }),
  );
  const answer = await ask(proxy.outboundPort, GET('/', 'orders'));
  assert.match(answer, /^HTTP\/1\.1 503 [^]*x-palisade-reason: upstream_tls_failed\r\n/);
  assert.doesNotMatch(answer, /retry-after/);
  await proxy.close();
  plain.close();
});

test('application silent: 504 upstream_timeout', async () => {
  await check({ application: () => {}, timeouts: { responseMs: 150 } }, GET('/', 'orders'), {
    status: 504,
    reason: 'upstream_timeout',
  });
});

test('application breaks off or answers malformed: 502 upstream_failed, never a retry', async () => {
  await check({ application: (request) => request.socket.destroy() }, GET('/', 'orders'), {
    status: 502,
    reason: 'upstream_failed',
  });
  for (const answer of [
    'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n',
    'garbage\r\n\r\n',
  ]) {
    await check({ application: (request) => request.socket.end(answer) }, GET('/', 'orders'), {
      status: 502,
      reason: 'upstream_failed',
    });
  }
});

test('malformed and oversized requests: 400 and 431', async () => {
  await check({}, 'GET / HTTP/1.1\r\n\r\n', { status: 400, reason: 'bad_request' });
  await check({}, GET('/a/../b', 'orders'), { status: 400, reason: 'bad_request' });
  await check({}, 'CONNECT orders HTTP/1.1\r\nHost: orders\r\n\r\n', {
    status: 400,
    reason: 'bad_request',
  });
  await check({}, GET('/', 'orders', 'Upgrade: TLS/1.0\r\nConnection: Upgrade\r\n'), {
    status: 400,
    reason: 'bad_request',
  });
  await check({}, GET('/', 'orders', `X: ${'y'.repeat(66_000)}\r\n`), {
    status: 431,
    reason: 'too_large',
  });
});

test('every failure has a status, and only two of them invite a retry', () => {
  const retried = (
    [
      'policy_denied',
      'peer_unauthenticated',
      'cannot_decide',
      'upstream_identity_mismatch',
      'no_such_service',
      'no_healthy_endpoint',
      'upstream_connect_failed',
      'upstream_tls_failed',
      'upstream_timeout',
      'upstream_failed',
      'request_timeout',
      'bad_request',
      'too_large',
    ] as const
  ).filter((kind) => {
    const text = serializeFailure(
      { kind },
      { json: false, headOnly: false, close: false },
    ).toString();
    assert.ok(text.startsWith(`HTTP/1.1 ${statusOf(kind)} `));
    return text.includes('retry-after');
  });
  assert.deepEqual(retried, ['no_healthy_endpoint', 'upstream_connect_failed']);
});
