import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import {
  connectH2,
  createProtocolPair,
  type H2Handler,
  requestH2,
  startH2Application,
} from './fake-http2.ts';
import { fakePolicy } from './fake-mesh.ts';
import { ask, type FakePair, talk } from './fake-pair.ts';

const GET = { ':method': 'GET', ':path': '/hello?x=1' } as const;
const POST = { ':method': 'POST', ':path': '/echo' } as const;

const ECHO: H2Handler = (stream, headers) => {
  stream.respond(
    { ':status': 200, 'x-path': headers[':path'], 'x-seen': JSON.stringify(headers) },
    { waitForTrailers: true },
  );
  stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': 'done' }));
  stream.pipe(stream);
};

async function withH2(
  check: (pair: FakePair) => Promise<void>,
  {
    handler = ECHO,
    ...options
  }: { readonly handler?: H2Handler } & Parameters<typeof createProtocolPair>[2] = {},
): Promise<void> {
  const application = await startH2Application(handler);
  const pair = await createProtocolPair('http2', { port: application.port }, options);
  try {
    await check(pair);
  } finally {
    await pair.close();
    application.close();
  }
}

test('HTTP/2 goes through a pair as HTTP/2: body, trailers, fields, identity, records', async () => {
  await withH2(async ({ caller, orders, web }) => {
    const session = connectH2(caller.outboundPort);
    const answer = await requestH2(
      session,
      { ...POST, 'x-note': 'a', cookie: ['a=1', 'b=2'], 'x-palisade-reason': 'forged' },
      'hello',
    );
    assert.equal(answer.headers[':status'], 200);
    assert.equal(answer.body, 'hello');
    assert.equal(answer.trailers['x-sum'], 'done');
    const seen = JSON.parse(`${answer.headers['x-seen']}`) as Record<string, string>;
    assert.equal(seen[':authority'], 'orders');
    assert.equal(seen['x-note'], 'a');
    assert.equal(seen['cookie'], 'a=1; b=2');
    assert.equal(seen['x-palisade-reason'], undefined);
    assert.match(seen['x-forwarded-client-cert'] ?? '', /URI=spiffe:.*\/sa\/web$/);
    assert.match(seen['traceparent'] ?? '', /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
    session.destroy();
    for (const { records } of [orders, web]) {
      const [record] = records;
      assert.equal(record?.method, 'POST');
      assert.equal(record.path, '/echo');
      assert.equal(record.status, 200);
      assert.equal(record.bytesIn, 5);
      assert.equal(record.bytesOut, 5);
      assert.equal(record.verdict, 'allow');
    }
  });
});

test('calls of HTTP/1.1 share one connection to an HTTP/2 server, and none of them is cancelled there', async () => {
  const sessions = new Set<unknown>();
  const codes: number[] = [];
  let count = 0;
  const handler: H2Handler = (stream) => {
    sessions.add(stream.session);
    stream.on('close', () => codes.push(stream.rstCode));
    stream.respond({ ':status': 200, 'content-length': '2' });
    // Go ends a long answer of a known length with a frame that has nothing in it.
    if (count++ % 2 === 0) stream.end('ok');
    else stream.write('ok', () => setImmediate(() => stream.end()));
  };
  await withH2(
    async ({ caller }) => {
      const socket = connect(caller.outboundPort ?? 0, '127.0.0.1');
      // More than a connection may have cancelled before it is given up.
      for (let call = 0; call < 70; call++) {
        const answer = await talk(socket, 'GET / HTTP/1.1\r\nhost: orders\r\n\r\n', (text) =>
          text.endsWith('ok'),
        );
        assert.match(answer, /^HTTP\/1\.1 200 /);
      }
      while (codes.length < 70) await new Promise(setImmediate);
      socket.destroy();
    },
    { handler },
  );
  assert.equal(sessions.size, 1);
  assert.deepEqual(new Set(codes), new Set([0]));
});

test('many requests share one connection to each server', async () => {
  const sessions = new Set<unknown>();
  const handler: H2Handler = (stream) => {
    sessions.add(stream.session);
    stream.respond({ ':status': 200 });
    stream.end('ok');
  };
  await withH2(
    async ({ caller }) => {
      const session = connectH2(caller.outboundPort);
      const answers = await Promise.all(Array.from({ length: 60 }, () => requestH2(session, GET)));
      assert.ok(answers.every(({ body }) => body === 'ok'));
      assert.equal(sessions.size, 1);
      session.destroy();
    },
    { handler },
  );
});

test('bodies of many megabytes pass both ways', async () => {
  await withH2(async ({ caller }) => {
    const session = connectH2(caller.outboundPort);
    const body = Buffer.alloc(6_000_000, 'abcdefghijklmnop');
    const answer = await requestH2(session, POST, body);
    assert.equal(answer.body.length, body.length);
    assert.equal(answer.body, body.toString('latin1'));
    session.destroy();
  });
});

test('a denial of policy is told as in HTTP/1.1, and the connection goes on', async () => {
  const policies = [fakePolicy('ALLOW', 'hello', { path: ['/hello'] })];
  await withH2(
    async ({ caller, orders }) => {
      const session = connectH2(caller.outboundPort);
      const denied = await requestH2(session, POST, 'hello');
      assert.equal(denied.headers[':status'], 403);
      assert.equal(denied.headers['x-palisade-reason'], 'policy_denied');
      assert.equal(typeof denied.headers['x-palisade-denial'], 'string');
      assert.match(denied.body, /^policy_denied: /);
      const allowed = await requestH2(session, GET);
      assert.equal(allowed.headers[':status'], 200);
      assert.equal(orders.records[0]?.verdict, 'deny');
      session.destroy();
    },
    { policies },
  );
});

const REFUSED: readonly (readonly [string, Record<string, string>, number])[] = [
  ['a dot segment', { ':path': '/a/../admin' }, 400],
  ['an escaped slash', { ':path': '/a%2fadmin' }, 400],
  ['a bad host', { ':authority': 'orders/x' }, 400],
  ['userinfo', { ':authority': 'user@orders' }, 400],
  ['a fragment', { ':path': '/a#b' }, 400],
  ['a method in lower case', { ':method': 'get' }, 400],
  ['a foreign scheme', { ':scheme': 'ftp' }, 400],
  ['an unknown expectation', { expect: '200-ok' }, 400],
  ['a field that only a sidecar may set, with underscores', { x_forwarded_client_cert: 'x' }, 200],
  ['a framing field with underscores', { transfer_encoding: 'chunked' }, 400],
];

test('attack: a cookie in crumbs is judged as the one field that its server reads', async () => {
  const handler: H2Handler = (stream, headers) => {
    stream.respond({ ':status': 200 });
    stream.end(headers.cookie);
  };
  const policies = [
    fakePolicy('ALLOW', 'all', { principal: ['*'] }),
    fakePolicy('DENY', 'debug', { 'header:cookie': ['debug=1; a=b'] }),
  ];
  await withH2(
    async ({ caller }) => {
      const session = connectH2(caller.outboundPort);
      const statuses: unknown[] = [];
      for (const cookie of [['debug=1; a=b'], ['debug=1', 'a=b'], ['a=b', 'debug=1']]) {
        const { headers, body } = await requestH2(session, { ...GET, cookie });
        statuses.push(headers[':status'] === 200 ? body : headers[':status']);
      }
      assert.deepEqual(statuses, [403, 403, 'a=b; debug=1']);
      session.destroy();
    },
    { handler, policies },
  );
});

test('an ambiguous request is 400 before anything of it is forwarded', async () => {
  let reached = 0;
  const handler: H2Handler = (stream, headers) => {
    reached++;
    assert.equal(headers['x_forwarded_client_cert'], undefined);
    stream.respond({ ':status': 200 });
    stream.end();
  };
  await withH2(
    async ({ caller }) => {
      const session = connectH2(caller.outboundPort);
      for (const [name, fields, status] of REFUSED) {
        const answer = await requestH2(session, { ...GET, ...fields });
        assert.equal(answer.headers[':status'] ?? 400, status, name);
      }
      assert.equal(reached, 1);
      session.destroy();
    },
    { handler },
  );
});

test('HTTP/2 callers reach an application that speaks HTTP/1.1, with trailers and long bodies', async () => {
  const pair = await createProtocolPair('http', (request, response) => {
    response.writeHead(200, {
      'x-te': `${request.headers['transfer-encoding']}`,
      trailer: 'x-sum',
    });
    request.on('end', () => response.addTrailers({ 'x-sum': 'done' }));
    request.pipe(response);
  });
  const session = connectH2(pair.caller.outboundPort);
  const body = Buffer.alloc(3_000_000, 'abc');
  const answer = await requestH2(session, POST, body);
  assert.equal(answer.headers[':status'], 200);
  assert.equal(answer.headers['x-te'], 'chunked');
  assert.equal(answer.headers['transfer-encoding'], undefined);
  assert.equal(answer.body.length, body.length);
  assert.equal(answer.trailers['x-sum'], 'done');
  const measured = await requestH2(session, { ...POST, 'content-length': '5' }, 'hello');
  assert.equal(measured.headers['x-te'], 'undefined');
  assert.equal(measured.body, 'hello');
  session.destroy();
  await pair.close();
});

/** Letters x in `x-path`, `x-seen` and what the latter quotes, and in `x-sum`. */
const X_IN_HEAD = 4;

test('HTTP/1.1 callers reach an application that speaks HTTP/2, with trailers and long bodies', async () => {
  await withH2(async ({ caller }) => {
    const small = await ask(
      caller.outboundPort,
      'POST /echo HTTP/1.1\r\nHost: orders\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello',
    );
    assert.match(small, /^HTTP\/1\.1 200 /);
    assert.match(small, /hello/);
    const socket = connect(caller.outboundPort ?? 0, '127.0.0.1');
    const data = 'x'.repeat(500_000);
    const size = data.length.toString(16);
    const chunked = await talk(
      socket,
      `POST /echo HTTP/1.1\r\nHost: orders\r\nTransfer-Encoding: chunked\r\n\r\n${size}\r\n${data}\r\n0\r\n\r\n`,
      (text) => text.endsWith('x-sum: done\r\n\r\n'),
    );
    assert.equal(chunked.match(/x/g)?.length, data.length + X_IN_HEAD);
    socket.destroy();
    const none = await ask(
      caller.outboundPort,
      'HEAD /hello HTTP/1.1\r\nHost: orders\r\nConnection: close\r\n\r\n',
    );
    assert.match(none, /^HTTP\/1\.1 200 /);
  });
});

test('a caller that cancels takes its request along to the application', async () => {
  let cancelled: (code: number) => void = () => undefined;
  const seen = new Promise<number>((resolve) => {
    cancelled = resolve;
  });
  const handler: H2Handler = (stream) => {
    stream.respond({ ':status': 200 });
    stream.write('first');
    stream.on('close', () => cancelled(stream.rstCode));
  };
  await withH2(
    async ({ caller, orders }) => {
      const session = connectH2(caller.outboundPort);
      const stream = session.request({ ':authority': 'orders', ...GET });
      stream.on('error', () => undefined);
      stream.once('data', () => stream.close(8));
      assert.equal(await seen, 8);
      assert.equal(orders.records[0]?.reason, 'caller_gone');
      session.destroy();
    },
    { handler },
  );
});

test('a body that breaks off at the server never looks whole', async () => {
  const handler: H2Handler = (stream) => {
    stream.respond({ ':status': 200 });
    stream.write('first');
    setImmediate(() => stream.session?.destroy());
  };
  await withH2(
    async ({ caller }) => {
      const session = connectH2(caller.outboundPort);
      const answer = await requestH2(session, GET);
      assert.notEqual(answer.code, 0);
      session.destroy();
    },
    { handler },
  );
});

test('an application that does not listen is told in HTTP/2, and as something to try again', async () => {
  const application = await startH2Application(ECHO);
  const pair = await createProtocolPair('http2', { port: application.port });
  application.close();
  const session = connectH2(pair.caller.outboundPort);
  const answer = await requestH2(session, GET);
  assert.equal(answer.headers[':status'], 503);
  assert.equal(answer.headers['x-palisade-reason'], 'upstream_connect_failed');
  assert.equal(answer.headers['retry-after'], '1');
  session.destroy();
  await pair.close();
});
