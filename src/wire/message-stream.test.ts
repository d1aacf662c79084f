import assert from 'node:assert/strict';
import { Duplex } from 'node:stream';
import { test } from 'node:test';
import { status } from '@grpc/grpc-js';
import {
  acceptMessageStream,
  createMessage,
  encodeMessage,
  ISSUE_SERVER,
  type IssueRequest,
  IssueRequestSchema,
  IssueResponseSchema,
} from './index.ts';

/** A connection whose other end is the test. */
class FakeSocket extends Duplex {
  readonly sent: Buffer[] = [];
  setNoDelay = (): this => this;
  override _read(): void {
    // What comes is pushed by the test.
  }
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.sent.push(chunk);
    done();
  }
}

/** What a stream makes of chunks: the ids of its messages, and how it ended. */
async function read(chunks: readonly Uint8Array[], pauseAt = Number.POSITIVE_INFINITY) {
  const socket = new FakeSocket();
  const stream = acceptMessageStream(socket as never, ISSUE_SERVER);
  const ids: number[] = [];
  let outcome = 'open';
  stream.on('data', ({ id }: IssueRequest) => {
    ids.push(id);
    if (ids.length === pauseAt) stream.pause();
  });
  stream.on('error', ({ code, details }) => {
    outcome = `${status[code]}: ${details}`;
  });
  stream.on('end', () => {
    outcome = 'end';
  });
  for (const chunk of chunks) socket.push(chunk);
  await new Promise((resolve) => setImmediate(resolve));
  return { socket, stream, ids, outcome: () => outcome };
}

function framed(id: number): Buffer {
  const body = encodeMessage(IssueRequestSchema, createMessage(IssueRequestSchema, { id }));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  return Buffer.concat([length, body]);
}

const THREE = Buffer.concat([framed(1), framed(2000), framed(3)]);

test('messages are the same however the bytes come, and none before it is whole', async () => {
  for (let cut = 0; cut <= THREE.length; cut++) {
    const { ids } = await read([THREE.subarray(0, cut), THREE.subarray(cut)]);
    assert.deepEqual(ids, [1, 2000, 3], `cut at ${cut}`);
  }
  const bytewise = await read(Array.from(THREE, (byte) => Buffer.from([byte])));
  assert.deepEqual(bytewise.ids, [1, 2000, 3]);
  const { ids, outcome } = await read([THREE.subarray(0, -1)]);
  assert.deepEqual([ids, outcome()], [[1, 2000], 'open']);
});

test('what is paused waits, also what has come already', async () => {
  const { ids, stream } = await read([THREE], 1);
  assert.deepEqual(ids, [1]);
  assert.equal(stream.isPaused(), true);
  stream.resume();
  assert.deepEqual(ids, [1, 2000, 3]);
});

test('a message goes behind its length', async () => {
  const { socket, stream } = await read([]);
  assert.equal(stream.write(createMessage(IssueResponseSchema, { id: 7 })), true);
  assert.deepEqual(Buffer.concat(socket.sent), Buffer.from([0, 0, 0, 2, 8, 7]));
});

test('attack: a message of four gigabytes, and one that is none, end the connection', async () => {
  const huge = await read([framed(1), Buffer.from([0xff, 0xff, 0xff, 0xff]), framed(2)]);
  assert.deepEqual(huge.ids, [1]);
  assert.equal(huge.outcome(), 'UNAVAILABLE: a message is too long');
  assert.equal(huge.socket.destroyed, true);
  const garbage = await read([Buffer.from([0, 0, 0, 2, 0xff, 0xff]), framed(2)]);
  assert.deepEqual(garbage.ids, []);
  assert.equal(garbage.outcome(), 'UNAVAILABLE: a message is malformed');
  assert.equal(garbage.stream.write(createMessage(IssueResponseSchema, { id: 1 })), false);
});

test('a connection that closes is told of once', async () => {
  const { socket, outcome } = await read([framed(1)]);
  socket.destroy();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(outcome(), 'end');
});
