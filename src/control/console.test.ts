import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { listenConsole } from './console-listener.ts';
import { type Fixture, serviceResource, startFixture } from './control-fixture.ts';

let mesh: Fixture;
before(async () => {
  mesh = await startFixture();
});
after(() => mesh.close());

function tokenPath(): string {
  const link = mesh.control().signInLink();
  assert.ok(link);
  const url = new URL(link);
  assert.equal(url.host, `127.0.0.1:${mesh.control().consolePort}`);
  return `${url.pathname}${url.search}`;
}

async function signIn(): Promise<string> {
  const answer = await mesh.console('GET', tokenPath());
  assert.equal(answer.status, 303, answer.text);
  assert.equal(answer.headers.location, '/');
  const [cookie = ''] = answer.headers['set-cookie'] ?? [];
  assert.match(cookie, /HttpOnly/);
  assert.match(cookie, /SameSite=Strict/);
  return cookie.split(';')[0] ?? '';
}

test('a link signs in once, and what it opens only reads', async () => {
  const cookie = await signIn();
  const { json: session } = await mesh.console('GET', '/api/v1/session', { cookie });
  assert.deepEqual([session.kind, session.readOnly], ['console', true]);
  assert.equal((await mesh.console('GET', '/api/v1/overview', { cookie })).status, 200);
  const origin = `http://127.0.0.1:${mesh.control().consolePort}`;
  const write = await mesh.console('POST', '/api/v1/policy-sets/default/commits', {
    cookie,
    origin,
  });
  assert.deepEqual([write.status, write.json.code], [403, 'read_only']);
  const link = await mesh.console('POST', '/api/v1/console/links', { cookie, origin });
  assert.equal(link.json.code, 'read_only');
  assert.notEqual((await mesh.console('POST', '/api/v1/check', { cookie, origin })).status, 403);
  await mesh.console('POST', '/sign-out', { cookie, origin });
  assert.equal((await mesh.console('GET', '/api/v1/session', { cookie })).status, 401);
});

test('without the cookie there is nothing to read but the pages themselves', async () => {
  for (const path of [
    '/api/v1/mesh',
    '/api/v1/events',
    '/api/v1/records',
    '/metrics',
    '/api/openapi.json',
  ]) {
    assert.equal((await mesh.console('GET', path)).status, 401, path);
    assert.equal(
      (await mesh.console('GET', path, { cookie: 'palisade_console=guess' })).status,
      401,
      path,
    );
  }
  for (const path of ['/', '/map', '/denials/1234']) {
    const page = await mesh.console('GET', path);
    assert.deepEqual(
      [page.status, page.text],
      [200, '<!doctype html><title>console</title>'],
      path,
    );
  }
});

test('attack: a sign-in link is used a second time, or guessed', async () => {
  const path = tokenPath();
  assert.equal((await mesh.console('HEAD', path)).status, 204);
  assert.equal((await mesh.console('GET', path)).status, 303);
  const replayed = await mesh.console('GET', path);
  assert.deepEqual([replayed.status, replayed.headers['set-cookie']], [403, undefined]);
  for (const guess of ['/sign-in', '/sign-in?token=', '/sign-in?token=AAAA']) {
    assert.equal((await mesh.console('GET', guess)).status, 403, guess);
  }
});

test('attack: a name that was rebound to loopback, and pages of other sites', async () => {
  const cookie = await signIn();
  const port = mesh.control().consolePort;
  const good = `127.0.0.1:${port}`;
  const cases = [
    [421, 'GET', { host: `evil.example:${port}` }],
    [421, 'GET', { host: '127.0.0.1' }],
    [421, 'GET', { host: `127.0.0.1.evil.example:${port}` }],
    [403, 'POST', { host: good }],
    [403, 'POST', { host: good, origin: 'http://evil.example' }],
    [403, 'POST', { host: good, origin: `http://127.0.0.1:${Number(port) + 1}` }],
    [403, 'POST', { host: good, origin: 'null' }],
    [403, 'GET', { host: good, 'sec-fetch-site': 'cross-site' }],
    [403, 'GET', { host: good, 'sec-fetch-site': 'same-site' }],
    [200, 'GET', { host: good, 'sec-fetch-site': 'same-origin' }],
    [200, 'GET', { host: `localhost:${port}` }],
  ] as const;
  for (const [status, method, headers] of cases) {
    const path = method === 'GET' ? '/api/v1/mesh' : '/api/v1/check';
    const answer = await mesh.console(method, path, { cookie, ...headers });
    assert.equal(answer.status, status, JSON.stringify(headers));
  }
});

test('attack: paths that lead out of the assets', async () => {
  const paths = [
    '/../secret.txt',
    '/assets/../../secret.txt',
    '/%2e%2e/secret.txt',
    '/assets/%2e%2e%2f%2e%2e%2fsecret.txt',
    '/.hidden',
    '/assets/none.js',
  ];
  for (const path of paths) {
    const answer = await mesh.console('GET', path);
    assert.notEqual(answer.text, 'not below the assets', path);
    assert.ok(
      answer.status === 404 || answer.text.includes('<title>console'),
      `${path}: ${answer.status}`,
    );
  }
  const script = await mesh.console('GET', '/assets/app-Czs0xIVY.js');
  assert.match(script.headers['content-type'] ?? '', /^text\/javascript/);
  assert.match(script.headers['cache-control'] ?? '', /immutable/);
});

test('every answer says that it is not to be framed, sniffed or referred to', async () => {
  const cookie = await signIn();
  for (const path of [
    '/',
    '/api/v1/mesh',
    '/api/v1/nothing',
    '/sign-in?token=x',
    '/assets/none.js',
  ]) {
    const { headers } = await mesh.console('GET', path, { cookie });
    const policy = headers['content-security-policy'] ?? '';
    assert.match(String(policy), /default-src 'self'.*frame-ancestors 'none'/, path);
    assert.doesNotMatch(String(policy), /unsafe/);
    assert.deepEqual(
      [headers['x-content-type-options'], headers['referrer-policy']],
      ['nosniff', 'no-referrer'],
    );
  }
});

test('the console is not served beyond loopback', async () => {
  await assert.rejects(
    listenConsole({
      host: '0.0.0.0',
      port: 0,
      onRefused: () => {},
      context: {} as never,
      createApi: () => ({}) as never,
      assets: undefined,
    }),
    /loopback only/,
  );
});

test('garbage on every port is closed and counted, and nothing else happens', async () => {
  const { apiPort, grpcPort, consolePort } = mesh.control();
  const garbage = [
    Buffer.from('GET / HTTP/9.9\r\n\r\n'),
    Buffer.from([0x16, 3, 1, 0xff, 0xff, ...Array.from({ length: 300 }, (_, i) => i & 255)]),
    Buffer.alloc(200_000, 0x41),
    Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  ];
  for (const port of [apiPort, grpcPort, consolePort ?? 0]) {
    for (const bytes of garbage) {
      const socket = connect(port, '127.0.0.1');
      socket.on('error', () => {
        // A reset is one way of closing.
      });
      socket.write(bytes);
      socket.resume();
      await new Promise((resolve) => socket.once('close', resolve));
    }
  }
  const { text } = await mesh.call('GET', '/metrics');
  for (const port of ['api', 'grpc', 'console']) {
    const count = new RegExp(
      `palisade_control_connections_refused_total\\{port="${port}"\\} (\\d+)`,
    ).exec(text);
    assert.ok(Number(count?.[1]) >= 2, `${port}: ${count?.[1]}`);
  }
  const applied = await mesh.apply('alive', { 'Service/a': serviceResource('alive', 'a') });
  assert.equal(applied.status, 201);
});
