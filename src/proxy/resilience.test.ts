import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { before, test } from 'node:test';
import { createFakeMesh, type FakeMesh, type FakeTraffic, fakeService } from './fake-mesh.ts';
import { ask, createFakePair, type FakePair, isWholeAnswer, talk } from './fake-pair.ts';
import { answerWith, type FakeServer, startFakeServer } from './fake-server.ts';
import type { Endpoint } from './options.ts';

const GET = 'GET / HTTP/1.1\r\nHost: orders\r\n\r\n';
const POST = 'POST / HTTP/1.1\r\nHost: orders\r\nContent-Length: 3\r\n\r\nabc';
const ok = (_: unknown, response: { end: (text: string) => void }): void => response.end('ok');

let mesh: FakeMesh;

before(() => {
  mesh = createFakeMesh();
});

/** A port that nobody listens on. */
async function deadEndpoint(): Promise<Endpoint> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  return { host: '127.0.0.1', port };
}

/** What a caller gets from a server whose every byte is the test's. */
async function against(
  answer: (socket: Socket, head: string, before: number) => void,
  traffic: FakeTraffic,
  use: (pair: FakePair, server: FakeServer) => Promise<void>,
  timeouts: { readonly responseMs?: number; readonly requestMs?: number } = {},
): Promise<void> {
  const server = await startFakeServer(mesh.issue('orders'), answer);
  const service = fakeService(mesh, 'orders', { traffic });
  const pair = await createFakePair({
    application: ok,
    mesh,
    service: { ...service, timeouts: { ...service.timeouts, ...timeouts } },
    endpoints: () => [server.endpoint],
  });
  try {
    await use(pair, server);
  } finally {
    await pair.close();
    server.close();
  }
}

test('an endpoint that is down costs no call, not even one with a body, and is ejected', async () => {
  const dead = await deadEndpoint();
  const pair = await createFakePair({ application: ok, mesh, endpoints: (own) => [dead, own] });
  for (let i = 0; i < 20; i++) {
    assert.match(await ask(pair.caller.outboundPort, i % 2 === 0 ? GET : POST), / 200 /);
  }
  assert.equal(pair.orders.records.length, 20);
  assert.equal(pair.web.metrics.ejection('connect_failures').value, 1);
  assert.equal(pair.web.metrics.retry('tried').value, 1);
  assert.deepEqual(
    pair.caller.endpoints().map(({ health }) => health),
    ['ejected', 'healthy'],
  );
  await pair.close();
});

test('a server that breaks off before its answer: GET is tried again, POST never', async () => {
  const breakFirst = (socket: Socket, _: string, before: number): void => {
    if (before === 0) socket.destroy();
    else answerWith(socket, 200);
  };
  await against(breakFirst, {}, async (pair, server) => {
    assert.match(await ask(pair.caller.outboundPort, GET), / 200 /);
    assert.equal(server.requests.length, 2);
  });
  await against(breakFirst, {}, async (pair, server) => {
    assert.match(await ask(pair.caller.outboundPort, POST), / 502 [^]*upstream_failed/);
    assert.deepEqual(server.requests, ['POST / HTTP/1.1']);
  });
});

test('a server that breaks off within its answer: nothing is tried again', async () => {
  const half = (socket: Socket): void => {
    socket.write('HTTP/1.1 200 OK\r\ncontent-le', () => socket.destroy());
  };
  await against(half, {}, async (pair, server) => {
    assert.match(await ask(pair.caller.outboundPort, GET), / 502 [^]*upstream_failed/);
    assert.equal(server.requests.length, 1);
  });
});

test('as many tries as the Service says, and no more', async () => {
  const traffic = { retries: { attempts: 3 } };
  await against(
    (socket) => socket.destroy(),
    traffic,
    async (pair, server) => {
      assert.match(await ask(pair.caller.outboundPort, GET), / 502 /);
      assert.equal(server.requests.length, 4);
      assert.equal(pair.web.metrics.retry('attempts_spent').value, 1);
    },
  );
  await against(
    (socket) => socket.destroy(),
    { retries: { attempts: 0 } },
    async (pair, server) => {
      assert.match(await ask(pair.caller.outboundPort, GET), / 502 /);
      assert.equal(server.requests.length, 1);
    },
  );
});

test('attack: a service that fails every call is not asked many times as often by its retries', async () => {
  const traffic = { retries: { attempts: 10, budget: { percent: 10, minPerSecond: 1 } } };
  const holding: Socket[] = [];
  await against(
    (socket) => holding.push(socket),
    traffic,
    async (pair, server) => {
      const answers = Array.from({ length: 20 }, () => ask(pair.caller.outboundPort, GET));
      while (server.requests.length < 20) await new Promise((resolve) => setImmediate(resolve));
      // All fail at once; from then on each answer fails at once.
      for (const socket of holding.splice(0)) socket.destroy();
      const stop = setInterval(() => {
        for (const socket of holding.splice(0)) socket.destroy();
      }, 1);
      for (const answer of await Promise.all(answers)) assert.match(answer, / 502 /);
      clearInterval(stop);
      // Ten per cent of twenty calls, and one a second over ten seconds.
      assert.equal(server.requests.length, 32);
      assert.ok(pair.web.metrics.retry('budget_spent').value >= 8);
    },
  );
});

test('502, 503 and 504 are tried again only where the Service asks for it', async () => {
  const badOnce = (socket: Socket, _: string, before: number): void =>
    answerWith(socket, before === 0 ? 503 : 200);
  await against(badOnce, {}, async (pair) => {
    assert.match(await ask(pair.caller.outboundPort, GET), / 503 /);
  });
  const traffic = { retries: { on: new Set(['gateway-error'] as const) } };
  await against(badOnce, traffic, async (pair, server) => {
    assert.match(await ask(pair.caller.outboundPort, GET), / 200 /);
    assert.equal(server.requests.length, 2);
  });
  await against(badOnce, traffic, async (pair, server) => {
    assert.match(await ask(pair.caller.outboundPort, POST), / 503 /);
    assert.equal(server.requests.length, 1);
  });
});

test('what a sidecar said for good is never asked for again; what never reached an application is', async () => {
  const on = new Set(['gateway-error', 'connect-failure', 'reset'] as const);
  const saying =
    (status: number, reason: string) =>
    (socket: Socket, _: string, before: number): void =>
      answerWith(socket, before === 0 ? status : 200, [`x-palisade-reason: ${reason}`]);
  const check = async (status: number, reason: string, requests: number): Promise<void> => {
    await against(saying(status, reason), { retries: { on } }, async (pair, server) => {
      await ask(pair.caller.outboundPort, GET);
      assert.equal(server.requests.length, requests, reason);
    });
  };
  await check(403, 'policy_denied', 1);
  await check(403, 'cannot_decide', 1);
  await check(503, 'upstream_identity_mismatch', 1);
  await check(502, 'upstream_failed', 1);
  await check(504, 'upstream_timeout', 1);
  await check(429, 'rate_limited', 1);
  await check(503, 'upstream_connect_failed', 2);
  await check(503, 'no_healthy_endpoint', 2);
});

test('a try has its own time-out, the call another one', async () => {
  const slowOnce = (socket: Socket, _: string, before: number): void => {
    if (before > 0) answerWith(socket, 200);
  };
  const traffic = { retries: { perTryMs: 150 } };
  await against(slowOnce, traffic, async (pair, server) => {
    assert.match(await ask(pair.caller.outboundPort, GET), / 200 /);
    assert.equal(server.requests.length, 2);
  });
  const never = (): void => {};
  await against(
    never,
    { retries: { perTryMs: 150, attempts: 10 } },
    async (pair, server) => {
      assert.match(await ask(pair.caller.outboundPort, GET), / 504 [^]*upstream_timeout/);
      assert.ok(server.requests.length <= 4, `${server.requests.length}`);
    },
    { requestMs: 400 },
  );
});

test('the time for the whole call bounds an answer that has begun, too', async () => {
  const trickle = (socket: Socket): void => {
    socket.write('HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n');
    const timer = setInterval(() => socket.write('x'), 20);
    socket.once('close', () => clearInterval(timer));
  };
  const check = async (pair: FakePair): Promise<void> => {
    const answer = await ask(pair.caller.outboundPort, GET);
    assert.match(answer, / 200 /);
    assert.equal(isWholeAnswer(answer), false);
    assert.equal(pair.web.records[0]?.reason, 'upstream_timeout');
  };
  await against(trickle, {}, check, { requestMs: 300 });
});

/** An application that answers when told to. */
function waiting(): { readonly application: EventEmitter; readonly handle: typeof ok } {
  const application = new EventEmitter();
  application.setMaxListeners(100);
  return {
    application,
    handle(_, response) {
      application.once('finish', () => response.end('ok'));
      application.emit('request');
    },
  };
}

for (const side of ['caller', 'server'] as const) {
  test(`more requests at once than the Service takes are 429, at the ${side}’s sidecar`, async () => {
    const { application, handle } = waiting();
    const limits = { maxRequests: 1 };
    const pair = await createFakePair({
      application: handle,
      mesh,
      ...(side === 'server'
        ? { limits }
        : { service: fakeService(mesh, 'orders', { traffic: { limits } }) }),
    });
    const arrived = once(application, 'request');
    const first = ask(pair.caller.outboundPort, GET);
    await arrived;
    const refused = await ask(pair.caller.outboundPort, GET);
    assert.match(refused, /^HTTP\/1\.1 429 [^]*x-palisade-reason: rate_limited/);
    assert.doesNotMatch(refused, /retry-after/);
    application.emit('finish');
    assert.match(await first, / 200 /);
    const again = once(application, 'request');
    const third = ask(pair.caller.outboundPort, GET);
    await again;
    application.emit('finish');
    assert.match(await third, / 200 /);
    await pair.close();
  });
}

test('with few connections for several endpoints, one that idles makes room for one that is needed', async () => {
  const other = await startFakeServer(mesh.issue('orders'), (socket) => answerWith(socket, 200));
  const limits = { maxConnections: 1, maxPendingRequests: 0 };
  const pair = await createFakePair({
    application: ok,
    mesh,
    service: fakeService(mesh, 'orders', { traffic: { loadBalancing: 'ROUND_ROBIN', limits } }),
    endpoints: (own) => [own, other.endpoint],
  });
  for (let i = 0; i < 6; i++) assert.match(await ask(pair.caller.outboundPort, GET), / 200 /);
  assert.equal(other.requests.length, 3);
  assert.equal(pair.orders.records.length, 3);
  await pair.close();
  other.close();
});

test('requests wait for a connection, in order, but no more than may wait', async () => {
  const { application, handle } = waiting();
  const limits = { maxConnections: 1, maxPendingRequests: 1 };
  const service = fakeService(mesh, 'orders', { traffic: { limits } });
  const pair = await createFakePair({ application: handle, mesh, service });
  const arrived = once(application, 'request');
  const first = ask(pair.caller.outboundPort, GET);
  await arrived;
  const second = ask(pair.caller.outboundPort, GET);
  const third = ask(pair.caller.outboundPort, GET);
  assert.match(await Promise.race([second, third]), /^HTTP\/1\.1 429 /);
  const next = once(application, 'request');
  application.emit('finish');
  assert.match(await first, / 200 /);
  await next;
  application.emit('finish');
  const answers = await Promise.all([second, third]);
  assert.equal(answers.filter((text) => text.includes(' 200 ')).length, 1);
  // All of it was given back.
  const last = once(application, 'request');
  const fourth = ask(pair.caller.outboundPort, GET);
  await last;
  application.emit('finish');
  assert.match(await fourth, / 200 /);
  await pair.close();
});

test('a caller that leaves while it waits for a connection leaves no place behind', async () => {
  const { application, handle } = waiting();
  const limits = { maxConnections: 1, maxPendingRequests: 1, maxRequests: 2 };
  const service = fakeService(mesh, 'orders', { traffic: { limits } });
  const pair = await createFakePair({ application: handle, mesh, service });
  const arrived = once(application, 'request');
  const first = ask(pair.caller.outboundPort, GET);
  await arrived;
  for (let i = 0; i < 5; i++) {
    const socket = connect(pair.caller.outboundPort ?? 0, '127.0.0.1');
    socket.write(GET);
    await once(socket, 'connect');
    const gone = pair.web.records.length;
    socket.resetAndDestroy();
    while (pair.web.records.length === gone) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.equal(pair.web.records.at(-1)?.reason, 'caller_gone');
  }
  application.emit('finish');
  assert.match(await first, / 200 /);
  await pair.close();
});

test('a connection serves as many requests, and as long, as the Service says', async () => {
  const answer = (socket: Socket): void => answerWith(socket, 200);
  const limits = { maxRequestsPerConnection: 3 };
  await against(answer, { limits }, async (pair, server) => {
    for (let i = 0; i < 9; i++) assert.match(await ask(pair.caller.outboundPort, GET), / 200 /);
    assert.equal(server.connections(), 3);
  });
  await against(answer, { limits: { maxConnectionMs: 40 } }, async (pair, server) => {
    await ask(pair.caller.outboundPort, GET);
    await new Promise((resolve) => setTimeout(resolve, 60));
    await ask(pair.caller.outboundPort, GET);
    assert.equal(server.connections(), 2);
  });
});

const TCP = [{ port: 6379, name: 'redis', protocol: 'tcp' }] as const;

test('TCP: more sessions than the Service takes are cut; another endpoint is tried where one is down', async () => {
  const echo = createServer((socket) => {
    socket.on('error', () => {
      // Sessions that end with their sidecar are reset.
    });
    socket.pipe(socket);
  }).listen(0, '127.0.0.1');
  await once(echo, 'listening');
  const dead = await deadEndpoint();
  const limits = { maxConnections: 2 };
  const pair = await createFakePair({
    application: { port: (echo.address() as { port: number }).port },
    mesh,
    inbound: TCP,
    service: fakeService(mesh, 'orders', { ports: TCP, traffic: { limits } }),
    upstreams: [{ service: 'orders', localPort: 0 }],
    endpoints: (own) => [dead, own],
  });
  const port = pair.caller.upstreamPorts[0] ?? 0;
  const open = async (): Promise<Socket> => {
    const socket = connect(port, '127.0.0.1');
    assert.equal(await talk(socket, 'A', (text) => text === 'A'), 'A');
    return socket;
  };
  const sockets = [await open(), await open()];
  assert.equal(await talk(connect(port, '127.0.0.1'), 'B'), '');
  assert.equal(pair.web.records.at(-1)?.reason, 'rate_limited');
  sockets[0]?.end();
  await once(sockets[0] as Socket, 'close');
  sockets.push(await open());
  for (const socket of sockets) socket.destroy();
  echo.close();
  await pair.close();
});
