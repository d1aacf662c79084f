import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createH2Server, type ServerHttp2Stream } from 'node:http2';
import { type AddressInfo, createServer } from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Limits } from '#snapshot';
import { dialTcp } from './dial.ts';
import type { EndpointGroup } from './endpoint-group.ts';
import { connectH2, requestH2 } from './fake-http2.ts';
import { createFakeMesh, fakeService, fakeTraffic } from './fake-mesh.ts';
import { createFakePair, type FakePair } from './fake-pair.ts';
import { type H2Dial, H2Pool, type H2Reached } from './h2-pool.ts';
import { H2Upstream } from './h2-upstream.ts';

const GET = { ':method': 'GET', ':path': '/' } as const;
const POST = { ':method': 'POST', ':path': '/' } as const;
const PORTS = [{ port: 80, name: 'main', protocol: 'http2' as const }];

/** A pair in front of an HTTP/2 application; `sessions` counts the connections that it has had. */
async function withPair(
  {
    maxStreams,
    limits = {},
    serve,
  }: {
    readonly maxStreams?: number;
    readonly limits?: Partial<Limits>;
    readonly serve: (stream: ServerHttp2Stream) => void;
  },
  use: (pair: FakePair, sessions: () => number) => Promise<void>,
): Promise<void> {
  const settings = maxStreams === undefined ? {} : { maxConcurrentStreams: maxStreams };
  const application = createH2Server({ settings });
  let sessions = 0;
  application.on('session', () => sessions++);
  application.on('stream', serve);
  application.listen(0, '127.0.0.1');
  await once(application, 'listening');
  const mesh = createFakeMesh();
  const pair = await createFakePair({
    mesh,
    limits,
    inbound: PORTS,
    service: fakeService(mesh, 'orders', { ports: PORTS, traffic: { limits } }),
    application: { port: (application.address() as AddressInfo).port },
  });
  try {
    await use(pair, () => sessions);
  } finally {
    await pair.close();
    application.close();
  }
}

const answer = (stream: ServerHttp2Stream): void => {
  stream.respond({ ':status': 200 });
  stream.end('ok');
};

test('a burst of calls to a server of few streams waits for what it takes: none is refused and lost', async () => {
  const serve = (stream: ServerHttp2Stream): void => {
    stream.on('end', () => setTimeout(() => answer(stream), 5));
    stream.resume();
  };
  await withPair({ maxStreams: 10, serve }, async ({ caller, web }) => {
    const sessions = Array.from({ length: 3 }, () => connectH2(caller.outboundPort));
    // More than is kept to be sent again.
    const body = Buffer.alloc(10_000, 'x');
    const answers = await Promise.all(
      sessions.flatMap((one) => Array.from({ length: 40 }, () => requestH2(one, POST, body))),
    );
    assert.deepEqual(new Set(answers.map(({ headers }) => headers[':status'])), new Set([200]));
    assert.equal(web.records.filter(({ reason }) => reason !== null).length, 0);
    for (const one of sessions) one.destroy();
  });
});

test('a connection serves as many streams, and as long, as its Service says', async () => {
  const cases: readonly [Partial<Limits>, number][] = [
    [{ maxRequestsPerConnection: 2 }, 3],
    [{ maxConnectionMs: 30 }, 5],
    [{}, 1],
  ];
  for (const [limits, wanted] of cases) {
    await withPair({ limits, serve: answer }, async ({ caller }, count) => {
      const session = connectH2(caller.outboundPort);
      for (let call = 0; call < 5; call++) {
        assert.equal((await requestH2(session, GET)).headers[':status'], 200);
        await sleep(40);
      }
      assert.equal(count(), wanted, JSON.stringify(limits));
      session.destroy();
    });
  }
});

test('whoever waits for a server that never says a word of HTTP/2 is told that it cannot be reached', async () => {
  const silent = createServer((socket) => socket.on('error', () => socket.destroy()));
  silent.listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const { port } = silent.address() as AddressInfo;
  const dial: H2Dial = (make, done) =>
    dialTcp({ host: '127.0.0.1', port }, { timeoutMs: 1_000 }, (dialed) => {
      if (dialed.kind === 'failed') return done(dialed);
      done({
        kind: 'connected',
        connection: make((events) => new H2Upstream(dialed.pipe, events)),
      });
    });
  const pool = new H2Pool(
    () => 30_000,
    () => undefined,
    10,
  );
  const group = { traffic: fakeTraffic() } as EndpointGroup;
  const reach = (): Promise<H2Reached> =>
    new Promise((resolve) => pool.reach({ key: 'k', group }, dial, resolve));
  const first = reach().then((reached) => {
    if (reached.kind === 'failed') return reached;
    const request = { method: 'GET', target: '/', host: 'h', fields: [], contentLength: -1 };
    const nobody = () => undefined;
    const sink = {
      onAnswer: nobody,
      onAnswerData: nobody,
      onAnswerTrailers: nobody,
      onLegDrain: nobody,
      onLegFailure: nobody,
    };
    assert.ok(reached.connection.open({ ...request, isEnd: true }, sink), 'the first one is sent');
    return reached;
  });
  const second = reach();
  assert.equal((await first).kind, 'connected');
  const refused = await second;
  assert.equal(refused.kind, 'failed');
  assert.equal(refused.failure.detail, 'h2_settings_timeout');
  pool.close();
  silent.close();
});
