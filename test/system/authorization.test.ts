// What Istio's security tasks show of AuthorizationPolicy, between real processes and with policies of our own.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { createServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData } from '@grpc/grpc-js';
import {
  Authorization,
  type CheckRequest,
  type CheckResponse,
  CheckResponseSchema,
  createMessage,
  grpcDefinition,
} from '#wire';
import { answering } from './applications.ts';
import { curlFrom, finish, type Service, startTestMesh, type TestMesh } from './mesh.ts';
import { until } from './until.ts';

let mesh: TestMesh;
let sleep: Service;
let httpbin: Service;
let grpc: { readonly server: Server; readonly port: number };
let http: { readonly server: HttpServer; readonly port: number };

before(async () => {
  grpc = await startGrpcProvider();
  http = await startHttpProvider();
  mesh = await startTestMesh();
  sleep = await mesh.run('sleep', ['sleep', '600']);
  httpbin = await mesh.run('httpbin', answering('s.end(q.url)'));
});
after(async () => {
  await mesh.close();
  grpc.server.forceShutdown();
  http.server.close();
  http.server.closeAllConnections();
});

test('HTTP traffic: nothing is allowed, then reading, then by a header', async () => {
  await soon('/headers', 403);
  await apply('viewer', 'ALLOW', 'to: [{operation: {methods: [GET]}}]');
  await soon('/headers', 200);
  assert.equal((await call('/headers', '-X', 'POST')).status, 403);
  await apply(
    'viewer',
    'ALLOW',
    'when: [{key: "request.headers[x-tenant]", values: [acme]}, {key: "remote.ip", values: [10.0.0.0/8]}]',
  );
  await soon('/headers', 403);
  const asked = ['-H', 'x-tenant: acme', '-H', 'x-forwarded-for: 192.0.2.1, 10.0.0.7'];
  assert.equal((await call('/headers', ...asked)).status, 200);
  assert.equal((await call('/headers', '-H', 'x-tenant: acme')).status, 403);
});

test('explicit deny: DENY outweighs ALLOW, by a header that is there or not', async () => {
  await apply('viewer', 'ALLOW', 'to: [{operation: {methods: [GET]}}]');
  await apply('no-admin', 'DENY', 'when: [{key: "request.headers[x-token]", notValues: [admin]}]');
  await soon('/get', 403);
  assert.equal((await call('/get', '-H', 'x-token: guest')).status, 403);
  assert.equal((await call('/get', '-H', 'x-token: admin')).status, 200);
  const removed = await mesh.cli('delete', 'authorizationpolicy', 'no-admin');
  assert.equal(removed.status, 0, removed.stderr);
  await soon('/get', 200);
});

test('external authorization: a gRPC and an HTTP server are asked; without an answer nobody passes', async () => {
  await mesh.apply(
    `
apiVersion: palisade.dev/v1
kind: Mesh
metadata: {name: mesh, namespace: palisade-system}
spec:
  extensionProviders:
    - {name: over-grpc, envoyExtAuthzGrpc: {service: 127.0.0.1, port: ${grpc.port}, timeout: 2s}}
    - name: over-http
      envoyExtAuthzHttp: {service: 127.0.0.1, port: ${http.port}, timeout: 2s, includeRequestHeadersInCheck: [x-ext-authz]}
    - {name: gone, envoyExtAuthzGrpc: {service: 127.0.0.1, port: 9, timeout: 300ms}}
`,
  );
  for (const name of ['over-grpc', 'over-http', 'gone']) {
    await mesh.apply(customPolicy(name, `/${name}`));
  }
  await soon('/gone', 403, /x-palisade-reason: cannot_decide/);
  for (const name of ['over-grpc', 'over-http']) {
    await soon(`/${name}`, 403, /x-palisade-reason: policy_denied/);
    assert.equal((await call(`/${name}`, '-H', 'x-ext-authz: allow')).status, 200, name);
  }
  assert.equal((await call('/other')).status, 200);
});

test('a guardrail of the root namespace holds, and its exception says who answers for it', async () => {
  await mesh.apply(
    policy('guard', 'DENY', 'to: [{operation: {paths: [/vault]}}]', 'palisade-system'),
  );
  await soon('/vault', 403, /policy_denied/);
  // One of a namespace is stored, since its own policy may come later, and excepts from nothing.
  await mesh.apply(exception('default'));
  assert.equal((await mesh.cli('status', '--wait')).status, 0);
  assert.equal((await call('/vault')).status, 403);
  await mesh.apply(exception('palisade-system'));
  await soon('/vault', 200);
});

test('plaintext is counted where it is taken, and who could turn STRICT is told', async () => {
  const strict = await mesh.cli('status', '--plaintext', '-o', 'json');
  assert.deepEqual(JSON.parse(strict.stdout).ports, []);
  await mesh.apply(`
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default}
spec: {mtls: {mode: PERMISSIVE}}
`);
  assert.deepEqual(await plaintextPorts(), [
    ['default/httpbin', 'PERMISSIVE', 0, true, []],
    ['default/sleep', 'PERMISSIVE', 0, true, []],
  ]);
  // A caller without a sidecar, as an application that nobody has brought into the mesh yet.
  const plain = ['curl', '-sS', '-H', 'Host: httpbin'];
  const url = `http://127.0.0.1:${httpbin.ports.inboundPort}/plain`;
  const answer = async () => (await finish([...plain, url])).stdout;
  await until('plaintext is taken', async () => (await answer()) === '/plain');
  const seen = await until('its call is seen', async () => {
    const ports = await plaintextPorts();
    return ports[0]?.[2] !== 0 && ports;
  });
  assert.deepEqual(seen, [
    ['default/httpbin', 'PERMISSIVE', 1, false, ['127.0.0.1 allow']],
    ['default/sleep', 'PERMISSIVE', 0, true, []],
  ]);
  const words = await mesh.cli('status', '--plaintext');
  assert.match(words.stdout, /default\/sleep/);
  // STRICT again: the same call is no call any more, and calls of the mesh pass as before.
  const gone = await mesh.cli('delete', 'peerauthentication', 'default');
  assert.equal(gone.status, 0, gone.stderr);
  await until('plaintext is not taken', async () => (await answer()) === '');
  await soon('/mesh', 200);
});

type Port = readonly [string, string, number, boolean, readonly string[]];

async function plaintextPorts(): Promise<readonly Port[]> {
  const report = await mesh.cli('status', '--plaintext', '-o', 'json');
  return (JSON.parse(report.stdout).ports as readonly PlaintextPort[])
    .map(
      ({ service, mode, calls, couldBeStrict, callers }): Port => [
        service,
        mode,
        calls,
        couldBeStrict,
        callers.map(({ sourceIp, verdict }) => `${sourceIp} ${verdict}`),
      ],
    )
    .sort(([a], [b]) => (a < b ? -1 : 1));
}

type PlaintextPort = {
  readonly service: string;
  readonly mode: string;
  readonly calls: number;
  readonly couldBeStrict: boolean;
  readonly callers: readonly { readonly sourceIp: string; readonly verdict: string }[];
};

test('a probe without an identity gets the one path that is declared, and opens nothing else', async () => {
  const probed = await mesh.run('probed', answering('s.end(q.url)'));
  // As a kubelet asks: plaintext, by address, from outside the mesh.
  const probe = (path: string) =>
    finish([
      'curl',
      '-sS',
      '-A',
      'kube-probe/1.30',
      '--path-as-is',
      '-w',
      ' %{http_code}',
      url(path),
    ]);
  const url = (path: string) => `http://127.0.0.1:${probed.ports.inboundPort}${path}`;
  assert.equal((await probe('/healthz')).stdout, ' 000', 'STRICT takes no plaintext');
  await mesh.apply(`
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: probed}
spec: {selector: {matchLabels: {app: probed}}, mtls: {mode: PERMISSIVE}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: probes}
spec:
  selector: {matchLabels: {app: probed}}
  rules: [{to: [{operation: {methods: [GET], paths: [/healthz]}}]}]
`);
  assert.equal((await mesh.cli('status', '--wait')).status, 0);
  assert.equal((await probe('/healthz')).stdout, '/healthz 200');
  for (const path of ['/', '/healthz/', '/healthz/../admin', '/%68ealthz/x']) {
    assert.match((await probe(path)).stdout, / 40[03]$/, path);
  }
  assert.equal(
    (
      await finish(['curl', '-sS', '-X', 'POST', '-w', ' %{http_code}', url('/healthz')])
    ).stdout.slice(-3),
    '403',
  );
});

test('what is dangerous is refused by apply, and stored once its author says that it is meant', async () => {
  const file = join(mesh.dataDir, 'wide.yaml');
  writeFileSync(
    file,
    policy('wide', 'ALLOW', 'from: [{source: {principals: ["cluster.local/ns/*"]}}]'),
  );
  const refused = await mesh.cli('apply', '-f', file);
  assert.equal(refused.status, 2, refused.stdout);
  assert.match(refused.stderr, /wide\.yaml:\d+:\d+[^]*if it is meant, --accept wide_wildcard/);
  assert.notEqual((await mesh.cli('get', 'authorizationpolicy', 'wide')).status, 0);
  const accepted = await mesh.cli('apply', '-f', file, '--accept', 'wide_wildcard');
  assert.equal(accepted.status, 0, accepted.stderr);
  assert.equal((await mesh.cli('get', 'authorizationpolicy', 'wide')).status, 0);
});

test('a caller that has spent its budget is told so, and others are not', async () => {
  const other = await mesh.run('other', ['sleep', '600']);
  await mesh.apply(`
apiVersion: palisade.dev/v1
kind: Service
metadata: {name: httpbin}
spec:
  ports: [{port: 80, protocol: http}]
  callerBudget:
    units: 100
    per: 1h
    costs:
      - cost: 30
        rules: [{to: [{operation: {paths: ["/reports/*"]}}]}]
`);
  assert.equal((await mesh.cli('status', '--wait')).status, 0);
  const statuses: number[] = [];
  for (let i = 0; i < 4; i++) statuses.push((await call('/reports/year')).status);
  assert.deepEqual(statuses, [200, 200, 200, 429]);
  const refused = await call('/reports/year');
  assert.match(refused.headers, /x-palisade-reason: rate_limited/);
  assert.equal((await call('/cheap')).status, 200, 'ten units are left');
  assert.equal((await curlFrom(other, 'http://httpbin/reports/year')).status, 200);
});

function call(path: string, ...flags: readonly string[]) {
  return curlFrom(sleep, `http://httpbin${path}`, ...flags);
}

/** Asks until a change of policy has arrived. */
async function soon(path: string, status: number, head = /^/): Promise<void> {
  await until(`${path} is ${status}`, async () => {
    const answer = await call(path);
    return answer.status === status && head.test(answer.headers);
  });
}

function policy(name: string, action: string, rule: string, namespace = 'default'): string {
  return `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: ${name}, namespace: ${namespace}}
spec:
  selector: {matchLabels: {app: httpbin}}
  action: ${action}
  rules:
    - ${rule}
`;
}

async function apply(name: string, action: string, rule: string): Promise<void> {
  await mesh.apply(policy(name, action, rule));
}

function customPolicy(provider: string, path: string): string {
  const rule = `to: [{operation: {paths: [${path}]}}]`;
  return policy(`ask-${provider}`, 'CUSTOM', rule).replace(
    'action: CUSTOM',
    `action: CUSTOM\n  provider: {name: ${provider}}`,
  );
}

function exception(namespace: string): string {
  return `
apiVersion: palisade.dev/v1
kind: PolicyException
metadata: {name: audit-week, namespace: ${namespace}}
spec:
  policy: guard
  owner: security
  ticket: SEC-7
  expiresAt: "2100-01-01T00:00:00Z"
  rules: [{from: [{source: {namespaces: [default]}}]}]
`;
}

async function startGrpcProvider(): Promise<typeof grpc> {
  const server = new Server();
  server.addService(grpcDefinition(Authorization), {
    check(call: ServerUnaryCall<CheckRequest, CheckResponse>, done: sendUnaryData<CheckResponse>) {
      const { attributes } = call.request;
      const isAllowed =
        attributes?.request?.http?.headers['x-ext-authz'] === 'allow' &&
        attributes.source?.principal === 'spiffe://cluster.local/ns/default/sa/sleep';
      done(null, createMessage(CheckResponseSchema, { status: { code: isAllowed ? 0 : 7 } }));
    },
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return { server, port };
}

async function startHttpProvider(): Promise<typeof http> {
  const server = createServer((request, response) => {
    response.statusCode = request.headers['x-ext-authz'] === 'allow' ? 200 : 403;
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, port: (server.address() as AddressInfo).port };
}
