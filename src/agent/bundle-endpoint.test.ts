// The endpoint against a real agent: what it publishes, over which proof, and what it answers to strangers.
import assert from 'node:assert/strict';
import { request } from 'node:https';
import { after, test } from 'node:test';
import { connect } from 'node:tls';
import { parseBundle, parseSpiffeBundle, parseTrustDomain, verifyJwtSvid } from '#identity';
import { createSilentLog } from '#telemetry';
import { createBundleEndpoint } from './bundle-endpoint.ts';
import { createFakeMesh, TRUST_DOMAIN } from './fake-mesh.ts';
import { startWorld } from './fake-world.ts';
import { fetchBundle } from './fetch-bundle.ts';

const mesh = createFakeMesh();
after(() => mesh.remove());
const ISSUER = 'https://issuer.example';

async function start(issuer: string | undefined = ISSUER) {
  const world = await startWorld(mesh);
  await world.register();
  const endpoint = await createBundleEndpoint({
    agentSocket: world.socketPath,
    listen: { host: '127.0.0.1', port: 0 },
    issuer,
    clock: Date.now,
    log: createSilentLog(),
  });
  const get = (path: string, method = 'GET') =>
    new Promise<{ status: number; body: string }>((resolve, reject) => {
      const options = { host: '127.0.0.1', port: endpoint.port, rejectUnauthorized: false };
      const call = request({ ...options, path, method, agent: false }, (response) => {
        let body = '';
        response.on('data', (chunk) => (body += String(chunk)));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
      });
      call.on('error', reject);
      call.end();
    });
  return {
    world,
    endpoint,
    get,
    async until(path: string) {
      for (;;) {
        const answer = await get(path);
        if (answer.status !== 503) return answer;
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
    async end() {
      await endpoint.close();
      await world.end();
    },
  };
}

test('it publishes the bundle of its own trust domain, and proves itself by its SVID', async () => {
  const { endpoint, end, until, world } = await start();
  const { body } = await until('/bundle');
  const trustDomain = parseTrustDomain(TRUST_DOMAIN);
  assert.ok(trustDomain.ok);
  const bundle = parseSpiffeBundle(trustDomain.value, Buffer.from(body));
  assert.ok(bundle.ok);
  const { x509, jwt, sequence = 0, refreshHintMs } = bundle.value;
  assert.deepEqual(
    x509?.x509Roots.map((root) => Buffer.compare(root.raw, mesh.rootDer)),
    [0],
  );
  assert.equal(refreshHintMs, 300_000);
  assert.ok(sequence > 1_700_000_000);
  const token = world.authority.jwt.sign(`spiffe://${TRUST_DOMAIN}/x`, ['a']);
  assert.ok(verifyJwtSvid(token, { bundles: [jwt], audience: 'a', nowMs: Date.now() }).ok);
  const roots = parseBundle(trustDomain.value, mesh.rootPem);
  assert.ok(roots.ok);
  const fetched = await fetchBundle({
    url: `https://127.0.0.1:${endpoint.port}/bundle`,
    trustDomain: trustDomain.value,
    proof: {
      kind: 'spiffe',
      spiffeId: `spiffe://${TRUST_DOMAIN}/ns/shop/sa/web`,
      bundle: roots.value,
    },
    clock: Date.now,
  });
  assert.ok(fetched.ok, fetched.ok ? '' : fetched.error);
  await end();
});

test('OpenID Connect finds the keys where discovery says', async () => {
  const { end, until } = await start();
  const discovery = JSON.parse((await until('/.well-known/openid-configuration')).body);
  assert.equal(discovery.issuer, ISSUER);
  assert.equal(discovery.jwks_uri, `${ISSUER}/keys`);
  assert.deepEqual(discovery.id_token_signing_alg_values_supported, ['ES256']);
  const { keys } = JSON.parse((await until('/keys')).body) as { keys: Record<string, string>[] };
  assert.deepEqual(
    keys.map(({ use, kty, crv }) => [use, kty, crv]),
    [['sig', 'EC', 'P-256']],
  );
  assert.ok(keys.every((key) => !('d' in key) && typeof key['kid'] === 'string'));
  assert.ok(keys.every(({ alg }) => alg === 'ES256'));
  await end();
});

test("below an issuer's path too, where validators look for them", async () => {
  const { end, get, until } = await start(`${ISSUER}/tenants/one`);
  const at = '/tenants/one/.well-known/openid-configuration';
  const discovery = JSON.parse((await until(at)).body);
  assert.equal(discovery.jwks_uri, `${ISSUER}/tenants/one/keys`);
  assert.equal((await until('/tenants/one/keys')).body, (await get('/keys')).body);
  assert.equal((await get('/tenants/two/keys')).status, 404);
  await end();
});

test('attack: everything else a stranger may send', async () => {
  const { endpoint, end, get, until } = await start('');
  await until('/bundle');
  for (const path of ['/.env', '/bundle/', '/../../etc/passwd', '/keys2', '//']) {
    assert.equal((await get(path)).status, 404, path);
  }
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
    assert.equal((await get('/bundle', method)).status, 405, method);
  }
  assert.deepEqual(await get('/bundle', 'HEAD'), { status: 200, body: '' });
  const garbage = connect({ host: '127.0.0.1', port: endpoint.port, rejectUnauthorized: false });
  garbage.on('error', () => {
    // It may be cut.
  });
  await new Promise((resolve) => {
    garbage.on('close', resolve);
    garbage.end('\0\0\0\0 garbage\r\n\r\n');
    garbage.resume();
  });
  assert.equal((await get('/bundle')).status, 200);
  await end();
});
