// What Istio's security tasks show of AuthorizationPolicy, between real processes and with policies of our own.
import assert from 'node:assert/strict';
import { createServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData } from '@grpc/grpc-js';
import {
  Authorization,
  type CheckRequest,
  type CheckResponse,
  CheckResponseSchema,
  createMessage,
  grpcDefinition,
} from '#wire';
import { curlFrom, type Service, startTestMesh, type TestMesh } from './mesh.ts';

const ECHO = `require('http').createServer((q, s) => s.end(q.url)).listen(process.env.PORT, '127.0.0.1')`;

let mesh: TestMesh;
let sleep: Service;
let grpc: { readonly server: Server; readonly port: number };
let http: { readonly server: HttpServer; readonly port: number };

before(async () => {
  grpc = await startGrpcProvider();
  http = await startHttpProvider();
  mesh = await startTestMesh();
  sleep = await mesh.run('sleep', ['sleep', '600']);
  await mesh.run('httpbin', [process.execPath, '-e', ECHO]);
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
metadata: {name: httpbin}
spec: {selector: {matchLabels: {app: httpbin}}, mtls: {mode: PERMISSIVE}}
`);
  const report = await mesh.cli('status', '--plaintext', '-o', 'json');
  const [port] = JSON.parse(report.stdout).ports;
  assert.deepEqual(
    [port.service, port.mode, port.calls, port.couldBeStrict],
    ['default/httpbin', 'PERMISSIVE', 0, true],
  );
});

function call(path: string, ...flags: readonly string[]) {
  return curlFrom(sleep, `http://httpbin${path}`, ...flags);
}

/** Asks until a change of policy has arrived. */
async function soon(path: string, status: number, head = /^/): Promise<void> {
  for (let tries = 0; ; tries++) {
    const answer = await call(path);
    if (answer.status === status && head.test(answer.headers)) return;
    if (tries === 100) assert.fail(`${path} is ${answer.status}, not ${status}: ${answer.headers}`);
    await delay(100);
  }
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
