import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { before, test } from 'node:test';
import type { HealthCheck } from '#snapshot';
import { createFakeMesh, type FakeMesh, fakeService, fakeSnapshot } from './fake-mesh.ts';
import { ask, createFakePair, type FakePair } from './fake-pair.ts';
import { answerWith, type FakeServer, startFakeServer } from './fake-server.ts';

const GET = 'GET /call HTTP/1.1\r\nHost: orders\r\n\r\n';

let mesh: FakeMesh;

before(() => {
  mesh = createFakeMesh();
});

type Answer = (socket: Socket, head: string) => void;

const HTTP: HealthCheck = {
  probe: { kind: 'http', path: '/healthz', expectedStatuses: new Set([200]) },
  intervalMs: 20,
  timeoutMs: 500,
  unhealthyThreshold: 2,
  healthyThreshold: 2,
};

async function checked(
  answers: readonly Answer[],
  healthCheck: HealthCheck,
  use: (pair: FakePair, servers: readonly FakeServer[]) => Promise<void>,
): Promise<void> {
  const servers = await Promise.all(
    answers.map((answer) => startFakeServer(mesh.issue('orders'), answer)),
  );
  const pair = await createFakePair({
    application: (_, response) => response.end('ok'),
    mesh,
    service: fakeService(mesh, 'orders', { traffic: { healthCheck } }),
    endpoints: () => servers.map(({ endpoint }) => endpoint),
  });
  try {
    // The first call begins the checks.
    await ask(pair.caller.outboundPort, GET);
    await use(pair, servers);
  } finally {
    await pair.close();
    for (const server of servers) server.close();
  }
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
}

const health = (pair: FakePair): readonly string[] =>
  pair.caller.endpoints().map((endpoint) => endpoint.health);

test('an endpoint that fails its checks gets no calls, and gets them again when it passes', async () => {
  let status = 200;
  const sick: Answer = (socket, head) =>
    answerWith(socket, head.includes('/healthz') ? status : 200);
  const well: Answer = (socket) => answerWith(socket, 200);
  await checked([sick, well], HTTP, async (pair, [first]) => {
    status = 500;
    await until(() => health(pair)[0] === 'unhealthy');
    const calls = (): number =>
      first?.requests.filter((line) => line.includes('/call')).length ?? 0;
    const beforeCalls = calls();
    for (let i = 0; i < 20; i++) assert.match(await ask(pair.caller.outboundPort, GET), / 200 /);
    assert.equal(calls(), beforeCalls);
    status = 200;
    await until(() => health(pair)[0] === 'healthy');
    for (let i = 0; i < 30; i++) await ask(pair.caller.outboundPort, GET);
    assert.ok(calls() > beforeCalls);
    assert.ok(pair.web.metrics.healthCheck('failed').value >= 2);
  });
});

test('when every endpoint fails its checks, calls are answered at once with no_healthy_endpoint', async () => {
  const sick: Answer = (socket, head) => answerWith(socket, head.includes('/healthz') ? 503 : 200);
  await checked([sick], HTTP, async (pair) => {
    await until(() => health(pair)[0] === 'unhealthy');
    const answer = await ask(pair.caller.outboundPort, GET);
    assert.match(answer, / 503 [^]*no_healthy_endpoint/);
    assert.match(answer, /retry-after/);
  });
});

test('a check that policy denies does not take the endpoint away', async () => {
  const denying: Answer = (socket, head) =>
    head.includes('/healthz')
      ? answerWith(socket, 403, ['x-palisade-reason: policy_denied'])
      : answerWith(socket, 200);
  await checked([denying], HTTP, async (pair) => {
    await until(() => pair.web.metrics.healthCheck('denied').value >= 4);
    assert.deepEqual(health(pair), ['healthy']);
  });
});

test('attack: an endpoint that is another service fails its checks', async () => {
  const other = await startFakeServer(mesh.issue('evil'), (socket) => answerWith(socket, 200));
  const pair = await createFakePair({
    application: (_, response) => response.end('ok'),
    mesh,
    service: fakeService(mesh, 'orders', {
      traffic: { healthCheck: { ...HTTP, probe: { kind: 'tcp' } } },
    }),
    endpoints: () => [other.endpoint],
  });
  assert.match(await ask(pair.caller.outboundPort, GET), /upstream_identity_mismatch/);
  await until(() => health(pair)[0] === 'unhealthy');
  assert.ok(pair.web.metrics.healthCheck('upstream_identity_mismatch').value >= 2);
  assert.deepEqual(other.requests, []);
  await pair.close();
  other.close();
});

test('attack: a server that never answers its checks holds none of them longer than the time-out', async () => {
  const silent: Answer = (socket, head) => {
    if (!head.includes('/healthz')) answerWith(socket, 200);
  };
  await checked([silent], { ...HTTP, timeoutMs: 40 }, async (pair, [server]) => {
    await until(() => health(pair)[0] === 'unhealthy');
    assert.ok(pair.web.metrics.healthCheck('timeout').value >= 2);
    assert.ok((server?.connections() ?? 0) < 30);
  });
});

test('what checks found outlives a change of policy, and of the checks themselves', async () => {
  const sick: Answer = (socket, head) => answerWith(socket, head.includes('/call') ? 200 : 500);
  await checked([sick], HTTP, async (pair, [server]) => {
    await until(() => health(pair)[0] === 'unhealthy');
    const path = '/ready';
    const paths = { ...HTTP, probe: { ...HTTP.probe, path } } as HealthCheck;
    for (const healthCheck of [structuredClone(HTTP), paths]) {
      const upstreams = [fakeService(mesh, 'orders', { traffic: { healthCheck } })];
      pair.web.snapshots.set(fakeSnapshot(mesh, { service: 'web', upstreams }));
      const count = server?.requests.length ?? 0;
      await until(
        () => (server?.requests.length ?? 0) > count + 1 || health(pair)[0] !== 'unhealthy',
      );
      assert.deepEqual(health(pair), ['unhealthy']);
    }
    assert.ok(server?.requests.some((line) => line.includes(path)));
  });
});

test('a Service that asks for no checks any more is checked no more', async () => {
  const sick: Answer = (socket, head) => answerWith(socket, head.includes('/healthz') ? 500 : 200);
  await checked([sick], HTTP, async (pair, [server]) => {
    await until(() => health(pair)[0] === 'unhealthy');
    const service = fakeService(mesh, 'orders');
    pair.web.snapshots.set(fakeSnapshot(mesh, { service: 'web', upstreams: [service] }));
    await until(() => health(pair)[0] === 'healthy');
    const count = server?.requests.length;
    await new Promise((resolve) => setTimeout(resolve, 80));
    assert.equal(server?.requests.length, count);
    assert.match(await ask(pair.caller.outboundPort, GET), / 200 /);
  });
});
