// gRPC over HTTP/2 as a caller of nothing but bytes sees it, and as one of the library does.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { H2_CODE, H2Connection, type H2StreamSink } from '#protocol';
import {
  createGrpcClient,
  createGrpcServer,
  createMessage,
  Distribution,
  encodeMessage,
  type GrpcCall,
  Host,
  type IntroduceRequest,
  IntroduceRequestSchema,
  type IntroduceResponse,
  IntroduceResponseSchema,
  type Reply,
  type SubscribeRequest,
  SubscribeRequestSchema,
  type SubscribeResponse,
  SubscribeResponseSchema,
  Telemetry,
} from './index.ts';
import { frameMessage } from './message-reader.ts';

type Subscribe = GrpcCall<SubscribeRequest, SubscribeResponse>;
const folder = mkdtempSync(join(tmpdir(), 'palisade-wire-'));
const path = join(folder, 'grpc.sock');
const failures: unknown[] = [];
const told: string[] = [];
let subscribe: (call: Subscribe) => void = () => undefined;
const server = createGrpcServer<true>(
  [
    {
      service: Host,
      implementation: {
        introduce(
          call: GrpcCall<IntroduceRequest, IntroduceResponse>,
          done: Reply<IntroduceResponse>,
        ) {
          const { service } = call.request;
          if (service === 'silent') {
            call.on('cancelled', () => told.push('cancelled'));
            return undefined;
          }
          if (service === 'throws') throw new Error('secret of the server');
          if (service === 'rejects') return Promise.reject(new Error('secret of the server'));
          const selectors = [service, ...call.metadata.get('x-name')];
          return done(null, createMessage(IntroduceResponseSchema, { selectors }));
        },
      },
    },
    { service: Distribution, implementation: { subscribe: (call: Subscribe) => subscribe(call) } },
  ],
  { onFailed: (method, error) => failures.push([method, (error as Error).message]) },
);
await server.listenUnix({ path, identify: () => true });
after(async () => {
  await server.close();
  rmSync(folder, { recursive: true });
});

type Answer = {
  http: number | undefined;
  fields: Record<string, string>;
  body: Buffer;
  reset: number | undefined;
};

/** A caller of bytes; `send` gives the sink of one request whose end it may see. */
async function caller(options: { readonly reads?: boolean } = {}) {
  const socket = connect(path);
  await once(socket, 'connect');
  const flush = () => {
    for (let out = h2.takeOutput(); out !== undefined; out = h2.takeOutput()) {
      socket.write(Buffer.from(out));
      h2.release(out);
    }
  };
  let goaway: number | undefined;
  const h2 = new H2Connection({
    role: 'client',
    events: {
      onOutput: () => setImmediate(flush),
      onRefused: () => undefined,
      onGoaway: (code) => {
        goaway = code;
      },
    },
  });
  h2.start();
  if (options.reads !== false) {
    socket.on('data', (chunk: Buffer) => h2.receive(chunk, performance.now()));
  }
  socket.on('error', () => {
    // The server may cut it.
  });
  const closed = once(socket, 'close');

  function open(name: string, fields: readonly string[] = CALL, isEnd = false) {
    const answer: Answer = { http: undefined, fields: {}, body: Buffer.alloc(0), reset: undefined };
    let over = () => undefined as void;
    const ended = new Promise<void>((resolve) => {
      over = resolve;
    });
    const keep = (pairs: readonly string[]) => {
      for (let at = 0; at < pairs.length; at += 2) {
        answer.fields[pairs[at] as string] = pairs[at + 1] as string;
      }
    };
    const sink: H2StreamSink = {
      onResponse(head, isLast) {
        answer.http = head.status;
        keep(head.fields);
        if (isLast) over();
      },
      onData(chunk, start, end) {
        answer.body = Buffer.concat([answer.body, chunk.subarray(start, end)]);
        if (stream !== undefined) h2.credit(stream, end - start);
      },
      onTrailers(pairs) {
        keep(pairs);
        over();
      },
      onReset({ code }) {
        answer.reset = code;
        over();
      },
      onDrain: () => undefined,
    };
    const pseudo = [':method', 'POST', ':scheme', 'http', ':path', name, ':authority', '/a.sock'];
    const stream = h2.open([...pseudo, ...fields], isEnd, sink);
    assert.ok(stream !== undefined);
    const send = (bytes: Buffer, isLast: boolean) =>
      void h2.sendData(stream, bytes, 0, bytes.length, isLast);
    const result = async (): Promise<Answer> => {
      await ended;
      return answer;
    };
    return { send, result, answer, stream };
  }
  return { open, h2, socket, closed, flush, goaway: () => goaway, close: () => socket.destroy() };
}

const CALL = ['content-type', 'application/grpc', 'te', 'trailers'];
const SUBSCRIBE = `/${Distribution.typeName}/Subscribe`;

function introduce(service: string): Buffer {
  const message = createMessage(IntroduceRequestSchema, { service });
  return frameMessage(encodeMessage(IntroduceRequestSchema, message));
}

async function statusOf(
  request: Buffer | undefined,
  fields: readonly string[] = CALL,
  name = `/${Host.typeName}/Introduce`,
) {
  const one = await caller();
  const call = one.open(name, fields, request === undefined);
  if (request !== undefined) call.send(request, true);
  const { http, fields: got } = await call.result();
  one.close();
  return { http, code: got['grpc-status'], message: got['grpc-message'], got };
}

function check(
  name: string,
  of: { request?: Buffer; fields?: readonly string[]; path?: string },
  expected: { code?: status; http?: number; message?: string },
): void {
  test(name, async () => {
    const { http, code, message } = await statusOf(of.request, of.fields ?? CALL, of.path);
    const { http: expectedHttp = 200 } = expected;
    assert.equal(http, expectedHttp);
    assert.equal(code, expected.code === undefined ? undefined : String(expected.code));
    if (expected.message !== undefined) assert.equal(message, expected.message);
  });
}

const hello = introduce('web');
const compressed = Buffer.from(hello);
compressed[0] = 1;
const endless = Buffer.from(hello);
endless.writeUInt32BE(0xffff_ffff, 1);
const tooLarge = { code: status.RESOURCE_EXHAUSTED };

check('a call that is answered', { request: hello }, { code: status.OK });
check('a method that nobody has', { request: hello, path: '/a.B/C' }, { code: 12 });
check(
  'a method that is not served',
  { request: hello, path: `/${Host.typeName}/WhoAmI` },
  { code: 12 },
);
check('a call without a message', {}, { code: status.INTERNAL });
check('two messages where one is', { request: Buffer.concat([hello, hello]) }, { code: 13 });
check('half a message', { request: hello.subarray(0, -1) }, { code: status.INTERNAL });
check('half a prefix', { request: hello.subarray(0, 3) }, { code: status.INTERNAL });
check(
  'what is no message of the method',
  { request: frameMessage(Buffer.from([0xff])) },
  { code: 13 },
);
check('a wrong flag', { request: compressed }, { code: status.INTERNAL });
check('attack: a message of four gigabytes', { request: endless }, tooLarge);
check(
  'gzip is not spoken',
  { request: compressed, fields: [...CALL, 'grpc-encoding', 'gzip'] },
  { code: status.UNIMPLEMENTED },
);
check(
  'who could compress need not',
  { request: hello, fields: [...CALL, 'grpc-encoding', 'gzip'] },
  { code: status.OK },
);
check(
  'attack: metadata without end',
  {
    request: hello,
    fields: [
      ...CALL,
      ...Array.from({ length: 10 }, (_, i) => [`x-${i}`, 'x'.repeat(2_000)]).flat(),
    ],
  },
  tooLarge,
);
check('another type', { request: hello, fields: ['content-type', 'text/plain'] }, { http: 415 });
check(
  'a type that begins alike',
  { request: hello, fields: ['content-type', 'application/grpc-web'] },
  { http: 415 },
);
check('no type', { request: hello, fields: [] }, { http: 415 });
check(
  'attack: a handler that throws tells nothing of why',
  { request: introduce('throws') },
  { code: status.INTERNAL, message: 'the server failed; its log says why' },
);
check(
  'attack: a handler that rejects tells nothing of why',
  { request: introduce('rejects') },
  { code: status.INTERNAL, message: 'the server failed; its log says why' },
);
for (const timeout of ['1', '1s', '-1S', '123456789S', 'S']) {
  const fields = [...CALL, 'grpc-timeout', timeout];
  check(`a malformed time-out: ${timeout}`, { request: hello, fields }, { code: status.INTERNAL });
}
check(
  'a time-out that is over',
  { request: introduce('silent'), fields: [...CALL, 'grpc-timeout', '20m'] },
  { code: status.DEADLINE_EXCEEDED },
);

test('attack: a unary call of many messages that never ends is refused at the second', async () => {
  const one = await caller();
  const call = one.open(`/${Host.typeName}/Introduce`);
  call.send(Buffer.concat([hello, hello]), false);
  const { fields } = await call.result();
  one.close();
  assert.equal(fields['grpc-status'], String(status.INTERNAL));
});

test('the server hears what failed, and a handler that time is up', () => {
  const method = `/${Host.typeName}/Introduce`;
  const failure = [method, 'secret of the server'];
  assert.deepEqual(failures, [failure, failure]);
  assert.deepEqual(told, ['cancelled']);
});

test('bytes one by one, metadata twice, and the words of UNIMPLEMENTED', async () => {
  const one = await caller();
  const call = one.open(`/${Host.typeName}/Introduce`, [...CALL, 'x-name', 'a', 'x-name', 'b']);
  for (const [at] of hello.entries()) {
    call.send(hello.subarray(at, at + 1), at === hello.length - 1);
    one.flush();
  }
  const { body } = await call.result();
  const expected = createMessage(IntroduceResponseSchema, { selectors: ['web', 'a', 'b'] });
  assert.deepEqual(body, frameMessage(encodeMessage(IntroduceResponseSchema, expected)));
  one.close();
  const { got } = await statusOf(hello, CALL, '/a.B/C');
  assert.equal(got['grpc-accept-encoding'], 'identity');
});

test('a refusal says its words whatever is in them, and tells a caller that streams to stop', async () => {
  subscribe = (call) =>
    call.on('data', () => call.refuse({ code: 7, details: '50 %: nö\n\ud800' }));
  const one = await caller();
  const call = one.open(SUBSCRIBE);
  call.send(frameMessage(Buffer.alloc(0)), false);
  const { fields } = await call.result();
  assert.equal(fields['grpc-message'], '50 %25: n%C3%B6%0A%EF%BF%BD');
  const client = createGrpcClient(Distribution, { kind: 'unix', path });
  const stream = client.bidi(Distribution.method.subscribe);
  stream.write(createMessage(SubscribeRequestSchema, {}));
  const [error] = (await once(stream, 'error').catch((thrown: unknown) => [thrown])) as [Error];
  assert.match(error.message, /50 %: nö\n\ufffd$/);
  client.close();
  one.close();
});

test('a call that its caller cancels is cancelled and never ended; one that is ended ends', async () => {
  const heard: string[] = [];
  const next = { tell: () => undefined as void };
  subscribe = (call) => {
    call.on('data', () => next.tell());
    for (const event of ['end', 'cancelled']) {
      call.on(event, () => {
        heard.push(event);
        call.end();
        next.tell();
      });
    }
  };
  const client = createGrpcClient(Distribution, { kind: 'unix', path });
  for (const how of ['cancel', 'end'] as const) {
    const stream = client.bidi(Distribution.method.subscribe);
    stream.on('error', () => {
      // Cancelled below.
    });
    stream.on('data', () => undefined);
    const arrived = new Promise<void>((resolve) => Object.assign(next, { tell: resolve }));
    stream.write(createMessage(SubscribeRequestSchema, {}));
    await arrived;
    const over = new Promise<void>((resolve) => Object.assign(next, { tell: resolve }));
    stream[how]();
    await over;
  }
  assert.deepEqual(heard, ['cancelled', 'end']);
  client.close();
});

test('attack: a caller that sends what nobody takes is stopped by its window', async () => {
  let call: Subscribe | undefined;
  const begun = new Promise<void>((resolve) => {
    subscribe = (each) => {
      call = each;
      resolve();
    };
  });
  const one = await caller();
  const { send, stream } = one.open(SUBSCRIBE);
  const message = createMessage(SubscribeRequestSchema, {
    message: { case: 'hello', value: { node: 'x'.repeat(1_000) } as never },
  });
  const frame = frameMessage(encodeMessage(SubscribeRequestSchema, message));
  for (let i = 0; i < 1_000; i++) send(frame, false);
  await begun;
  // A call on the same connection has a window of its own.
  const other = one.open(`/${Host.typeName}/Introduce`);
  other.send(hello, true);
  assert.equal((await other.result()).fields['grpc-status'], '0');
  assert.ok(stream.pendingBytes > 900_000, `${stream.pendingBytes} bytes wait at their sender`);
  let seen = 0;
  const all = new Promise<void>((resolve) => {
    call?.on('data', () => {
      seen++;
      // And again when it is paused amid them.
      if (seen === 500) {
        call?.pause();
        setImmediate(() => call?.resume());
      }
      if (seen === 1_000) resolve();
    });
  });
  await all;
  one.close();
});

test('attack: a caller that never reads is written to up to a bound, and drains once it reads', async () => {
  const frame = createMessage(SubscribeResponseSchema, {
    message: { case: 'policySet', value: { namespace: 'x'.repeat(10_000) } as never },
  });
  let written = 0;
  let drained = () => undefined as void;
  const full = new Promise<void>((resolve) => {
    subscribe = (call) => {
      const fill = () => {
        while (call.write(frame)) written++;
        resolve();
      };
      call.on('drain', () => drained());
      fill();
    };
  });
  const slow = await caller({ reads: false });
  slow.open(SUBSCRIBE);
  await full;
  assert.ok(written < 100, `${written} answers of 10 kB were taken`);
  const draining = new Promise<void>((resolve) => {
    drained = resolve;
  });
  slow.socket.on('data', (chunk: Buffer) => slow.h2.receive(chunk, performance.now()));
  await draining;
  slow.close();
});

test('attack: more calls at once than one connection may have', async () => {
  subscribe = () => undefined;
  const greedy = await caller();
  const refused = [];
  for (let i = 0; i < 1_100; i++) refused.push(greedy.open(SUBSCRIBE).answer);
  greedy.flush();
  const last = greedy.open(`/${Host.typeName}/Introduce`);
  last.send(hello, true);
  assert.equal((await last.result()).reset, H2_CODE.REFUSED_STREAM);
  assert.ok(refused.filter(({ reset }) => reset === H2_CODE.REFUSED_STREAM).length >= 76);
  greedy.close();
});

test('attack: what is no HTTP/2, and calls opened to be reset, end their connection alone', async () => {
  subscribe = () => undefined;
  const honest = await caller();
  const other = connect(path);
  await once(other, 'connect');
  other.end('GET / HTTP/1.1\r\n\r\n');
  await once(other.resume(), 'close');
  const rapid = await caller();
  for (let i = 0; i < 2_000 && !rapid.socket.destroyed; i++) {
    const { stream } = rapid.open(SUBSCRIBE);
    rapid.h2.reset(stream, H2_CODE.CANCEL);
    if (i % 50 === 0) rapid.flush();
  }
  await rapid.closed;
  assert.equal(rapid.goaway(), H2_CODE.ENHANCE_YOUR_CALM);
  const call = honest.open(`/${Host.typeName}/Introduce`);
  call.send(hello, true);
  assert.equal((await call.result()).fields['grpc-status'], '0');
  honest.close();
});

test('a server that ends says goodbye, and cancels what is under way', async () => {
  const own = join(folder, 'own.sock');
  const heard: string[] = [];
  const begun = { tell: () => undefined as void };
  const ending = createGrpcServer<true>([
    {
      service: Telemetry,
      implementation: {
        report(call: GrpcCall<unknown, unknown>) {
          for (const event of ['cancelled', 'close']) call.on(event, () => heard.push(event));
          begun.tell();
        },
      },
    },
  ]);
  await ending.listenUnix({ path: own, identify: () => true });
  const client = createGrpcClient(Telemetry, { kind: 'unix', path: own });
  const started = new Promise<void>((resolve) => Object.assign(begun, { tell: resolve }));
  const stream = client.bidi(Telemetry.method.report);
  const failed = new Promise<{ code: number }>((resolve) => stream.on('error', resolve));
  await started;
  await ending.close();
  assert.equal((await failed).code, status.UNAVAILABLE);
  assert.deepEqual(heard, ['cancelled', 'close']);
  client.close();
});
