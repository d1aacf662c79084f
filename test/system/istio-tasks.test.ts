// The security tasks of Istio's documentation, rewritten with data of our own, give the outcomes that it documents:
// real sidecars, a real issuer of keys, requests by curl.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createFakeIssuer } from '../../src/proxy/fake-issuer.ts';
import { answering, listening } from './applications.ts';
import {
  curlFrom,
  finish,
  freePort,
  type Service,
  sidecarOf,
  startTestMesh,
  type TestMesh,
} from './mesh.ts';
import { until, untilStatus } from './until.ts';

// Answers with the headers that arrived.
const HTTPBIN = answering('s.end(JSON.stringify(q.headers))');

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
    mesh.run('httpbin', HTTPBIN, IN_FOO),
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
  await until(`${expected} of ${url} ${JSON.stringify(ask.headers ?? [])}`, async () => {
    return (await status(url, ask)) === expected;
  });
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
  const explained = await untilStatus(0, () => mesh.cli('explain', id));
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
  await until('the claim arrives', async () => (await ask(token)) === 'bar');
  assert.equal(await ask('x-jwt-claim-foo: spoofed'), undefined);
});

const ECHO = listening(
  `require('net').createServer((c) => c.on('error', () => {}).on('data', (d) => c.end('hello ' + d)))`,
);
const ECHO_PORTS = [9000, 9001, 9002];

test('TCP traffic: by port, and HTTP fields neither allow nor narrow', async () => {
  await mesh.apply(`
apiVersion: palisade.dev/v1
kind: Service
metadata: {name: tcp-echo, namespace: foo}
spec: {ports: [${ECHO_PORTS.map((port) => `{name: p${port}, port: ${port}, protocol: tcp}`).join(', ')}]}
`);
  await mesh.run('tcp-echo', ECHO, IN_FOO);
  const local = await Promise.all(ECHO_PORTS.map(() => freePort()));
  const upstreams = ECHO_PORTS.flatMap((port, i) => ['--upstream', `tcp-echo:${port}=${local[i]}`]);
  await mesh.run('tcp-client', ['sleep', '600'], [...IN_FOO, ...upstreams]);
  const expectEcho = async (wanted: readonly string[]): Promise<void> => {
    let got: readonly string[] = [];
    const isSo = async () => {
      got = await Promise.all(local.map((port) => echoOf(port)));
      return `${got}` === `${wanted}`;
    };
    await until(`echoes ${wanted}`, isSo, { told: () => `${got}` });
  };
  const applied = async (action: string, operation: string): Promise<void> => {
    const file = join(mesh.dataDir, 'tcp.yaml');
    writeFileSync(
      file,
      policy(
        'tcp-policy',
        `{selector: {matchLabels: {app: tcp-echo}}, action: ${action}, rules: [{to: [{operation: ${operation}}]}]}`,
      ),
    );
    const done = await mesh.cli('apply', '-f', file, '--accept', 'http_field_on_tcp');
    assert.equal(done.status, 0, done.stderr);
  };
  const open = 'hello world';
  await expectEcho([open, open, open]);
  await applied('ALLOW', '{ports: ["9000", "9001"]}');
  await expectEcho([open, open, '']);
  // As Istio documents it: such an ALLOW rule is void, and such a DENY rule loses the method.
  await applied('ALLOW', '{ports: ["9000"], methods: [GET]}');
  await expectEcho(['', '', '']);
  await applied('DENY', '{ports: ["9000"], methods: [GET]}');
  await expectEcho(['', open, open]);
  await remove('authorizationpolicy/tcp-policy');
});

/** What the echo answers, nothing where the connection is reset. */
function echoOf(port: number): Promise<string> {
  return new Promise((resolve) => {
    let got = '';
    const socket = connect(port, '127.0.0.1', () => socket.write('world'));
    socket.setEncoding('utf8').on('data', (text) => {
      got += text;
    });
    socket.on('error', () => resolve('')).on('close', () => resolve(got));
  });
}

test('trust domain migration: policies for the old name hold once it is an alias', async () => {
  await mesh.apply(
    policy(
      'service-httpbin',
      `{${HTTPBIN_ONLY}, action: ALLOW, rules: [{from: [{source: {principals: ["old-td/ns/foo/sa/curl"]}}]}]}`,
    ),
  );
  await expectStatus(403, 'http://httpbin/ip');
  await mesh.apply(OPEN.replace('{default', '{trustDomainAliases: [old-td], default'));
  await expectStatus(200, 'http://httpbin/ip');
  await expectStatus(403, 'http://httpbin/ip', { from: productpage });
  await mesh.apply(OPEN);
  await expectStatus(403, 'http://httpbin/ip');
  await remove('authorizationpolicy/service-httpbin');
});

// Passes on what comes from outside to httpbin, through its own sidecar.
const GATEWAY = answering(`
  const via = new URL(process.env.HTTP_PROXY);
  const to = { host: via.hostname, port: via.port, path: 'http://httpbin' + q.url, headers: { host: 'httpbin' } };
  require('http').get(to, (a) => { s.statusCode = a.statusCode; a.pipe(s); }).on('error', () => s.destroy());`);

test('ingress: by the address of who connects, and by the one that trusted proxies tell', async () => {
  const gateway = await mesh.run('ingress', GATEWAY, IN_FOO);
  await mesh.apply(`
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: ingress, namespace: foo}
spec: {selector: {matchLabels: {app: ingress}}, mtls: {mode: PERMISSIVE}}
${policy(
  'only-ingress',
  `{${HTTPBIN_ONLY}, action: ALLOW, rules: [{from: [{source: {principals: ["cluster.local/ns/foo/sa/ingress"]}}]}]}`,
)}`);
  const url = `http://127.0.0.1:${gateway.ports.inboundPort}/get`;
  const outside = async (...args: string[]): Promise<number> => {
    const done = await finish([
      'curl',
      '-s',
      '-o',
      '/dev/null',
      '-w',
      '%{http_code}',
      ...args,
      url,
    ]);
    return Number(done.stdout);
  };
  const expectOutside = async (wanted: number, ...args: string[]): Promise<void> => {
    await until(`${wanted} ${args.join(' ')}`, async () => (await outside(...args)) === wanted);
  };
  const ingressPolicy = (action: string, source: string): Promise<void> =>
    mesh.apply(
      policy(
        'ingress-policy',
        `{selector: {matchLabels: {app: ingress}}, action: ${action}, rules: [{from: [{source: ${source}}]}]}`,
      ),
    );
  await expectOutside(200);
  await expectStatus(403, 'http://httpbin/get');
  await ingressPolicy('ALLOW', '{ipBlocks: ["127.0.0.2", "10.0.0.0/8"]}');
  await expectOutside(403);
  assert.equal(await outside('--interface', '127.0.0.2'), 200);
  const forged = ['-H', 'X-Forwarded-For: 10.2.3.4'];
  assert.equal(await outside(...forged), 403, 'the peer counts, whatever it says');
  await ingressPolicy('DENY', '{ipBlocks: ["127.0.0.2"]}');
  await expectOutside(403, '--interface', '127.0.0.2');
  assert.equal(await outside(), 200);
  await ingressPolicy('ALLOW', '{remoteIpBlocks: ["10.0.0.0/8"]}');
  await expectOutside(403);
  assert.equal(await outside(...forged), 200);
  assert.equal(await outside('-H', 'X-Forwarded-For: 10.2.3.4, 192.0.2.1'), 403);
  // Behind one more trusted proxy the last entry is that proxy's own client.
  await mesh.apply(OPEN.replace('{default', '{numTrustedProxies: 1, default'));
  await expectOutside(200, '-H', 'X-Forwarded-For: 10.2.3.4, 192.0.2.1');
  assert.equal(await outside('-H', 'X-Forwarded-For: 10.2.3.4, 192.0.2.1, 192.0.2.2'), 403);
  await mesh.apply(OPEN);
  await remove('authorizationpolicy/ingress-policy', 'authorizationpolicy/only-ingress');
});

test('keys stay good while their issuer is gone, also after the sidecar starts again', async () => {
  keys.close();
  keys.closeAllConnections();
  process.kill(sidecarOf(mesh, 'httpbin', 'foo').pid, 'SIGKILL');
  await expectStatus(200, 'http://httpbin/headers', bearer(valid()));
  await expectStatus(401, 'http://httpbin/headers', bearer(stranger.token()));
});
