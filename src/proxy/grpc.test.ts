import assert from 'node:assert/strict';
import type { ClientHttp2Session, IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import {
  connectH2,
  createProtocolPair,
  type H2Answer,
  type H2Handler,
  requestH2,
  startH2Application,
} from './fake-http2.ts';
import { fakePolicy, fakeSnapshot } from './fake-mesh.ts';
import { ALLOW_WEB, type FakePair } from './fake-pair.ts';
import { isGrpc, parseGrpcTimeout } from './grpc.ts';

const CALL = {
  ':method': 'POST',
  ':path': '/shop.Orders/Take',
  'content-type': 'application/grpc',
  te: 'trailers',
} as const;
const MESSAGE = Buffer.concat([Buffer.from([0, 0, 0, 0, 5]), Buffer.from('hello')]);

const ECHO: H2Handler = (stream) => {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  stream.pipe(stream);
};

type Grpc = { readonly pair: FakePair; readonly session: ClientHttp2Session };

async function withGrpc(
  handler: H2Handler,
  check: (grpc: Grpc) => Promise<void>,
  options: Parameters<typeof createProtocolPair>[2] = {},
): Promise<void> {
  const application = await startH2Application(handler);
  const pair = await createProtocolPair('grpc', { port: application.port }, options);
  const session = connectH2(pair.caller.outboundPort);
  try {
    await check({ pair, session });
  } finally {
    session.destroy();
    await pair.close();
    application.close();
  }
}

/** The status of a call, from its trailers or its only head. */
function statusOf({ headers, trailers }: H2Answer): Record<string, unknown> {
  const from = trailers['grpc-status'] === undefined ? headers : trailers;
  return { http: headers[':status'], grpc: from['grpc-status'], reason: from['x-palisade-reason'] };
}

test('a denial is PERMISSION_DENIED in a head of its own, with its id, and nothing to try again', async () => {
  const policies = [fakePolicy('ALLOW', 'other', { path: ['/other'] })];
  await withGrpc(
    ECHO,
    async ({ pair, session }) => {
      const answer = await requestH2(session, CALL, MESSAGE);
      assert.deepEqual(statusOf(answer), { http: 200, grpc: '7', reason: 'policy_denied' });
      assert.match(
        `${answer.headers['grpc-message']}`,
        /^policy_denied: denied by policy \([0-9a-f]+\)$/,
      );
      assert.equal(answer.headers['grpc-retry-pushback-ms'], '-1');
      assert.equal(answer.headers['content-type'], 'application/grpc');
      assert.equal(answer.body, '');
      for (const { records } of [pair.orders, pair.web]) {
        assert.equal(records[0]?.reason, 'policy_denied');
        assert.equal(records[0].status, 403);
        assert.equal(records[0].grpcStatus, 7);
        assert.equal(records[0].denialId, answer.headers['x-palisade-denial']);
      }
    },
    { policies },
  );
});

const FAILURES: readonly (readonly [
  name: string,
  fields: Record<string, string>,
  grpc: string,
  reason: string,
])[] = [
  ['a service that nobody knows', { ':authority': 'nobody' }, '5', 'no_such_service'],
  ['an ambiguous path', { ':path': '/a/../b' }, '3', 'bad_request'],
];

test('what fails before a server is reached has its gRPC status', async () => {
  await withGrpc(ECHO, async ({ session }) => {
    for (const [name, fields, grpc, reason] of FAILURES) {
      const answer = await requestH2(session, { ...CALL, ...fields }, MESSAGE);
      assert.deepEqual(statusOf(answer), { http: 200, grpc, reason }, name);
    }
  });
});

test('an application that does not listen is UNAVAILABLE, and may be tried again', async () => {
  const application = await startH2Application(ECHO);
  const pair = await createProtocolPair('grpc', { port: application.port });
  application.close();
  const session = connectH2(pair.caller.outboundPort);
  const answer = await requestH2(session, CALL, MESSAGE);
  assert.equal(statusOf(answer)['grpc'], '14');
  assert.equal(answer.headers['grpc-retry-pushback-ms'], undefined);
  session.destroy();
  await pair.close();
});

test('a deadline is kept: DEADLINE_EXCEEDED, and the server hears that nobody waits', async () => {
  let cancelled: (code: number) => void = () => undefined;
  const heard = new Promise<number>((resolve) => {
    cancelled = resolve;
  });
  const handler: H2Handler = (stream) => {
    stream.on('close', () => cancelled(stream.rstCode));
  };
  await withGrpc(handler, async ({ session }) => {
    const answer = await requestH2(session, { ...CALL, 'grpc-timeout': '150m' }, MESSAGE);
    assert.deepEqual(statusOf(answer), { http: 200, grpc: '4', reason: 'upstream_timeout' });
    assert.equal(await heard, 8);
  });
});

test('a stream without a deadline may be silent for longer than any time-out', async () => {
  const handler: H2Handler = (stream) => {
    stream.respond(
      { ':status': 200, 'content-type': 'application/grpc' },
      { waitForTrailers: true },
    );
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    void delay(900).then(() => stream.end(MESSAGE));
  };
  const timeouts = { responseMs: 200, idleMs: 300 };
  await withGrpc(
    handler,
    async ({ session }) => {
      const answer = await requestH2(session, CALL, MESSAGE);
      assert.equal(answer.trailers['grpc-status'], '0');
    },
    { timeouts },
  );
});

test('the time that a Service gives a whole call holds for streams too', async () => {
  const handler: H2Handler = (stream) => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
    stream.write(MESSAGE);
  };
  await withGrpc(
    handler,
    async ({ session }) => {
      const answer = await requestH2(session, CALL, MESSAGE);
      assert.equal(answer.trailers['grpc-status'], '4');
      assert.equal(answer.trailers['x-palisade-reason'], 'upstream_timeout');
    },
    // Long enough for the answer to begin on a busy machine too: what is cut before is told in a head.
    { timeouts: { requestMs: 1_000 } },
  );
});

test('a server that breaks off in the middle ends the call with UNAVAILABLE', async () => {
  const handler: H2Handler = (stream) => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
    stream.write(MESSAGE);
    setTimeout(() => stream.session?.destroy(), 20);
  };
  await withGrpc(handler, async ({ session }) => {
    const answer = await requestH2(session, CALL, MESSAGE);
    assert.equal(answer.trailers['grpc-status'], '14');
    assert.equal(answer.trailers['x-palisade-reason'], 'upstream_failed');
  });
});

test('messages of many megabytes pass, in both directions', async () => {
  const size = 9_000_000;
  const head = Buffer.alloc(5);
  head.writeUInt32BE(size, 1);
  const message = Buffer.concat([head, Buffer.alloc(size, 'palisade')]);
  await withGrpc(ECHO, async ({ session }) => {
    const answer = await requestH2(session, CALL, message);
    assert.equal(answer.trailers['grpc-status'], '0');
    assert.equal(answer.body.length, message.length);
  });
});

test('trailers-only answers and custom metadata pass as they are', async () => {
  let seen: IncomingHttpHeaders = {};
  const handler = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void => {
    seen = headers;
    stream.respond(
      {
        ':status': 200,
        'content-type': 'application/grpc',
        'grpc-status': '9',
        'grpc-message': 'no%20stock',
      },
      { endStream: true },
    );
  };
  await withGrpc(handler, async ({ session, pair }) => {
    const metadata = { 'x-team': 'a', 'trace-bin': 'AAEC', 'grpc-timeout': '5S' };
    const answer = await requestH2(session, { ...CALL, ...metadata }, MESSAGE);
    assert.equal(answer.headers['grpc-status'], '9');
    assert.equal(answer.headers['grpc-message'], 'no%20stock');
    for (const [name, value] of Object.entries(metadata)) assert.equal(seen[name], value);
    assert.equal(seen['te'], 'trailers');
    assert.equal(pair.orders.records[0]?.reason, null);
    for (const { records } of [pair.orders, pair.web]) assert.equal(records[0]?.grpcStatus, 9);
  });
});

test('what the server did not process is sent again, once for each connection it has', async () => {
  let calls = 0;
  const handler: H2Handler = (stream, headers) => {
    if (++calls === 1) stream.close(7);
    else ECHO(stream, headers);
  };
  await withGrpc(handler, async ({ session }) => {
    const answer = await requestH2(session, CALL, MESSAGE);
    assert.equal(answer.trailers['grpc-status'], '0');
    assert.equal(answer.body.length, MESSAGE.length);
    assert.equal(calls, 2);
  });
});

test('a change of policy cuts a stream at once, with PERMISSION_DENIED', async () => {
  const handler: H2Handler = (stream) => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
    stream.write(MESSAGE);
  };
  await withGrpc(handler, async ({ session, pair }) => {
    const answered = requestH2(session, CALL, MESSAGE);
    await delay(100);
    const startedAt = performance.now();
    pair.orders.snapshots.set(
      fakeSnapshot(pair.mesh, { service: 'orders', policies: [], inbound: [{ protocol: 'grpc' }] }),
    );
    const answer = await answered;
    assert.ok(performance.now() - startedAt < 1_000);
    assert.equal(answer.trailers['grpc-status'], '7');
    assert.equal(pair.orders.records[0]?.verdict, 'deny');
  });
});

test('a call that policy allows again after a change goes on', async () => {
  await withGrpc(ECHO, async ({ session, pair }) => {
    const stream = session.request({ ':authority': 'orders', ...CALL });
    const got = new Promise<string>((resolve) =>
      stream.once('data', (chunk) => resolve(`${chunk}`)),
    );
    stream.write('one');
    assert.equal(await got, 'one');
    const inbound = [{ protocol: 'grpc' as const }];
    pair.orders.snapshots.set(
      fakeSnapshot(pair.mesh, { service: 'orders', policies: [ALLOW_WEB], inbound }),
    );
    const more = new Promise<string>((resolve) =>
      stream.once('data', (chunk) => resolve(`${chunk}`)),
    );
    stream.end('two');
    assert.equal(await more, 'two');
  });
});

test('the fields of gRPC are read as its specification has them', () => {
  const types = ['application/grpc', 'application/grpc+proto', 'application/grpc;x=y'];
  for (const type of types) assert.ok(isGrpc(['a', 'b', 'content-type', type]), type);
  for (const type of ['application/grpc-web', 'application/json', 'application/grpcx'])
    assert.equal(isGrpc(['content-type', type]), false, type);
  const times: readonly (readonly [string, number | undefined])[] = [
    ['1H', 3_600_000],
    ['2M', 120_000],
    ['10S', 10_000],
    ['150m', 150],
    ['1000u', 1],
    ['99999999n', 99.999999],
    ['100000000S', undefined],
    ['1', undefined],
    ['1s', undefined],
    ['-1S', undefined],
    ['', undefined],
  ];
  for (const [text, ms] of times) assert.equal(parseGrpcTimeout(text), ms, text);
});
