import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import {
  type AddressInfo,
  createServer as createTcpServer,
  type Server,
  type Socket,
} from 'node:net';
import { type TestContext, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import type { SinkHttp } from '#resource';
import { createAddressGuard } from '../address-guard.ts';
import { fakeRecord } from '../fake-evidence.ts';
import { createFakeSurroundings, createFakeTls } from '../fake-surroundings.ts';
import { jsonDelivery } from '../formats/json.ts';
import type { Outcome } from '../receiver.ts';
import type { Surroundings } from '../surroundings.ts';
import { createOtlpHttp } from './otlp-http.ts';
import { createWebhook } from './webhook.ts';

const BATCH = [fakeRecord(1), fakeRecord(2)];
const KEY = 'a signing secret of tests';

async function listen(t: TestContext, server: Server): Promise<number> {
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => sockets.add(socket));
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return (server.address() as AddressInfo).port;
}

function surroundingsOf(t: TestContext, changes: Partial<Surroundings> = {}) {
  const surroundings = createFakeSurroundings(changes);
  surroundings.putSecret('hook', `${KEY}\n`);
  surroundings.putSecret('token', 'Bearer s3cr3t-t0k3n');
  t.after(surroundings.remove);
  return surroundings;
}

async function deliver(
  t: TestContext,
  endpoint: string,
  options: {
    readonly surroundings?: Partial<Surroundings>;
    readonly http?: Partial<SinkHttp>;
    readonly timeoutMs?: number;
    readonly as?: 'webhook' | 'otlp';
  } = {},
): Promise<Outcome> {
  const surroundings = surroundingsOf(t, options.surroundings);
  const http = { endpoint, compression: 'none' as const, ...options.http };
  const webhook = { ...http, signing: { secret: { file: 'hook' } } };
  const receiver =
    options.as === 'otlp'
      ? createOtlpHttp(http, surroundings)
      : createWebhook(webhook, surroundings, (batch, id) =>
          jsonDelivery(batch, { id, sink: 'test' }),
        );
  t.after(() => receiver.close());
  return await receiver.deliver(BATCH, AbortSignal.timeout(options.timeoutMs ?? 2_000));
}

function answering(t: TestContext, listener: RequestListener): Promise<number> {
  return listen(t, createServer(listener));
}

/** A server of bytes: whatever it is sent, it does `work` with the connection. */
function raw(t: TestContext, work: (socket: Socket) => void): Promise<number> {
  return listen(
    t,
    createTcpServer((socket) => {
      socket.on('error', () => {
        // The client may leave at any time.
      });
      socket.once('data', () => work(socket));
    }),
  );
}

const STATUSES: readonly (readonly [number, Outcome['kind']])[] = [
  [200, 'delivered'],
  [204, 'delivered'],
  [301, 'retry'],
  [400, 'refused'],
  [401, 'retry'],
  [403, 'retry'],
  [404, 'retry'],
  [413, 'refused'],
  [422, 'refused'],
  [429, 'retry'],
  [500, 'retry'],
  [503, 'retry'],
];

for (const [status, kind] of STATUSES) {
  test(`an answer of ${status} means ${kind}`, async (t) => {
    const port = await answering(t, (_request, response) => response.writeHead(status).end());
    assert.equal((await deliver(t, `http://127.0.0.1:${port}/in`)).kind, kind);
  });
}

test('Retry-After is honoured in seconds and as a date, and up to ten minutes', async (t) => {
  const soon = new Date(Date.now() + 30_000).toUTCString();
  const cases: readonly (readonly [string, number, number])[] = [
    ['7', 7_000, 7_000],
    [soon, 28_000, 30_000],
    ['999999', 600_000, 600_000],
    ['-5', 0, 0],
  ];
  for (const [value, least, most] of cases) {
    const port = await answering(t, (_request, response) =>
      response.writeHead(429, { 'retry-after': value }).end(),
    );
    const outcome = await deliver(t, `http://127.0.0.1:${port}`);
    assert.ok(outcome.kind === 'retry');
    const after = outcome.afterMs ?? 0;
    assert.ok(after >= least && after <= most, `${value}: ${after}`);
  }
});

test('one that redirects to a metadata service is not followed', async (t) => {
  let asked = 0;
  const port = await answering(t, (_request, response) => {
    asked++;
    response.writeHead(307, { location: 'http://169.254.169.254/latest/meta-data/' }).end();
  });
  const outcome = await deliver(t, `http://127.0.0.1:${port}`);
  assert.ok(outcome.kind === 'retry');
  assert.match(outcome.reason, /redirects are not followed/);
  assert.equal(asked, 1);
});

const HOSTILE: Readonly<Record<string, (socket: Socket) => void>> = {
  'that hangs': () => {},
  'that resets': (socket) => socket.resetAndDestroy(),
  'that answers garbage': (socket) => socket.end('\u0000\u0001 not HTTP at all\r\n\r\n'),
  'that breaks off in its answer': (socket) =>
    socket.end('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nab'),
  'that drips its answer': (socket) => {
    socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n');
    const timer = setInterval(() => socket.write('x'), 20);
    socket.on('close', () => clearInterval(timer));
  },
  'that drips its head': (socket) => {
    socket.write('HTTP/1.1 200 OK\r\n');
    const timer = setInterval(() => socket.write('x'), 20);
    socket.on('close', () => clearInterval(timer));
  },
  'that answers without end': (socket) => {
    socket.write('HTTP/1.1 200 OK\r\n\r\n');
    const timer = setInterval(() => socket.write(Buffer.alloc(50_000, 0x61)), 1);
    socket.on('close', () => clearInterval(timer));
  },
};

for (const [what, work] of Object.entries(HOSTILE)) {
  test(`a receiver ${what} is tried again later, and takes no more than its time`, async (t) => {
    const port = await raw(t, work);
    const startedAt = Date.now();
    const outcome = await deliver(t, `http://127.0.0.1:${port}`, { timeoutMs: 400 });
    assert.equal(outcome.kind, 'retry');
    assert.ok(Date.now() - startedAt < 1_500);
  });
}

test('nobody there, and a name that does not resolve', async (t) => {
  const port = await answering(t, () => {});
  const gone = await deliver(t, 'http://127.0.0.1:1');
  assert.ok(gone.kind === 'retry');
  assert.match(gone.reason, /ECONNREFUSED/);
  const unknown = await deliver(t, `http://nowhere.invalid:${port}`);
  assert.equal(unknown.kind, 'retry');
});

test('a 200 that is no answer of OTLP has not delivered OTLP', async (t) => {
  const port = await answering(t, (_request, response) =>
    response.end('<html>this is the wrong port</html>'),
  );
  assert.equal((await deliver(t, `http://127.0.0.1:${port}`, { as: 'otlp' })).kind, 'retry');
});

test('OTLP goes to the path of its signal below the endpoint, compressed where asked', async (t) => {
  let seen:
    | { readonly url: string; readonly headers: IncomingMessage['headers']; readonly body: Buffer }
    | undefined;
  const port = await answering(t, (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      seen = { url: request.url ?? '', headers: request.headers, body: Buffer.concat(chunks) };
      response.end();
    });
  });
  const http = {
    compression: 'gzip',
    headers: { 'x-tenant': { value: 'a' }, authorization: { file: 'token' } },
  } as const;
  const outcome = await deliver(t, `http://127.0.0.1:${port}/base/`, { as: 'otlp', http });
  assert.deepEqual(outcome, { kind: 'delivered' });
  assert.equal(seen?.url, '/base/v1/logs');
  assert.equal(seen?.headers['content-type'], 'application/x-protobuf');
  assert.equal(seen?.headers['authorization'], 'Bearer s3cr3t-t0k3n');
  assert.equal(seen?.headers['x-tenant'], 'a');
  assert.ok(gunzipSync(seen?.body ?? Buffer.alloc(0)).includes('r-2'));
});

test('certificates: the right one is taken, a wrong name, authority or missing client certificate not', async (t) => {
  const right = createFakeTls();
  const other = createFakeTls();
  const server = createTlsServer(
    {
      cert: right.cert,
      key: right.key,
      ca: other.ca,
      requestCert: true,
      rejectUnauthorized: false,
    },
    (_request, response) => response.writeHead(204).end(),
  );
  const endpoint = `https://127.0.0.1:${await listen(t, server)}`;
  const outcomes = await Promise.all(
    [
      { ca: right.ca, serverName: 'receiver.example' },
      { ca: right.ca, serverName: 'other.example' },
      { ca: right.ca },
      { ca: other.ca, serverName: 'receiver.example' },
      undefined,
    ].map((tls) => deliver(t, endpoint, { surroundings: { tls } })),
  );
  assert.deepEqual(
    outcomes.map(({ kind }) => kind),
    ['delivered', 'retry', 'retry', 'retry', 'retry'],
  );
});

test('a client certificate is shown, its key read from where secrets are', async (t) => {
  const server = createFakeTls();
  const client = createFakeTls('palisade.example');
  const port = await listen(
    t,
    createTlsServer(
      {
        cert: server.cert,
        key: server.key,
        ca: client.ca,
        requestCert: true,
        rejectUnauthorized: true,
      },
      (_request, response) => response.writeHead(204).end(),
    ),
  );
  const tls = {
    ca: server.ca,
    serverName: 'receiver.example',
    certificate: client.cert,
    key: { file: 'client-key' },
  };
  const surroundings = surroundingsOf(t, { tls });
  const webhook = {
    endpoint: `https://127.0.0.1:${port}`,
    compression: 'none',
    signing: { secret: { file: 'hook' } },
  } as const;
  const receiver = createWebhook(webhook, surroundings, () => '{}');
  t.after(() => receiver.close());
  const without = await receiver.deliver(BATCH, AbortSignal.timeout(2_000));
  assert.deepEqual(without, {
    kind: 'retry',
    reason: 'there is no secret: put it into `control/sinks/secrets/client-key`',
    afterMs: undefined,
  });
  surroundings.putSecret('client-key', client.key);
  assert.equal((await receiver.deliver(BATCH, AbortSignal.timeout(2_000))).kind, 'delivered');
});

test('secrets: a receiver that repeats what it was sent does not get it into our status', async (t) => {
  const port = await answering(t, (request, response) => {
    const told = JSON.stringify({
      you: request.headers['authorization'],
      env: request.headers['x-key'],
    });
    response.writeHead(401, { 'content-type': 'application/json' }).end(told);
  });
  const headers = { authorization: { file: 'token' }, 'x-key': { env: 'PALISADE_SINK_TOKEN' } };
  for (const as of ['webhook', 'otlp'] as const) {
    const outcome = await deliver(t, `http://127.0.0.1:${port}`, { http: { headers }, as });
    assert.ok(outcome.kind === 'retry');
    assert.match(outcome.reason, /answered 401: .*\[redacted\].*\[redacted\]/);
    assert.doesNotMatch(outcome.reason, /s3cr3t|env-token/);
  }
});

test('secrets: one that is missing, empty or would write a header of its own sends nothing', async (t) => {
  const port = await answering(t, () => assert.fail('something was sent'));
  for (const [name, text] of [
    ['absent', undefined],
    ['empty', '\n'],
    ['split', 'a\r\nx-admin: 1'],
  ] as const) {
    const surroundings = surroundingsOf(t);
    if (text !== undefined) surroundings.putSecret(name, text);
    const http = {
      endpoint: `http://127.0.0.1:${port}`,
      compression: 'none',
      headers: { 'x-key': { file: name } },
    } as const;
    const receiver = createOtlpHttp(http, surroundings);
    const outcome = await receiver.deliver(BATCH, AbortSignal.timeout(2_000));
    assert.equal(outcome.kind, 'retry', name);
    assert.doesNotMatch(JSON.stringify(outcome), /x-admin/);
    receiver.close();
  }
});

test('SSRF: what an address leads to is judged where it is dialled, whatever its spelling', async (t) => {
  const port = await answering(t, () => assert.fail('something was sent'));
  const own = createAddressGuard({ ownPorts: () => [port], allowed: ['127.0.0.0/8'] });
  const rebound = createAddressGuard({
    ownPorts: () => [],
    allowed: [],
    resolveAll: () => Promise.resolve(['169.254.169.254']),
  });
  for (const [endpoint, guard] of [
    [`http://127.0.0.1:${port}`, own],
    [`http://127.1:${port}`, own],
    [`http://2130706433:${port}`, own],
    [`http://0x7f.1:${port}`, own],
    [`http://[::ffff:127.0.0.1]:${port}`, own],
    [`http://localhost:${port}`, own],
    [`http://rebound.example:${port}`, rebound],
    ['http://169.254.169.254/latest', rebound],
    ['http://[fe80::1]/', rebound],
  ] as const) {
    for (const as of ['webhook', 'otlp'] as const) {
      const outcome = await deliver(t, endpoint, { surroundings: { guard }, as });
      assert.ok(outcome.kind === 'retry', endpoint);
      assert.match(outcome.reason, /not (sent|delivered): .*(own|link-local)/, endpoint);
    }
  }
});

test('a webhook is signed over id, time and body; sent again it has the same id and a new time', async (t) => {
  const seen: { id: string; time: string; signature: string; body: string }[] = [];
  const port = await answering(t, (request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString('utf8')));
    request.on('end', () => {
      const {
        'webhook-id': id,
        'webhook-timestamp': time,
        'webhook-signature': signature,
      } = request.headers;
      seen.push({ id: String(id), time: String(time), signature: String(signature), body });
      response.writeHead(500).end();
    });
  });
  let now = Date.parse('2026-01-31T12:00:00Z');
  const surroundings = surroundingsOf(t, { clock: () => now });
  surroundings.putSecret('old', 'whsec_MDEyMzQ1Njc4OWFiY2RlZg==');
  const signing = { secret: { file: 'hook' }, previous: { file: 'old' } };
  const webhook = { endpoint: `http://127.0.0.1:${port}`, compression: 'none', signing } as const;
  const receiver = createWebhook(webhook, surroundings, (batch, id) =>
    jsonDelivery(batch, { id, sink: 's' }),
  );
  t.after(() => receiver.close());
  await receiver.deliver(BATCH, AbortSignal.timeout(2_000));
  now += 90_000;
  await receiver.deliver(BATCH, AbortSignal.timeout(2_000));
  await receiver.deliver([fakeRecord(3)], AbortSignal.timeout(2_000));
  const [first, again, other] = seen;
  assert.ok(first && again && other);
  assert.equal(again.id, first.id);
  assert.equal(Number(again.time) - Number(first.time), 90);
  assert.notEqual(other.id, first.id);
  const signed = `${again.id}.${again.time}.${again.body}`;
  const mac = (key: string) => createHmac('sha256', key).update(signed).digest('base64');
  assert.equal(again.signature, `v1,${mac(KEY)} v1,${mac('0123456789abcdef')}`);
});

test('a signing secret that is too short to be one signs nothing', async (t) => {
  const port = await answering(t, () => assert.fail('something was sent'));
  const surroundings = surroundingsOf(t);
  surroundings.putSecret('short', 'whsec_MDEy');
  const webhook = {
    endpoint: `http://127.0.0.1:${port}`,
    compression: 'none',
    signing: { secret: { file: 'short' } },
  } as const;
  const outcome = await createWebhook(webhook, surroundings, () => '{}').deliver(
    BATCH,
    AbortSignal.timeout(500),
  );
  assert.ok(outcome.kind === 'retry');
  assert.match(outcome.reason, /fewer than 16 bytes/);
});
