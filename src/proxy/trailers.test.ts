import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import type { ClientHttp2Session, IncomingHttpHeaders } from 'node:http2';
import { connect } from 'node:net';
import { test } from 'node:test';
import { connectH2, createProtocolPair, startH2Application } from './fake-http2.ts';
import { talk } from './fake-pair.ts';

type Trailers = Readonly<Record<string, string>>;

const POST = { ':method': 'POST', ':path': '/', ':authority': 'orders' } as const;

/** Sends a body with trailers behind it; how the stream ended. */
async function send(
  session: ClientHttp2Session,
  { headers = {}, body = '', trailers }: { headers?: Trailers; body?: string; trailers: Trailers },
): Promise<{ readonly status: unknown; readonly code: number }> {
  const stream = session.request({ ...POST, ...headers }, { waitForTrailers: true });
  let status: unknown;
  stream.on('response', (head) => {
    status = head[':status'];
  });
  stream.on('error', () => {
    // Told by the code.
  });
  stream.on('wantTrailers', () => stream.sendTrailers(trailers));
  stream.resume();
  stream.end(body);
  await new Promise((resolve) => stream.on('close', resolve));
  return { status, code: stream.rstCode };
}

/** An application of HTTP/1.1, and what it heard of requests that came whole. */
async function withHttp1(
  use: (session: ClientHttp2Session, heard: readonly IncomingMessage[]) => Promise<void>,
): Promise<void> {
  const heard: IncomingMessage[] = [];
  const pair = await createProtocolPair('http', (request, response) => {
    request.on('end', () => {
      heard.push(request);
      response.end('ok');
    });
    request.resume();
  });
  const session = connectH2(pair.caller.outboundPort);
  try {
    await use(session, heard);
  } finally {
    session.destroy();
    await pair.close();
  }
}

test('trailers of an HTTP/2 request reach an application of HTTP/1.1', async () => {
  await withHttp1(async (session, heard) => {
    for (const body of ['', 'hello', 'x'.repeat(200_000)]) {
      const trailers = { 'x-sum': `${body.length}`, 'x-other': 'b' };
      assert.equal((await send(session, { body, trailers })).status, 200);
      assert.deepEqual({ ...heard.at(-1)?.trailers }, trailers);
    }
    assert.equal(heard.length, 3);
  });
});

test('with a length there is no place for trailers: the body arrives without them', async () => {
  await withHttp1(async (session, heard) => {
    const headers = { 'content-length': '5' };
    const answer = await send(session, { headers, body: 'hello', trailers: { 'x-sum': '5' } });
    assert.equal(answer.status, 200);
    assert.equal(heard[0]?.headers['content-length'], '5');
    assert.deepEqual({ ...heard[0].trailers }, {});
  });
});

const FORBIDDEN = [
  'content-length',
  'content_length',
  'host',
  'authorization',
  'cookie',
  'expect',
  'content-type',
  'x-forwarded-client-cert',
  'x-forwarded-for',
  'x-palisade-reason',
  'trailer',
];

test('attack: a field that policy was not asked about comes as a trailer: the request never becomes whole', async () => {
  await withHttp1(async (session, heard) => {
    for (const name of FORBIDDEN) {
      const { status, code } = await send(session, { body: 'hello', trailers: { [name]: '1' } });
      const isRefused = code === PROTOCOL_ERROR || status === 400;
      assert.ok(isRefused, `${name}: ${status} ${code}`);
    }
    assert.equal(heard.length, 0);
    assert.equal((await send(session, { trailers: { 'x-sum': '0' } })).status, 200);
  });
});

const PROTOCOL_ERROR = 1;

test('trailers of an HTTP/1.1 request reach an application of HTTP/2, and its own come back', async () => {
  let heard: IncomingHttpHeaders | undefined;
  const application = await startH2Application((stream) => {
    stream.on('trailers', (trailers: IncomingHttpHeaders) => {
      heard = trailers;
    });
    stream.respond({ ':status': 200 }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-back': 'there' }));
    stream.resume();
    stream.on('end', () => stream.end('ok'));
  });
  const pair = await createProtocolPair('http2', { port: application.port });
  const chunked = 'POST / HTTP/1.1\r\nHost: orders\r\nTransfer-Encoding: chunked\r\n\r\n';
  const say = (trailers: string, until: RegExp): Promise<string> =>
    talk(
      connect(pair.caller.outboundPort ?? 0, '127.0.0.1'),
      `${chunked}5\r\nhello\r\n0\r\n${trailers}\r\n`,
      (text) => until.test(text),
    );
  assert.match(await say('X-Sum: 5\r\n', /\r\n0\r\n[^]*\r\n\r\n$/), /x-back: there/);
  assert.equal(heard?.['x-sum'], '5');
  heard = undefined;
  assert.match(await say('Authorization: x\r\n', /bad_request/), / 400 /);
  assert.equal(heard, undefined);
  await pair.close();
  application.close();
});
