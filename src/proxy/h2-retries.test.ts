import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import type { PortProtocol } from '#lib';
import {
  connectH2,
  type H2Answer,
  type H2Handler,
  requestH2,
  startH2Application,
} from './fake-http2.ts';
import { createFakeMesh, type FakeMesh, type FakeTraffic, fakeService } from './fake-mesh.ts';
import { createFakePair, type FakePair } from './fake-pair.ts';
import { answerWith, startFakeServer, startTlsFront } from './fake-server.ts';

const GET = { ':method': 'GET', ':path': '/' } as const;
const POST = { ':method': 'POST', ':path': '/' } as const;
const RPC = {
  ...POST,
  'content-type': 'application/grpc',
  te: 'trailers',
} as const;
const MESSAGE = Buffer.from([0, 0, 0, 0, 1, 7]);
const CANCEL = 8;
const REFUSED_STREAM = 7;

let mesh: FakeMesh;

before(() => {
  mesh = createFakeMesh();
});

/** What the server does with a stream; `before` counts those that came earlier. */
type Behaviour = (
  stream: Parameters<H2Handler>[0],
  before: number,
  headers: Parameters<H2Handler>[1],
) => void;

type Situation = {
  readonly pair: FakePair;
  readonly ask: (headers: Record<string, string>, body?: Buffer) => Promise<H2Answer>;
  /** Streams that the server has seen. */
  readonly streams: () => number;
};

/** A caller's sidecar before a server of HTTP/2 whose every stream is the test's. */
async function against(
  behave: Behaviour,
  traffic: FakeTraffic,
  use: (situation: Situation) => Promise<void>,
): Promise<void> {
  let streams = 0;
  const application = await startH2Application((stream, headers) =>
    behave(stream, streams++, headers),
  );
  const front = await startTlsFront(mesh.issue('orders'), application.port);
  const protocol: PortProtocol = 'http2';
  const service = fakeService(mesh, 'orders', {
    traffic,
    ports: [{ port: 80, name: 'main', protocol }],
  });
  const pair = await createFakePair({
    application: (_, response) => response.end(),
    mesh,
    service,
    endpoints: () => [front.endpoint],
  });
  const session = connectH2(pair.caller.outboundPort);
  try {
    const ask = (headers: Record<string, string>, body?: Buffer) =>
      requestH2(session, headers, body);
    await use({ pair, ask, streams: () => streams });
  } finally {
    session.destroy();
    await pair.close();
    front.close();
    application.close();
  }
}

const answer = (stream: Parameters<H2Handler>[0], status = 200, more = {}): void => {
  stream.resume();
  stream.respond({ ':status': status, ...more });
  stream.end('ok');
};

/** The first `count` streams end with `code`, the others are answered. */
const breakFirst =
  (code: number, count = 1): Behaviour =>
  (stream, before) => {
    if (before < count) stream.close(code);
    else answer(stream);
  };

function check(
  name: string,
  behave: Behaviour,
  expected: { readonly status: number; readonly streams: number },
  about: {
    readonly headers?: Record<string, string>;
    readonly body?: Buffer;
    readonly traffic?: FakeTraffic;
  } = {},
): void {
  test(name, async () => {
    await against(behave, about.traffic ?? {}, async ({ ask, streams }) => {
      const { headers } = await ask(about.headers ?? GET, about.body);
      assert.equal(headers[':status'], expected.status);
      assert.equal(streams(), expected.streams);
    });
  });
}

const BODY = Buffer.from('abc');
check('broken off before an answer: GET is tried again', breakFirst(CANCEL), {
  status: 200,
  streams: 2,
});
check(
  'broken off before an answer: POST never',
  breakFirst(CANCEL),
  { status: 502, streams: 1 },
  { headers: POST, body: BODY },
);
check(
  'broken off before an answer: nor a PUT whose body was sent',
  breakFirst(CANCEL),
  { status: 502, streams: 1 },
  { headers: { ...GET, ':method': 'PUT' }, body: BODY },
);
check(
  'broken off before an answer: not where the Service says 0 attempts',
  breakFirst(CANCEL),
  { status: 502, streams: 1 },
  { traffic: { retries: { attempts: 0 } } },
);
check('as many tries as the Service says', breakFirst(CANCEL, 9), { status: 502, streams: 3 });
check(
  'refused unprocessed: POST is sent again, for nothing',
  breakFirst(REFUSED_STREAM),
  { status: 200, streams: 2 },
  { headers: POST, body: BODY, traffic: { retries: { attempts: 0 } } },
);
check(
  'refused unprocessed again and again: by the rules of retries',
  breakFirst(REFUSED_STREAM, 9),
  { status: 502, streams: 4 },
  { headers: POST, body: BODY },
);
const GATEWAY = { retries: { on: new Set(['gateway-error'] as const) } };
const badFirst: Behaviour = (stream, before) => answer(stream, before === 0 ? 503 : 200);
check('503: passed on', badFirst, { status: 503, streams: 1 });
check(
  '503: tried again where the Service asks for it',
  badFirst,
  { status: 200, streams: 2 },
  { traffic: GATEWAY },
);
check(
  '503: POST never',
  badFirst,
  { status: 503, streams: 1 },
  { traffic: GATEWAY, headers: POST, body: BODY },
);
const ALL = new Set(['gateway-error', 'connect-failure', 'reset'] as const);
for (const [status, reason, streams] of [
  [403, 'policy_denied', 1],
  [502, 'upstream_failed', 1],
  [504, 'upstream_timeout', 1],
  [503, 'upstream_identity_mismatch', 1],
  [503, 'upstream_connect_failed', 2],
  [503, 'no_healthy_endpoint', 2],
] as const) {
  check(
    `a peer's sidecar says ${reason}: ${streams === 1 ? 'for good' : 'tried again'}`,
    (stream, before) =>
      before === 0 ? answer(stream, status, { 'x-palisade-reason': reason }) : answer(stream),
    { status: streams === 1 ? status : 200, streams },
    { traffic: { retries: { on: ALL } } },
  );
}
check(
  'a try has its own time-out',
  (stream, before) => {
    if (before > 0) answer(stream);
  },
  { status: 200, streams: 2 },
  { traffic: { retries: { perTryMs: 150 } } },
);
check(
  'a try has its own time-out: POST is not tried again',
  () => undefined,
  { status: 504, streams: 1 },
  { traffic: { retries: { perTryMs: 150 } }, headers: POST, body: BODY },
);

test('gRPC: a call that its server may have processed is never sent again, one that it refused is', async () => {
  for (const [code, status, expected] of [
    [CANCEL, '14', 1],
    [REFUSED_STREAM, undefined, 2],
  ] as const) {
    await against(breakFirst(code), {}, async ({ ask, streams, pair }) => {
      const { headers } = await ask(RPC, MESSAGE);
      assert.equal(headers['grpc-status'], status);
      assert.equal(streams(), expected);
      assert.equal(pair.web.records[0]?.grpcStatus, status === undefined ? -1 : 14);
    });
  }
});

test('attack: a service that breaks off every HTTP/2 call is not asked many times as often', async () => {
  const budget = { percent: 10, minPerSecond: 1 };
  const held: Parameters<H2Handler>[0][] = [];
  const behave: Behaviour = (stream, before) => {
    held.push(stream);
    // Twenty calls at once, and from then on each try fails by itself.
    if (before >= 19) for (const each of held.splice(0)) each.close(CANCEL);
  };
  await against(behave, { retries: { attempts: 10, budget } }, async ({ pair, ask, streams }) => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask(GET)));
    for (const { headers } of answers) assert.equal(headers[':status'], 502);
    // Ten per cent of twenty calls, and one a second over ten seconds.
    assert.equal(streams(), 32);
    assert.ok(pair.web.metrics.retry('budget_spent').value >= 8);
  });
});

test('an HTTP/2 caller of a server of HTTP/1.1: a try has its own time-out there, too', async () => {
  const server = await startFakeServer(mesh.issue('orders'), (socket, _, before) => {
    if (before > 0) answerWith(socket, 200);
  });
  const service = fakeService(mesh, 'orders', { traffic: { retries: { perTryMs: 150 } } });
  const pair = await createFakePair({
    application: (_, response) => response.end(),
    mesh,
    service,
    endpoints: () => [server.endpoint],
  });
  const session = connectH2(pair.caller.outboundPort);
  const { headers } = await requestH2(session, GET);
  assert.equal(headers[':status'], 200);
  assert.equal(server.requests.length, 2);
  session.destroy();
  await pair.close();
  server.close();
});
