import assert from 'node:assert/strict';
import { test } from 'node:test';
import { frameMessage, MessageReader } from './message-reader.ts';

const MESSAGES = ['', 'a', 'bc', 'x'.repeat(5_000), '', 'y'.repeat(70_000)];
const STREAM = Buffer.concat(MESSAGES.map((text) => frameMessage(Buffer.from(text))));

const never = (): never => assert.fail('no message is complete');

/** What is read of the stream in pieces of so many bytes. */
function readInPieces(bytes: number): readonly string[] {
  const reader = new MessageReader(100_000, undefined);
  const got: string[] = [];
  for (let at = 0; at < STREAM.length; at += bytes) {
    // What is lent is altered afterwards.
    const lent = Buffer.from(STREAM.subarray(at, at + bytes));
    const problem = reader.take(lent, 0, lent.length, (message) => got.push(message.toString()));
    assert.equal(problem, undefined);
    lent.fill(0xff);
  }
  assert.equal(reader.isPartial, false);
  return got;
}

for (const bytes of [1, 2, 5, 7, 4_096, STREAM.length]) {
  test(`messages in pieces of ${bytes} bytes are read whole and in order`, () => {
    assert.deepEqual(readInPieces(bytes), MESSAGES);
  });
}

test('attack: a message that comes byte by byte holds no more memory than one that comes at once', () => {
  const length = 1_000_000;
  const frame = frameMessage(Buffer.alloc(length, 7));
  const reader = new MessageReader(length, undefined);
  const before = process.memoryUsage();
  for (let at = 0; at < frame.length - 1; at++) reader.take(frame, at, at + 1, never);
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  // A buffer for each byte would be a hundred times as much.
  assert.ok(heapUsed - before.heapUsed + arrayBuffers - before.arrayBuffers < 10 * length);
  assert.equal(reader.isPartial, true);
});

test('a length is believed once its bytes are there', () => {
  const reader = new MessageReader(1_000_000_000, undefined);
  const before = process.memoryUsage().arrayBuffers;
  const announced = Buffer.from([0, 0x3b, 0x9a, 0xca, 0x00, 1]);
  assert.equal(reader.take(announced, 0, announced.length, never), undefined);
  assert.ok(process.memoryUsage().arrayBuffers - before < 1_000_000);
});
