import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { after, before, suite, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { createProxyMetrics, createSilentLog } from '#telemetry';
import { createFakeIssuer } from './fake-issuer.ts';
import { createFakeMesh } from './fake-mesh.ts';
import { fetchJwks } from './jwks-fetch.ts';
import { type JwksStore, TokenKeys } from './token-keys.ts';

const issuer = createFakeIssuer();

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

// One address for each way in which an issuer may misbehave.
const HANDLERS: Readonly<Record<string, Handler>> = {
  '/good': (_request, response) => response.end(issuer.jwks),
  '/hangs': () => {
    // Never answers.
  },
  '/drips': (_request, response) => {
    response.write('{"keys": [');
    const timer = setInterval(() => response.write(' '), 20);
    response.on('close', () => clearInterval(timer));
  },
  '/redirects': (_request, response) => response.writeHead(302, { location: '/good' }).end(),
  '/large': (_request, response) => {
    const chunk = Buffer.alloc(1024 * 1024, ' ');
    let sent = 0;
    const more = (): void => {
      while (sent < 50) {
        sent++;
        if (!response.write(chunk)) return void response.once('drain', more);
      }
      response.end();
    };
    more();
  },
  '/html': (_request, response) =>
    response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><p>Sign in'),
  '/encoded': (_request, response) =>
    response.writeHead(200, { 'content-encoding': 'gzip' }).end('bomb'),
  '/breaks': (_request, response) => {
    response.writeHead(200, { 'content-length': '1000' });
    response.write('{"keys"');
    setTimeout(() => response.destroy(), 10);
  },
  '/error': (_request, response) => response.writeHead(500).end(issuer.jwks),
};

const server = createServer((request, response) =>
  HANDLERS[request.url ?? '']?.(request, response),
);
let base = '';

before(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
after(() => {
  server.closeAllConnections();
  server.close();
});

suite('attack: an issuer of keys that', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['hangs', /did not answer within 200 ms/],
    ['drips', /did not answer within 200 ms/],
    ['redirects', /status 302/],
    ['large', /larger than 524288 bytes/],
    ['encoded', /encoded/],
    ['breaks', /aborted|broke off/],
    ['error', /status 500/],
  ];
  for (const [path, why] of cases) {
    test(path, async () => {
      const startedAt = performance.now();
      const fetched = await fetchJwks(`${base}/${path}`, 200);
      assert.ok(!fetched.ok);
      assert.match(fetched.error, why);
      assert.ok(performance.now() - startedAt < 2_000);
    });
  }

  test('is not there', async () => {
    const fetched = await fetchJwks('http://127.0.0.1:1/jwks', 200);
    assert.ok(!fetched.ok);
  });
});

test('attack: an issuer whose certificate nobody vouches for', async () => {
  const { privateKeyPem, chainPem } = createFakeMesh().issue('id');
  const impostor = createTlsServer({ key: privateKeyPem, cert: chainPem }, (_request, response) =>
    response.end(issuer.jwks),
  );
  await new Promise<void>((resolve) => impostor.listen(0, '127.0.0.1', resolve));
  const { port } = impostor.address() as AddressInfo;
  const fetched = await fetchJwks(`https://localhost:${port}/`, 2_000);
  assert.ok(!fetched.ok);
  assert.match(fetched.error, /certificate/);
  impostor.close();
});

function keysOf(store?: JwksStore): TokenKeys {
  const workload = { service: 's', namespace: 'n', trustDomain: 't' };
  return new TokenKeys({
    fetchText: fetchJwks,
    store,
    metrics: createProxyMetrics({ workload, clock: Date.now }),
    log: createSilentLog(),
    clock: Date.now,
  });
}

const origin = (path: string, timeoutMs = 200) => ({
  kind: 'remote' as const,
  uri: `${base}${path}`,
  timeoutMs,
});

test('what is no JWKS never replaces the last good one, which serves from disk meanwhile', async () => {
  const saved: string[] = [];
  const store: JwksStore = { load: () => issuer.jwks, save: (_uri, text) => saved.push(text) };
  const keys = keysOf(store);
  for (const path of ['/html', '/large', '/hangs', '/redirects']) {
    const known = keys.of(origin(path));
    while (known.busy !== undefined) await known.busy;
    assert.equal(known.keys?.keys.length, 1, path);
  }
  assert.deepEqual(saved, []);
  keys.close();
});

test('a good one is kept for the next start', async () => {
  const saved: string[] = [];
  const keys = keysOf({ load: () => undefined, save: (_uri, text) => saved.push(text) });
  const known = keys.of(origin('/good', 2_000));
  while (known.busy !== undefined) await known.busy;
  assert.equal(known.keys?.keys.length, 1);
  assert.deepEqual(saved, [issuer.jwks]);
  keys.close();
});

test('an issuer that hangs holds up no other', async () => {
  const keys = keysOf();
  const bad = keys.of(origin('/hangs', 2_000));
  const good = keys.of(origin('/good', 2_000));
  await Promise.race([good.busy, delay(1_500)]);
  assert.equal(good.keys?.keys.length, 1);
  assert.ok(bad.busy !== undefined);
  keys.close();
});

test('attack: a store that somebody wrote garbage into is no reason to fail', async () => {
  const keys = keysOf({ load: () => '\0garbage', save: () => undefined });
  const known = keys.of(origin('/good', 2_000));
  while (known.busy !== undefined) await known.busy;
  assert.equal(known.keys?.keys.length, 1);
  keys.close();
});
