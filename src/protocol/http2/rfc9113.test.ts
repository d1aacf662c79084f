// What RFC 9113 asks of heads and frames, where h2spec asks nothing: it changed since, or concerns clients.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { H2Connection } from './connection.ts';
import { listener } from './fake-peers.ts';
import { FLAG, FRAME, SETTING } from './frames.ts';
import { H2_CODE, type H2RequestHead, type Http2Error } from './messages.ts';
import { block, frame, GET_FIELDS, HELLO, headers, settings, word } from './raw-frames.ts';
import type { H2Stream } from './stream.ts';

type Outcome = {
  readonly connection: H2Connection;
  readonly heads: (H2RequestHead | 'tooLarge')[];
  readonly refused: Http2Error[];
};

function serve(...frames: readonly Buffer[]): Outcome {
  const heads: (H2RequestHead | 'tooLarge')[] = [];
  const refused: Http2Error[] = [];
  const connection = new H2Connection({
    role: 'server',
    events: {
      onOutput: () => undefined,
      onRefused: (error) => refused.push(error),
      onRequest(_stream, head) {
        heads.push(head);
        return listener().sink;
      },
    },
  });
  connection.start();
  connection.receive(Buffer.concat([HELLO, ...frames]), 0);
  return { connection, heads, refused };
}

const CONNECT = [':method', 'CONNECT', ':authority', 'a:80'];

// Fields besides those of a GET, or all of them; and why they are refused.
const HEADS: readonly (readonly [fields: readonly string[], error: Http2Error | undefined])[] = [
  [['x', 'y'], undefined],
  [['x', ''], undefined],
  [['host', 'orders'], undefined],
  [['te', 'trailers'], undefined],
  [['cookie', 'a=1', 'cookie', 'b=2'], undefined],
  [['host', 'other'], 'h2_host_mismatch'],
  [['host', 'orders', 'host', 'orders'], 'h2_repeated_field'],
  [['X', 'y'], 'h2_bad_field_name'],
  [['x-Y', 'y'], 'h2_bad_field_name'],
  [['', 'y'], 'h2_bad_field_name'],
  [['x y', 'y'], 'h2_bad_field_name'],
  [['x\0', 'y'], 'h2_bad_field_name'],
  [['x\x7f', 'y'], 'h2_bad_field_name'],
  [['\xe9', 'y'], 'h2_bad_field_name'],
  [['x:y', 'z'], 'h2_bad_field_name'],
  [['x\r\ny', 'z'], 'h2_bad_field_name'],
  [['content_length', '5'], 'h2_bad_field_name'],
  [['x', 'a\0b'], 'h2_bad_field_value'],
  [['x', 'a\rb'], 'h2_bad_field_value'],
  [['x', 'a\nb'], 'h2_bad_field_value'],
  [['x', 'a\r\nhost: b'], 'h2_bad_field_value'],
  [['x', ' a'], 'h2_bad_field_value'],
  [['x', 'a\t'], 'h2_bad_field_value'],
  [['connection', 'close'], 'h2_connection_field'],
  [['keep-alive', 'timeout=5'], 'h2_connection_field'],
  [['proxy-connection', 'keep-alive'], 'h2_connection_field'],
  [['transfer-encoding', 'chunked'], 'h2_connection_field'],
  [['upgrade', 'h2c'], 'h2_connection_field'],
  [['http2-settings', 'AAMAAABkAAQAAP__'], 'h2_connection_field'],
  [['te', 'gzip'], 'h2_connection_field'],
  [['te', 'trailers, gzip'], 'h2_connection_field'],
  [['content-length', '0'], undefined],
  [['content-length', '5'], 'h2_body_length_mismatch'],
  [['content-length', '+0'], 'h2_bad_content_length'],
  [['content-length', '00'], 'h2_bad_content_length'],
  [['content-length', '0, 0'], 'h2_bad_content_length'],
  [['content-length', '0', 'content-length', '0'], 'h2_repeated_field'],
  [[':path', '/b'], 'h2_bad_pseudo_field'],
  [[':authority', 'orders'], 'h2_bad_pseudo_field'],
  [['x', 'y', ':scheme', 'http'], 'h2_bad_pseudo_field'],
  [[':status', '200'], 'h2_bad_pseudo_field'],
  [[':protocol', 'websocket'], 'h2_bad_pseudo_field'],
  [[':path\0', '/'], 'h2_bad_pseudo_field'],
];

for (const [fields, error] of HEADS) {
  test(`a request with ${JSON.stringify(fields)}: ${error ?? 'fine'}`, () => {
    const { refused, heads } = serve(headers(1, block([...GET_FIELDS, ...fields])));
    assert.deepEqual(refused, error === undefined ? [] : [error]);
    assert.equal(heads.length, error === undefined ? 1 : 0);
  });
}

const WHOLE: readonly (readonly [fields: readonly string[], error: Http2Error | undefined])[] = [
  [CONNECT, undefined],
  [[...CONNECT, ':path', '/'], 'h2_bad_pseudo_field'],
  [[...CONNECT, ':scheme', 'http'], 'h2_bad_pseudo_field'],
  [[...CONNECT, ':protocol', 'websocket'], 'h2_bad_pseudo_field'],
  [CONNECT.slice(0, 2), 'h2_bad_pseudo_field'],
  [[...GET_FIELDS.slice(0, 6), 'host', 'orders'], undefined],
  [['x', 'y', ...GET_FIELDS], 'h2_bad_pseudo_field'],
  [['host', 'orders', ...GET_FIELDS], 'h2_bad_pseudo_field'],
  [[':method', '', ...GET_FIELDS.slice(2)], 'h2_bad_pseudo_field'],
];

for (const [fields, error] of WHOLE) {
  test(`a head of ${JSON.stringify(fields)}: ${error ?? 'fine'}`, () => {
    assert.deepEqual(serve(headers(1, block(fields))).refused, error === undefined ? [] : [error]);
  });
}

const POST = headers(1, block([':method', 'POST', ...GET_FIELDS.slice(2)]), false);
const TRAILERS: readonly (readonly [fields: readonly string[], error: Http2Error | undefined])[] = [
  [['grpc-status', '0', 'x-sum', 'y'], undefined],
  [[':path', '/'], 'h2_bad_pseudo_field'],
  [['content-length', '0'], 'h2_bad_trailers'],
  [['host', 'b'], 'h2_bad_trailers'],
  [['authorization', 'b'], 'h2_bad_trailers'],
  [['cookie', 'b'], 'h2_bad_trailers'],
  [['x-forwarded-client-cert', 'b'], 'h2_bad_trailers'],
  [['x-palisade-reason', 'b'], 'h2_bad_trailers'],
  [['transfer-encoding', 'chunked'], 'h2_connection_field'],
  [['X', 'b'], 'h2_bad_field_name'],
];

for (const [fields, error] of TRAILERS) {
  test(`trailers of ${JSON.stringify(fields)}: ${error ?? 'fine'}`, () => {
    const { refused } = serve(POST, headers(1, block(fields)));
    assert.deepEqual(refused, error === undefined ? [] : [error]);
  });
}

type Ending = readonly [name: string, frames: readonly Buffer[], code: number | undefined];

const CONNECTIONS: readonly Ending[] = [
  ['an upgrade to h2c is only a word', [frame(0x10, 0, 0, 'priority update')], undefined],
  ['deprecated priorities are ignored', [frame(FRAME.PRIORITY, 0, 5, '\0\0\0\0\x10')], undefined],
  ['a client may allow pushes', [settings([SETTING.ENABLE_PUSH, 1])], undefined],
  ['settings nobody knows are ignored', [settings([0xff, 7])], undefined],
  ['ENABLE_PUSH of 2', [settings([SETTING.ENABLE_PUSH, 2])], H2_CODE.PROTOCOL_ERROR],
  [
    'a window past 2^31-1',
    [settings([SETTING.INITIAL_WINDOW_SIZE, 2 ** 31])],
    H2_CODE.FLOW_CONTROL_ERROR,
  ],
  ['frames below 2^14', [settings([SETTING.MAX_FRAME_SIZE, 16_383])], H2_CODE.PROTOCOL_ERROR],
  ['SETTINGS of a stream', [frame(FRAME.SETTINGS, 0, 1)], H2_CODE.PROTOCOL_ERROR],
  [
    'an acknowledgement with settings',
    [frame(FRAME.SETTINGS, FLAG.ACK, 0, '\0\x02\0\0\0\0')],
    H2_CODE.FRAME_SIZE_ERROR,
  ],
  ['an even stream', [headers(2, block(GET_FIELDS))], H2_CODE.PROTOCOL_ERROR],
  [
    'a stream lower than the last',
    [headers(5, block(GET_FIELDS)), headers(3, block(GET_FIELDS))],
    H2_CODE.STREAM_CLOSED,
  ],
  ['DATA of the connection', [frame(FRAME.DATA, 0, 0, 'x')], H2_CODE.PROTOCOL_ERROR],
  [
    'DATA inside a header block',
    [frame(FRAME.HEADERS, 0, 1, block(GET_FIELDS)), frame(FRAME.DATA, 0, 1)],
    H2_CODE.PROTOCOL_ERROR,
  ],
  [
    'CONTINUATION without a block',
    [frame(FRAME.CONTINUATION, FLAG.END_HEADERS, 1)],
    H2_CODE.PROTOCOL_ERROR,
  ],
  [
    'padding as long as the frame',
    [POST, frame(FRAME.DATA, FLAG.PADDED, 1, '\x05abcd')],
    H2_CODE.PROTOCOL_ERROR,
  ],
  [
    'a frame larger than announced',
    [frame(FRAME.PING, 0, 0, 'x'.repeat(16_385))],
    H2_CODE.FRAME_SIZE_ERROR,
  ],
  ['PING of seven bytes', [frame(FRAME.PING, 0, 0, '1234567')], H2_CODE.FRAME_SIZE_ERROR],
  ['RST_STREAM of an idle stream', [word(FRAME.RST_STREAM, 9, 0)], H2_CODE.PROTOCOL_ERROR],
  ['WINDOW_UPDATE of an idle stream', [word(FRAME.WINDOW_UPDATE, 9, 1)], H2_CODE.PROTOCOL_ERROR],
  ['a reserved bit is ignored', [frame(FRAME.PING, 0, 0x8000_0000 >>> 0, '12345678')], undefined],
];

for (const [name, frames, code] of CONNECTIONS) {
  test(`${name}: ${code === undefined ? 'the connection goes on' : `ends it with ${code}`}`, () => {
    assert.equal(serve(...frames).connection.failed?.code, code);
  });
}

type Told = ReturnType<typeof listener>;

function call(method: string, ...frames: readonly Buffer[]): Told & { connection: H2Connection } {
  const heard = listener();
  const connection = new H2Connection({
    role: 'client',
    events: { onOutput: () => undefined, onRefused: () => undefined },
  });
  connection.start();
  connection.receive(settings(), 0);
  const stream = connection.open([':method', method, ...GET_FIELDS.slice(2)], true, heard.sink);
  assert.ok(stream !== undefined);
  connection.receive(Buffer.concat(frames), 0);
  return Object.assign(heard, { connection });
}

const LENGTH = block([':status', '200', 'content-length', '5']);
const ANSWERS: readonly (readonly [
  name: string,
  method: string,
  frames: readonly Buffer[],
  error: Http2Error | undefined,
])[] = [
  ['a HEAD answer with a length', 'HEAD', [headers(1, LENGTH)], undefined],
  [
    'a HEAD answer with a body',
    'HEAD',
    [headers(1, LENGTH, false), frame(FRAME.DATA, 1, 1, 'hello')],
    'h2_body_length_mismatch',
  ],
  [
    '304 with a length',
    'GET',
    [headers(1, block([':status', '304', 'content-length', '5']))],
    undefined,
  ],
  ['200 with a length and no body', 'GET', [headers(1, LENGTH)], 'h2_body_length_mismatch'],
  [
    'a body longer than its length',
    'GET',
    [headers(1, LENGTH, false), frame(FRAME.DATA, 1, 1, 'hello!')],
    'h2_body_length_mismatch',
  ],
  [
    'a body shorter than its length',
    'GET',
    [headers(1, LENGTH, false), frame(FRAME.DATA, 1, 1, 'hi')],
    'h2_body_length_mismatch',
  ],
  [
    '101, which HTTP/2 has not',
    'GET',
    [headers(1, block([':status', '101']), false)],
    'h2_bad_pseudo_field',
  ],
  [
    'an interim answer that ends',
    'GET',
    [headers(1, block([':status', '103']))],
    'h2_unexpected_frame',
  ],
  ['a status of two digits', 'GET', [headers(1, block([':status', '20']))], 'h2_bad_pseudo_field'],
  ['no status', 'GET', [headers(1, block(['x', 'y']))], 'h2_bad_pseudo_field'],
  [
    'a status and a path',
    'GET',
    [headers(1, block([':status', '200', ':path', '/']))],
    'h2_bad_pseudo_field',
  ],
  ['DATA before a head', 'GET', [frame(FRAME.DATA, 1, 1, 'x')], 'h2_unexpected_frame'],
  [
    'a second head',
    'GET',
    [headers(1, block([':status', '200']), false), headers(1, block([':status', '200']), false)],
    'h2_bad_trailers',
  ],
];

for (const [name, method, frames, error] of ANSWERS) {
  test(`a client hears ${name}: ${error ?? 'fine'}`, () => {
    const { reset, isEnd, connection } = call(method, ...frames);
    assert.equal(reset?.error, error);
    assert.equal(isEnd, error === undefined);
    assert.equal(connection.failed, undefined);
  });
}

test('a server that pushes, or says that it will, ends the connection', () => {
  const push = frame(FRAME.PUSH_PROMISE, FLAG.END_HEADERS, 1, '\0\0\0\x02');
  assert.equal(call('GET', push).connection.failed?.error, 'h2_push_promise');
  const { connection } = call('GET', settings([SETTING.ENABLE_PUSH, 1]));
  assert.equal(connection.failed?.error, 'h2_bad_setting');
});

test('after GOAWAY a client knows which requests were not processed', () => {
  const heard = [listener(), listener()];
  const connection = new H2Connection({
    role: 'client',
    events: { onOutput: () => undefined, onRefused: () => undefined },
  });
  connection.start();
  connection.receive(settings(), 0);
  const streams = heard.map(({ sink }) => connection.open(GET_FIELDS, true, sink) as H2Stream);
  connection.receive(frame(FRAME.GOAWAY, 0, 0, '\0\0\0\x01\0\0\0\0'), 0);
  assert.equal(heard[0]?.reset, undefined);
  assert.equal(heard[1]?.reset?.unprocessed, true);
  assert.equal(connection.canOpen, false);
  connection.receive(headers(streams[0]?.id ?? 0, block([':status', '204'])), 0);
  assert.equal(heard[0]?.responses[0]?.status, 204);
});
