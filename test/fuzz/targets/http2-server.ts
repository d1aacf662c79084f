import assert from 'node:assert/strict';
import { H2Connection, type H2StreamSink } from '#protocol';
import { FLAG, FRAME, SETTING } from '../../../src/protocol/http2/frames.ts';
import {
  block,
  compressed,
  frame,
  GET_FIELDS,
  HELLO,
  headers,
  settings,
  word,
} from '../../../src/protocol/http2/raw-frames.ts';
import { type FuzzTarget, pieces } from '../target.ts';

const POST = [':method', 'POST', ...GET_FIELDS.slice(2)];

/**
 * Whatever frames come, and however they are cut: the same events, the same output and the same end;
 * no exception; and no body that is not as long as it says completes.
 */
export const http2ServerTarget: FuzzTarget = {
  name: 'http2-server',
  seeds: [
    [headers(1, block(GET_FIELDS)), word(FRAME.WINDOW_UPDATE, 1, 1), word(FRAME.RST_STREAM, 1, 8)],
    [headers(1, compressed(POST), false), frame(FRAME.DATA, FLAG.END_STREAM, 1, 'hello')],
    [
      headers(1, block([...POST, 'content-length', '5', 'x', 'y']), false),
      frame(FRAME.DATA, FLAG.PADDED, 1, '\x03he\0\0\0'),
      frame(FRAME.DATA, FLAG.END_STREAM, 1, 'llo'),
    ],
    [
      frame(FRAME.HEADERS, 0, 1, block(POST)),
      frame(FRAME.CONTINUATION, FLAG.END_HEADERS, 1, block(['te', 'trailers'])),
      headers(1, block(['grpc-status', '0'])),
    ],
    [
      settings([SETTING.INITIAL_WINDOW_SIZE, 3], [SETTING.HEADER_TABLE_SIZE, 0]),
      headers(1, compressed(GET_FIELDS)),
      frame(FRAME.PING, 0, 0, '12345678'),
      frame(FRAME.PRIORITY, 0, 3, '\0\0\0\0\x10'),
      frame(FRAME.GOAWAY, 0, 0, '\0\0\0\0\0\0\0\0'),
      frame(0xfa, 0xff, 7, 'unknown'),
    ],
    [headers(1, Buffer.concat([block(GET_FIELDS), Buffer.from([0x40, 1, 0x78, 1, 0x79, 0xbe])]))],
  ].map((frames) => Buffer.concat([HELLO, ...frames])),
  tokens: [
    headers(3, block(GET_FIELDS)).toString('latin1'),
    headers(5, block(POST), false).toString('latin1'),
    frame(FRAME.DATA, FLAG.END_STREAM, 5, 'x').toString('latin1'),
    word(FRAME.WINDOW_UPDATE, 0, 0x7fff_ffff).toString('latin1'),
    word(FRAME.RST_STREAM, 3, 0).toString('latin1'),
    frame(FRAME.SETTINGS, 0, 0).toString('latin1'),
    '\x3f\xe1\x1f',
    '\xff\xff\xff\xff',
    '\x82\x86\x84',
  ],
  run(bytes) {
    const whole = serve([bytes]);
    for (const round of [0, 1]) assert.deepEqual(serve(pieces(bytes, round)), whole);
  },
};

function serve(chunks: readonly Buffer[]): readonly unknown[] {
  const seen: unknown[] = [];
  const connection = new H2Connection({
    role: 'server',
    events: {
      onOutput: () => undefined,
      onRefused: (error, scope) => seen.push([scope, error]),
      onRequest(stream, head, isEnd) {
        const expected = head === 'tooLarge' ? -1 : head.contentLength;
        seen.push([stream.id, head, isEnd]);
        connection.respond(stream, [':status', '200'], false);
        connection.sendData(stream, Buffer.from('answer'), 0, 6, true);
        return listen(stream.id, expected, seen);
      },
    },
  });
  connection.start();
  for (const chunk of chunks) connection.receive(chunk, 0);
  connection.resetStalled(1);
  connection.closed();
  return [...seen, connection.failed, connection.takeOutput()?.toString('hex')];
}

function listen(id: number, expected: number, seen: unknown[]): H2StreamSink {
  const line: { id: number; body: string; end: unknown } = { id, body: '', end: undefined };
  seen.push(line);
  const finish = (end: unknown): void => {
    assert.equal(line.end, undefined, 'nothing is told after the end');
    line.end = end;
  };
  return {
    onData(chunk, start, end, isEnd) {
      assert.equal(line.end, undefined, 'no body after the end');
      line.body += chunk.toString('latin1', start, end);
      if (!isEnd) return;
      if (expected >= 0) assert.equal(line.body.length, expected);
      finish('end');
    },
    onTrailers: (fields) => finish(fields),
    onReset(reset) {
      // How much of a broken body came first depends on the cut.
      line.body = '';
      finish(reset);
    },
    onDrain: () => undefined,
  };
}
