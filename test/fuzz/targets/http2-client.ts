import assert from 'node:assert/strict';
import { H2Connection, type H2StreamSink } from '#protocol';
import { FLAG, FRAME } from '../../../src/protocol/http2/frames.ts';
import {
  block,
  frame,
  GET_FIELDS,
  headers,
  settings,
  word,
} from '../../../src/protocol/http2/raw-frames.ts';
import { type FuzzTarget, pieces } from '../target.ts';

const HELLO = Buffer.concat([settings(), frame(FRAME.SETTINGS, FLAG.ACK, 0)]);
const OK = block([':status', '200', 'content-length', '5']);

/** A server that says anything at all to a client with two open streams: one outcome, however it is cut. */
export const http2ClientTarget: FuzzTarget = {
  name: 'http2-client',
  seeds: [
    [headers(1, OK, false), frame(FRAME.DATA, FLAG.END_STREAM, 1, 'hello')],
    [
      headers(1, block([':status', '103', 'link', 'x']), false),
      headers(1, block([':status', '200']), false),
      frame(FRAME.DATA, 0, 1, 'x'),
      headers(1, block(['grpc-status', '0'])),
    ],
    [word(FRAME.RST_STREAM, 1, 7), frame(FRAME.GOAWAY, 0, 0, '\0\0\0\x01\0\0\0\0')],
    [headers(3, block([':status', '204'])), word(FRAME.WINDOW_UPDATE, 0, 100)],
    [frame(FRAME.PUSH_PROMISE, FLAG.END_HEADERS, 1, '\0\0\0\x02')],
  ].map((frames) => Buffer.concat([HELLO, ...frames])),
  tokens: [
    headers(3, OK, false).toString('latin1'),
    frame(FRAME.DATA, FLAG.END_STREAM, 3, 'hello').toString('latin1'),
    frame(FRAME.PING, 0, 0, '12345678').toString('latin1'),
    '\x88',
    ':status',
    '\xff\xff\xff\xff',
  ],
  run(bytes) {
    const whole = call([bytes]);
    for (const round of [0, 1]) assert.deepEqual(call(pieces(bytes, round)), whole);
  },
};

function call(chunks: readonly Buffer[]): readonly unknown[] {
  const seen: unknown[] = [];
  const connection = new H2Connection({
    role: 'client',
    events: { onOutput: () => undefined, onRefused: (error, scope) => seen.push([scope, error]) },
  });
  connection.start();
  const lines = [listen(), listen()];
  for (const { sink } of lines) connection.open(GET_FIELDS, true, sink);
  for (const chunk of chunks) connection.receive(chunk, 0);
  connection.closed();
  const output = connection.takeOutput()?.toString('hex');
  return [...seen, ...lines.map(({ told }) => told), connection.failed, output];
}

function listen(): { readonly told: unknown[]; readonly sink: H2StreamSink } {
  const told: unknown[] = [];
  let body = '';
  let isOver = false;
  let expected = -1;
  const finish = (end: unknown): void => {
    assert.equal(isOver, false, 'nothing is told after the end');
    isOver = true;
    told.push(body, end);
  };
  const sink: H2StreamSink = {
    onResponse(head, isEnd) {
      told.push(head);
      if (head.status !== 204 && head.status !== 304) expected = head.contentLength;
      if (isEnd) finish('end');
    },
    onData(chunk, start, end, isEnd) {
      body += chunk.toString('latin1', start, end);
      if (!isEnd) return;
      if (expected >= 0) assert.equal(body.length, expected);
      finish('end');
    },
    onTrailers: (fields) => finish(fields),
    onReset(reset) {
      // How much of a broken body came first depends on the cut.
      body = '';
      finish(reset);
    },
    onDrain: () => undefined,
  };
  return { told, sink };
}
