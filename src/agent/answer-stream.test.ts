import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import { type AnswerCall, createAnswerStream } from './answer-stream.ts';

/** A call whose client reads, or does not. */
function fakeCall() {
  const call = Object.assign(new EventEmitter(), {
    written: [] as string[],
    isRead: true,
    refused: [] as unknown[],
    refuse(refusal: unknown): void {
      call.refused.push(refusal);
    },
    write(answer: string): boolean {
      call.written.push(answer);
      return call.isRead;
    },
  });
  return call;
}

function start() {
  const call = fakeCall();
  let ends = 0;
  const stream = createAnswerStream(call as unknown as AnswerCall<string>, () => {
    ends++;
  });
  return { call, ends: () => ends, stream, send: (key: string) => stream.send(key, () => key) };
}

test('what was sent last is not sent again', () => {
  const { call, send, stream } = start();
  assert.equal(stream.isAnswered(), false);
  for (const key of ['a', 'a', 'b', 'a']) send(key);
  assert.deepEqual(call.written, ['a', 'b', 'a']);
  assert.equal(stream.isAnswered(), true);
});

test('attack: a client that never reads costs one answer; one that reads again gets the newest', () => {
  const { call, send } = start();
  call.isRead = false;
  for (let i = 0; i < 1000; i++) send(`answer ${i}`);
  assert.deepEqual(call.written, ['answer 0']);
  call.isRead = true;
  call.emit('drain');
  assert.deepEqual(call.written, ['answer 0', 'answer 999']);
  send('later');
  assert.equal(call.written.length, 3);
});

test('it ends once, and nothing is sent after', () => {
  const { call, ends, send, stream } = start();
  stream.end({ code: 7, details: 'denied' });
  call.emit('cancelled');
  call.emit('close');
  send('a');
  assert.equal(ends(), 1);
  assert.deepEqual(call.refused, [{ code: 7, details: 'denied' }]);
  assert.deepEqual(call.written, []);
});

test('a client that left ends it without a refusal', () => {
  const { call, ends, send } = start();
  call.emit('cancelled');
  send('a');
  assert.equal(ends(), 1);
  assert.deepEqual(call.written, []);
});
