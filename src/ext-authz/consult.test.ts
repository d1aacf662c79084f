import assert from 'node:assert/strict';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, connect, createServer as createNetServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData } from '@grpc/grpc-js';
import { parseSpiffeId } from '#identity';
import type { ConsultRequest } from '#proxy';
import type { AuthorizationProvider } from '#snapshot';
import {
  Authorization,
  type CheckRequest,
  type CheckResponse,
  CheckResponseSchema,
  createMessage,
  grpcDefinition,
} from '#wire';
import { createConsult } from './consult.ts';

const BASE: AuthorizationProvider = {
  name: 'judge',
  protocol: 'http',
  host: '127.0.0.1',
  port: 0,
  timeoutMs: 2_000,
  failOpen: false,
  pathPrefix: '',
  copiedHeaders: [],
  addedHeaders: {},
};

function requestTo(
  port: number,
  options: Partial<AuthorizationProvider> & { readonly tcp?: boolean } = {},
): ConsultRequest {
  const { tcp, ...more } = options;
  const id = parseSpiffeId('spiffe://cluster.local/ns/default/sa/web');
  assert.ok(id.ok);
  const sent: Readonly<Record<string, readonly string[]>> = {
    authorization: ['Bearer x'],
    'x-tenant': ['acme', 'b'],
  };
  return {
    provider: { ...BASE, ...more, port },
    question: {
      source: { id: id.value, ip: '10.0.0.7' },
      connection: { tls: true, sni: 'orders' },
      request: tcp === true ? undefined : { method: 'POST', host: 'orders', path: '/a/b' },
      destination: { port: 80, ip: '127.0.0.1' },
      nowMs: 1_000,
    },
    headers: { names: Object.keys(sent), values: (name) => sent[name] ?? [] },
    connect: () =>
      new Promise((resolve, reject) => {
        const socket = connect(port, '127.0.0.1', () => resolve(socket));
        socket.on('error', reject);
      }),
  };
}

/** Asks once and gives the answer in one word. */
async function ask(context: TestContext, request: ConsultRequest): Promise<string> {
  const { consult, close } = createConsult();
  context.after(close);
  const answer = await consult(request);
  return answer.kind === 'unable' ? `unable ${answer.detail}` : answer.kind;
}

async function httpServer(
  context: TestContext,
  answer: (line: string, headers: NodeJS.Dict<string | string[]>) => number,
): Promise<number> {
  const server = createHttpServer((request, response) => {
    response.statusCode = answer(`${request.method} ${request.url}`, request.headers);
    response.end('words');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
}

async function rawServer(
  context: TestContext,
  onConnection: (socket: Socket) => void,
): Promise<number> {
  const open = new Set<Socket>();
  const server = createNetServer((socket) => {
    open.add(socket);
    socket.on('error', () => {
      // The client may leave first.
    });
    onConnection(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => {
    server.close();
    for (const socket of open) socket.destroy();
  });
  return (server.address() as AddressInfo).port;
}

type Handler = (
  call: ServerUnaryCall<CheckRequest, CheckResponse>,
  done: sendUnaryData<CheckResponse>,
) => void;

async function grpcServer(context: TestContext, check: Handler): Promise<number> {
  const server = new Server();
  server.addService(grpcDefinition(Authorization), { check });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  context.after(() => server.forceShutdown());
  return port;
}

const HTTP_STATUSES: readonly (readonly [number, string])[] = [
  [200, 'allow'],
  [201, 'deny'],
  [204, 'deny'],
  [302, 'deny'],
  [401, 'deny'],
  [403, 'deny'],
  [500, 'unable failed'],
  [503, 'unable failed'],
];

for (const [status, wanted] of HTTP_STATUSES) {
  test(`an HTTP provider that answers ${status} means ${wanted}`, async (context) => {
    const port = await httpServer(context, () => status);
    assert.equal(await ask(context, requestTo(port)), wanted);
  });
}

test('an HTTP provider sees the head that it was declared to see', async (context) => {
  let seen = '';
  const port = await httpServer(context, (line, headers) => {
    const { host, authorization } = headers;
    seen = [line, host, authorization, headers['x-tenant'], headers['x-from']].join(' | ');
    return 200;
  });
  const request = requestTo(port, {
    pathPrefix: '/check',
    copiedHeaders: ['x-tenant'],
    addedHeaders: { 'X-From': 'mesh' },
  });
  assert.equal(await ask(context, request), 'allow');
  assert.equal(seen, 'POST /check/a/b | orders | Bearer x | acme, b | mesh');
});

test('connections to an HTTP provider are kept', async (context) => {
  const port = await httpServer(context, () => 200);
  const { consult, close } = createConsult();
  context.after(close);
  const request = requestTo(port);
  let dialled = 0;
  const counted = {
    ...request,
    connect: () => {
      dialled++;
      return request.connect();
    },
  };
  for (let i = 0; i < 5; i++) assert.equal((await consult(counted)).kind, 'allow');
  assert.equal(dialled, 1);
});

test('an HTTP provider is not asked about a TCP connection', async (context) => {
  const port = await httpServer(context, () => 200);
  assert.equal(await ask(context, requestTo(port, { tcp: true })), 'unable http_only');
});

/** What goes wrong on the way, for both protocols. */
const FAULTS: readonly (readonly [string, (socket: Socket) => void, string, string])[] = [
  ['says nothing', () => undefined, 'unable timeout', 'unable timeout'],
  ['resets', (socket) => socket.resetAndDestroy(), 'unable unreachable', 'unable unreachable'],
  ['closes', (socket) => socket.end(), 'unable unreachable', 'unable unreachable'],
  [
    'sends garbage',
    (socket) => socket.end('\u0000\u0001garbage\r\n\r\n'.repeat(20)),
    'unable bad_answer',
    'unable unreachable',
  ],
  [
    'never ends its answer',
    (socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc'),
    'unable timeout',
    'unable unreachable',
  ],
  [
    'sends a huge body',
    (socket) =>
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: 9000000\r\n\r\n${'a'.repeat(200_000)}`),
    'unable too_large',
    'unable unreachable',
  ],
  [
    'sends a huge head',
    (socket) => socket.write(`HTTP/1.1 200 OK\r\nx: ${'a'.repeat(100_000)}\r\n\r\n`),
    'unable bad_answer',
    'unable unreachable',
  ],
];

for (const [what, fault, overHttp, overGrpc] of FAULTS) {
  test(`a provider that ${what} has not judged`, async (context) => {
    const port = await rawServer(context, (socket) => {
      socket.once('data', () => fault(socket));
    });
    assert.equal(await ask(context, requestTo(port, { timeoutMs: 300 })), overHttp);
    const grpc = requestTo(port, { timeoutMs: 300, protocol: 'grpc' });
    assert.equal(await ask(context, grpc), overGrpc);
  });
}

test('a provider that nobody listens for has not judged', async (context) => {
  const port = await httpServer(context, () => 200);
  const request = { ...requestTo(port), connect: () => Promise.reject(new Error('refused')) };
  assert.equal(await ask(context, request), 'unable unreachable');
  const grpc = { ...request, provider: { ...request.provider, protocol: 'grpc' as const } };
  assert.equal(await ask(context, grpc), 'unable unreachable');
});

test('a gRPC provider sees the call and says yes or no', async (context) => {
  let seen: CheckRequest | undefined;
  let code = 0;
  const port = await grpcServer(context, (call, done) => {
    seen = call.request;
    done(null, createMessage(CheckResponseSchema, { status: { code } }));
  });
  const { consult, close } = createConsult();
  context.after(close);
  const request = requestTo(port, { protocol: 'grpc' });
  assert.equal((await consult(request)).kind, 'allow');
  const { attributes } = seen ?? {};
  assert.equal(attributes?.source?.principal, 'spiffe://cluster.local/ns/default/sa/web');
  assert.equal(attributes?.source?.address?.socketAddress?.address, '10.0.0.7');
  assert.equal(attributes?.destination?.address?.socketAddress?.portValue, 80);
  assert.deepEqual(
    [attributes?.request?.http?.method, attributes?.request?.http?.path],
    ['POST', '/a/b'],
  );
  assert.deepEqual(attributes?.request?.http?.headers, {
    authorization: 'Bearer x',
    'x-tenant': 'acme,b',
  });
  assert.equal(attributes?.tlsSession?.sni, 'orders');
  code = 7;
  assert.equal((await consult(request)).kind, 'deny');
  // A TCP connection has no request, and is asked about all the same.
  assert.equal((await consult(requestTo(port, { protocol: 'grpc', tcp: true }))).kind, 'deny');
  assert.equal(seen?.attributes?.request?.http, undefined);
});

test('a gRPC provider that fails, or says nothing, has not judged', async (context) => {
  const failing = await grpcServer(context, (_call, done) => done({ code: 14, details: 'busy' }));
  assert.equal(await ask(context, requestTo(failing, { protocol: 'grpc' })), 'unable failed');
  const empty = await grpcServer(context, (_call, done) =>
    done(null, createMessage(CheckResponseSchema, {})),
  );
  assert.equal(await ask(context, requestTo(empty, { protocol: 'grpc' })), 'unable bad_answer');
  const silent = await grpcServer(context, () => undefined);
  const request = requestTo(silent, { protocol: 'grpc', timeoutMs: 200 });
  assert.equal(await ask(context, request), 'unable timeout');
});

test('after a gRPC provider went away, the next question connects anew', async (context) => {
  const sockets: Socket[] = [];
  const port = await grpcServer(context, (_call, done) =>
    done(null, createMessage(CheckResponseSchema, { status: { code: 0 } })),
  );
  const { consult, close } = createConsult();
  context.after(close);
  const base = requestTo(port, { protocol: 'grpc' });
  const request = {
    ...base,
    connect: async () => {
      const socket = (await base.connect()) as Socket;
      sockets.push(socket);
      return socket;
    },
  };
  assert.equal((await consult(request)).kind, 'allow');
  sockets[0]?.destroy();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal((await consult(request)).kind, 'allow');
  assert.equal(sockets.length, 2);
});
