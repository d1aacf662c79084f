// The security tasks of Istio's documentation, rewritten with data of our own, give the outcomes that it documents:
// real sidecars, a real issuer of keys, requests by curl.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { createFakeIssuer } from '../../src/proxy/fake-issuer.ts';
import { curlFrom, type Service, startTestMesh, type TestMesh } from './mesh.ts';

// Answers with the headers that arrived.
const HTTPBIN = `require('http').createServer((q, s) => s.end(JSON.stringify(q.headers))).listen(process.env.PORT, '127.0.0.1')`;

const issuer = createFakeIssuer('testing@secure.example.com');
const stranger = createFakeIssuer('testing@secure.example.com', 'k2');
const valid = (claims: object = {}) =>
  issuer.token({ sub: 'testing@secure.example.com', ...claims });

let mesh: TestMesh;
let curl: Service;
let productpage: Service;
const keys = createServer((_request, response) => response.end(issuer.jwks));

before(async () => {
  await new Promise<void>((resolve) => keys.listen(0, '127.0.0.1', resolve));
  mesh = await startTestMesh();
  [curl, productpage] = await Promise.all([
    mesh.run('curl', ['sleep', '600'], IN_FOO),
    mesh.run('productpage', ['sleep', '600'], IN_FOO),
    mesh.run('httpbin', [process.execPath, '-e', HTTPBIN], IN_FOO),
  ]);
  await mesh.apply(OPEN);
});
after(async () => {
  keys.close();
  await mesh.close();
});

const IN_FOO = ['--namespace', 'foo'];

// Istio's default, from which its tasks start.
const OPEN = `
apiVersion: palisade.dev/v1
kind: Mesh
spec: {defaultAction: allow}
`;

type Ask = {
  readonly from?: Service;
  readonly method?: string;
  readonly headers?: readonly string[];
};

async function status(url: string, { from = curl, method = 'GET', headers = [] }: Ask = {}) {
  const lines = headers.flatMap((header) => ['-H', header]);
  return (await curlFrom(from, '-X', method, ...lines, url)).status;
}

const bearer = (token: string) => ({ headers: [`Authorization: Bearer ${token}`] });

/** Waits until the outcome is the expected one: a change reaches sidecars within moments. */
async function expectStatus(expected: number, url: string, ask: Ask = {}): Promise<void> {
  let got = 0;
  for (let attempt = 0; attempt < 50; attempt += 1) {
    got = await status(url, ask);
    if (got === expected) return;
    await delay(100);
  }
  assert.equal(got, expected, `${url} ${JSON.stringify(ask.headers ?? [])}`);
}

async function remove(...names: string[]): Promise<void> {
  for (const name of names) {
    const [kind = '', resource = ''] = name.split('/');
    const gone = await mesh.cli('delete', kind, resource, ...IN_FOO);
    assert.equal(gone.status, 0, gone.stderr);
  }
}

function policy(name: string, spec: string, annotations = '{}'): string {
  return `
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: ${name}, namespace: foo, annotations: ${annotations}}
spec: ${spec}
`;
}

const HTTPBIN_ONLY = 'selector: {matchLabels: {app: httpbin}}';

test('HTTP traffic: nothing is allowed, then one method, then one caller', async () => {
  await expectStatus(200, 'http://httpbin/');
  await mesh.apply(policy('allow-nothing', '{}'));
  await expectStatus(403, 'http://httpbin/');
  await mesh.apply(
    policy(
      'httpbin-viewer',
      '{selector: {matchLabels: {app: httpbin}}, action: ALLOW, rules: [{from: [{source: {principals: ["cluster.local/ns/foo/sa/productpage"]}}], to: [{operation: {methods: [GET]}}]}]}',
    ),
  );
  await expectStatus(200, 'http://httpbin/', { from: productpage });
  await expectStatus(403, 'http://httpbin/', { from: productpage, method: 'POST' });
  await expectStatus(403, 'http://httpbin/');
  await remove('authorizationpolicy/allow-nothing', 'authorizationpolicy/httpbin-viewer');
});

test('explicit deny: a method, a header, and a path that no header opens', async () => {
  await mesh.apply(
    policy(
      'deny-method-get',
      `{${HTTPBIN_ONLY}, action: DENY, rules: [{to: [{operation: {methods: [GET]}}]}]}`,
    ),
  );
  await expectStatus(403, 'http://httpbin/get');
  await expectStatus(200, 'http://httpbin/post', { method: 'POST' });
  await mesh.apply(
    policy(
      'deny-method-get',
      `{${HTTPBIN_ONLY}, action: DENY, rules: [{to: [{operation: {methods: [GET]}}], when: [{key: "request.headers[x-token]", notValues: [admin]}]}]}`,
    ),
  );
  await expectStatus(200, 'http://httpbin/get', { headers: ['x-token: admin'] });
  await expectStatus(403, 'http://httpbin/get', { headers: ['x-token: guest'] });
  await expectStatus(403, 'http://httpbin/get');
  await mesh.apply(
    policy(
      'allow-path-ip',
      `{${HTTPBIN_ONLY}, action: ALLOW, rules: [{to: [{operation: {paths: [/ip]}}]}]}`,
    ),
  );
  await expectStatus(403, 'http://httpbin/get', { headers: ['x-token: admin'] });
  await expectStatus(403, 'http://httpbin/ip', { headers: ['x-token: guest'] });
  await expectStatus(200, 'http://httpbin/ip', { headers: ['x-token: admin'] });
  await remove('authorizationpolicy/deny-method-get', 'authorizationpolicy/allow-path-ip');
});

test('dry run: nothing is denied', async () => {
  await mesh.apply(
    policy(
      'deny-path-headers',
      `{${HTTPBIN_ONLY}, action: DENY, rules: [{to: [{operation: {paths: [/headers]}}]}]}`,
      '{"istio.io/dry-run": "true"}',
    ),
  );
  await expectStatus(200, 'http://httpbin/headers');
  await remove('authorizationpolicy/deny-path-headers');
});

function requestAuthentication(more = ''): string {
  const { port } = keys.address() as AddressInfo;
  return `
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: jwt-example, namespace: foo}
spec:
  selector: {matchLabels: {app: httpbin}}
  jwtRules:
    - issuer: testing@secure.example.com
      jwksUri: http://127.0.0.1:${port}/jwks.json
${more}`;
}

test('end-user authentication: no token passes, a wrong one never does', async () => {
  await mesh.apply(requestAuthentication());
  await expectStatus(401, 'http://httpbin/headers', bearer('invalidToken'));
  await expectStatus(200, 'http://httpbin/headers');
  await expectStatus(200, 'http://httpbin/headers', bearer(valid()));
  await expectStatus(401, 'http://httpbin/headers', bearer(stranger.token()));
  await expectStatus(401, 'http://httpbin/headers', bearer(valid({ exp: 1 })));
  const refused = await curlFrom(curl, '-H', 'Authorization: Bearer x', 'http://httpbin/');
  assert.match(refused.headers, /www-authenticate: bearer error="invalid_token"/);
  assert.match(refused.headers, /x-palisade-reason: token_invalid/);
  const [, id = ''] = /x-palisade-denial: (\w+)/.exec(refused.headers) ?? [];
  let explained = await mesh.cli('explain', id);
  for (let attempt = 0; explained.status !== 0 && attempt < 50; attempt += 1) {
    await delay(100);
    explained = await mesh.cli('explain', id);
  }
  assert.match(
    explained.stdout,
    /denied: the end user’s token is missing where policy asks for one, or not valid/,
  );
});

test('authorization by JWT: a principal, a group, and one path only', async () => {
  const REQUIRED = `from: [{source: {requestPrincipals: ["testing@secure.example.com/testing@secure.example.com"]}}]`;
  await mesh.apply(
    policy('require-jwt', `{${HTTPBIN_ONLY}, action: ALLOW, rules: [{${REQUIRED}}]}`),
  );
  // Istio says 403; that a token is all that is missing is told here.
  await expectStatus(401, 'http://httpbin/headers');
  await expectStatus(200, 'http://httpbin/headers', bearer(valid()));
  await expectStatus(403, 'http://httpbin/headers', bearer(valid({ sub: 'other' })));
  await expectStatus(401, 'http://httpbin/headers', bearer('invalidToken'));
  await mesh.apply(
    policy(
      'require-jwt',
      `{${HTTPBIN_ONLY}, action: ALLOW, rules: [{${REQUIRED}, when: [{key: "request.auth.claims[groups]", values: [group1]}]}]}`,
    ),
  );
  await expectStatus(
    200,
    'http://httpbin/headers',
    bearer(valid({ groups: ['group1', 'group2'] })),
  );
  await expectStatus(403, 'http://httpbin/headers', bearer(valid()));
  await mesh.apply(
    policy(
      'require-jwt',
      `{${HTTPBIN_ONLY}, action: DENY, rules: [{from: [{source: {notRequestPrincipals: ["*"]}}], to: [{operation: {paths: [/headers]}}]}]}`,
    ),
  );
  await expectStatus(401, 'http://httpbin/headers');
  await expectStatus(200, 'http://httpbin/ip');
  await expectStatus(200, 'http://httpbin/headers', bearer(valid()));
  await remove('authorizationpolicy/require-jwt');
});

test('claims as headers: from a valid token, and from nobody else', async () => {
  await mesh.apply(
    requestAuthentication('      outputClaimToHeaders: [{header: x-jwt-claim-foo, claim: foo}]\n'),
  );
  const ask = async (...headers: string[]) => {
    const lines = headers.flatMap((header) => ['-H', header]);
    const { body } = await curlFrom(curl, ...lines, 'http://httpbin/headers');
    return JSON.parse(body)['x-jwt-claim-foo'];
  };
  const token = `Authorization: Bearer ${valid({ foo: 'bar' })}`;
  for (let attempt = 0; (await ask(token)) !== 'bar'; attempt += 1) {
    assert.ok(attempt < 50, 'the claim does not arrive');
    await delay(100);
  }
  assert.equal(await ask('x-jwt-claim-foo: spoofed'), undefined);
});

test('keys stay good while their issuer is gone, also after the sidecar starts again', async () => {
  keys.close();
  keys.closeAllConnections();
  const { pid } = await proxyOf('httpbin');
  process.kill(pid, 'SIGKILL');
  await expectStatus(200, 'http://httpbin/headers', bearer(valid()));
  await expectStatus(401, 'http://httpbin/headers', bearer(stranger.token()));
});

async function proxyOf(service: string): Promise<{ pid: number }> {
  const { readFile } = await import('node:fs/promises');
  return JSON.parse(await readFile(`${mesh.dataDir}/proxies/foo.${service}/proxy.json`, 'utf8'));
}
