// Attacks on an HTTP/2 server, byte by byte. Each has to meet a limit, with a code and a counted reason.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { H2Connection } from './connection.ts';
import { FLAG, FRAME, PREFACE, SETTING } from './frames.ts';
import { DEFAULT_H2_LIMITS, H2_CODE, type H2RequestHead, type Http2Error } from './messages.ts';
import { block, frame, GET_FIELDS, HELLO, headers, settings, word } from './raw-frames.ts';
import type { H2Stream } from './stream.ts';
import { NO_SINK } from './stream.ts';

type Victim = {
  readonly connection: H2Connection;
  readonly streams: H2Stream[];
  readonly heads: (H2RequestHead | 'tooLarge')[];
  readonly refused: Http2Error[];
  /** Bytes that were put out and never read by the attacker. */
  readonly feed: (...frames: readonly Buffer[]) => void;
};

/** `hello`: what the attacker begins with; its acknowledgement of SETTINGS is in it unless told. */
function victim(nowMs: () => number = () => 0, hello = HELLO): Victim {
  const streams: H2Stream[] = [];
  const heads: (H2RequestHead | 'tooLarge')[] = [];
  const refused: Http2Error[] = [];
  const connection = new H2Connection({
    role: 'server',
    events: {
      onOutput: () => undefined,
      onRefused: (error) => refused.push(error),
      onRequest(stream, head) {
        streams.push(stream);
        heads.push(head);
        return NO_SINK;
      },
    },
  });
  connection.start();
  connection.receive(hello, nowMs());
  const feed = (...frames: readonly Buffer[]): void => {
    for (const bytes of frames) connection.receive(Buffer.from(bytes), nowMs());
  };
  return { connection, streams, heads, refused, feed };
}

const GET = block(GET_FIELDS);
const POST = block([':method', 'POST', ...GET_FIELDS.slice(2)]);
const FRAMES = 20_000;

type Flood = readonly [name: string, error: Http2Error, frames: (index: number) => Buffer];

const FLOODS: readonly Flood[] = [
  [
    'rapid reset',
    'h2_rapid_reset',
    (i) => Buffer.concat([headers(2 * i + 1, GET), word(FRAME.RST_STREAM, 2 * i + 1, 8)]),
  ],
  [
    'made-you-reset: malformed trailers',
    'h2_malformed_request_flood',
    (i) => Buffer.concat([headers(2 * i + 1, POST, false), headers(2 * i + 1, POST)]),
  ],
  [
    'made-you-reset: a window update of nothing',
    'h2_malformed_request_flood',
    (i) => Buffer.concat([headers(2 * i + 1, GET), word(FRAME.WINDOW_UPDATE, 2 * i + 1, 0)]),
  ],
  ['SETTINGS', 'h2_settings_flood', () => settings([SETTING.INITIAL_WINDOW_SIZE, 1])],
  ['PING', 'h2_ping_flood', () => frame(FRAME.PING, 0, 0, '12345678')],
  ['PING answers', 'h2_ping_flood', () => frame(FRAME.PING, FLAG.ACK, 0, '12345678')],
  ['PRIORITY', 'h2_priority_flood', (i) => frame(FRAME.PRIORITY, 0, 2 * i + 1, '\0\0\0\0\0')],
  ['WINDOW_UPDATE', 'h2_window_update_flood', () => word(FRAME.WINDOW_UPDATE, 0, 1)],
  ['unknown frames', 'h2_unknown_frame_flood', () => frame(0xfa, 0, 0, 'x')],
  ['GOAWAY', 'h2_unknown_frame_flood', () => frame(FRAME.GOAWAY, 0, 0, '\0\0\0\0\0\0\0\0')],
];

for (const [name, error, frames] of FLOODS) {
  test(`flood of ${name}: ends the connection early`, () => {
    const { connection, feed, refused, streams } = victim();
    const all = Buffer.concat(Array.from({ length: FRAMES }, (_, index) => frames(index)));
    for (let at = 0; at < all.length; at += 16_384) feed(all.subarray(at, at + 16_384));
    assert.equal(connection.failed?.error, error);
    assert.equal(connection.failed.code, H2_CODE.ENHANCE_YOUR_CALM);
    assert.ok(refused.includes(error));
    assert.ok(streams.length <= 500, `${streams.length} streams were opened`);
    assert.equal(connection.streamCount, 0);
  });
}

test('flood of empty DATA: ends the connection', () => {
  const { connection, feed } = victim();
  feed(headers(1, POST, false));
  for (let i = 0; i < FRAMES; i++) feed(frame(FRAME.DATA, 0, 1));
  assert.equal(connection.failed?.error, 'h2_empty_data_flood');
});

test('flood of padding alone: counts as empty DATA', () => {
  const { connection, feed } = victim();
  feed(headers(1, POST, false));
  for (let i = 0; i < FRAMES; i++) feed(frame(FRAME.DATA, FLAG.PADDED, 1, '\x01x'));
  assert.equal(connection.failed?.error, 'h2_empty_data_flood');
});

test('flood of CONTINUATION, empty ones: ends the connection', () => {
  const { connection, feed } = victim();
  feed(frame(FRAME.HEADERS, FLAG.END_STREAM, 1, GET));
  for (let i = 0; i < FRAMES; i++) feed(frame(FRAME.CONTINUATION, 0, 1));
  assert.equal(connection.failed?.error, 'h2_continuation_flood');
});

test('flood of CONTINUATION, full ones: no more than 64 KiB is held', () => {
  const { connection, feed } = victim();
  feed(frame(FRAME.HEADERS, FLAG.END_STREAM, 1, GET));
  for (let i = 0; i < 10; i++) feed(frame(FRAME.CONTINUATION, 0, 1, Buffer.alloc(16_384)));
  assert.equal(connection.failed?.error, 'h2_headers_too_large');
  assert.equal(connection.failed.code, H2_CODE.ENHANCE_YOUR_CALM);
});

test('HPACK bomb: a large field named again and again costs its bytes, and is too large', () => {
  const { connection, feed, heads } = victim();
  const value = 'v'.repeat(3_900);
  // The field enters the table once; each byte 0xbe then stands for all of it.
  const entry = Buffer.concat([Buffer.from([0x40, 1, 0x78, 0x7f, 0xbd, 0x1d]), Buffer.from(value)]);
  feed(headers(1, Buffer.concat([GET, entry, Buffer.alloc(12_000, 0xbe)])));
  assert.equal(heads[0], 'tooLarge');
  // The connection's table is still in step.
  feed(headers(3, Buffer.concat([GET, Buffer.from([0xbe])])));
  assert.equal((heads[1] as H2RequestHead).fields[1], value);
  assert.equal(connection.failed, undefined);
});

test('HPACK bomb in Huffman coding: refused like any other', () => {
  const { heads, feed } = victim();
  // 0x00 is three eights of `0` and of what follows it: the most characters a byte can be.
  const coded = Buffer.concat([
    Buffer.from([0x00, 1, 0x78, 0xff, 0x81, 0x7d]),
    Buffer.alloc(16_128),
  ]);
  feed(headers(1, Buffer.concat([GET, coded.subarray(0, 16_000)])));
  assert.equal(heads.length, 0);
});

const UNSETTLED = Buffer.concat([PREFACE, settings()]);
const AT_ONCE: readonly (readonly [name: string, hello: Buffer, mayBeRefused: number])[] = [
  ['who may not know the limit yet', UNSETTLED, 2_000],
  ['who has acknowledged the limit', HELLO, 100],
];
for (const [name, hello, mayBeRefused] of AT_ONCE) {
  test(`thousands of streams at once, of a client ${name}: 100 are served, ${mayBeRefused} refused`, () => {
    const { connection, feed, streams, refused } = victim(() => 0, hello);
    const opened = 100 + mayBeRefused;
    for (let i = 0; i < opened; i++) feed(headers(2 * i + 1, GET));
    assert.equal(streams.length, 100);
    assert.equal(refused.filter((error) => error === 'h2_stream_limit').length, mayBeRefused);
    const failed = () => connection.failed?.error;
    assert.equal(failed(), undefined);
    feed(headers(2 * opened + 1, GET));
    assert.equal(failed(), 'h2_refused_stream_flood');
  });
}

test('streams at once that are refused count like others in what one read may bring', () => {
  let refused = 0;
  const connection = new H2Connection({
    role: 'server',
    limits: { maxStreams: 1, requestsPerRead: 16 },
    events: {
      onOutput: () => undefined,
      onRefused: () => refused++,
      onRequest: () => NO_SINK,
    },
  });
  connection.start();
  connection.receive(HELLO, 0);
  const flood = Buffer.concat(Array.from({ length: 64 }, (_, i) => headers(2 * i + 1, GET)));
  assert.equal(connection.receive(flood, 0), flood.length / 4);
  assert.equal(refused, 15);
});

test('window overflow: the connection’s ends it, a stream’s resets that', () => {
  const one = victim();
  one.feed(word(FRAME.WINDOW_UPDATE, 0, 0x7fff_ffff));
  assert.equal(one.connection.failed?.error, 'h2_window_overflow');
  assert.equal(one.connection.failed.code, H2_CODE.FLOW_CONTROL_ERROR);
  const other = victim();
  other.feed(headers(1, GET), word(FRAME.WINDOW_UPDATE, 1, 0x7fff_ffff));
  assert.deepEqual(other.refused, ['h2_window_overflow']);
  assert.equal(other.connection.failed, undefined);
});

test('window overflow by SETTINGS: ends the connection', () => {
  const { connection, feed } = victim();
  feed(headers(1, GET), word(FRAME.WINDOW_UPDATE, 1, 0x7fff_0000));
  feed(settings([SETTING.INITIAL_WINDOW_SIZE, 0x7fff_ffff]));
  assert.equal(connection.failed?.code, H2_CODE.FLOW_CONTROL_ERROR);
});

test('more DATA than the windows allow: refused, and not delivered', () => {
  const { connection, feed, refused } = victim();
  feed(headers(1, POST, false));
  for (let i = 0; i < 5; i++) feed(frame(FRAME.DATA, 0, 1, Buffer.alloc(16_384)));
  assert.deepEqual(refused, ['h2_flow_control_error']);
  assert.equal(connection.failed, undefined);
});

test('zero-window stall: what waits is bounded by its owner, and found', () => {
  let now = 0;
  const { connection, feed, streams, refused } = victim(() => now);
  feed(settings([SETTING.INITIAL_WINDOW_SIZE, 0]));
  for (let i = 0; i < 100; i++) feed(headers(2 * i + 1, GET));
  for (const stream of streams) {
    connection.respond(stream, [':status', '200'], false);
    assert.equal(connection.sendData(stream, Buffer.alloc(8_192), 0, 8_192, false), false);
  }
  now = 6_000;
  assert.equal(connection.resetStalled(now - 5_000, 16), 100);
  assert.equal(refused.filter((error) => error === 'h2_stalled_stream').length, 100);
});

test('a peer that never reads: acknowledgements do not fill the memory', () => {
  let now = 0;
  const { connection, feed } = victim(() => now);
  for (let i = 0; i < 400_000 && connection.failed === undefined; i++) {
    now += 100;
    feed(frame(FRAME.PING, 0, 0, '12345678'));
  }
  assert.equal(connection.failed?.error, 'h2_output_flood');
});

test('what is honest passes every limit: a busy connection pings, resets and credits a lot', () => {
  let now = 0;
  const { connection, feed, streams } = victim(() => now);
  for (let i = 0; i < 5_000; i++) {
    now += 1;
    const id = 2 * i + 1;
    feed(headers(id, POST, false), frame(FRAME.DATA, FLAG.END_STREAM, id, 'hello'));
    const stream = streams.at(-1) as H2Stream;
    if (i % 3 === 0) feed(word(FRAME.RST_STREAM, id, H2_CODE.CANCEL));
    connection.respond(stream, [':status', '200'], false);
    connection.sendData(stream, Buffer.alloc(2_000), 0, 2_000, true);
    feed(word(FRAME.WINDOW_UPDATE, 0, 2_000), frame(FRAME.PING, 0, 0, '12345678'));
    connection.takeOutput();
  }
  assert.equal(connection.failed, undefined);
});

test('the limits of the defaults are those of the documentation', () => {
  assert.equal(DEFAULT_H2_LIMITS.maxStreams, 100);
  assert.equal(DEFAULT_H2_LIMITS.maxFieldBytes, 65_536);
});
