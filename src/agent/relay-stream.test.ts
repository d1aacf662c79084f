import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { fail, ok } from '#lib';
import type { CallRefusal } from '#wire';
import { relayStream } from './relay-stream.ts';

/** One side of a relay that takes `room` messages and then is full. */
class FakeSide extends EventEmitter {
  readonly written: string[] = [];
  room = 1_000;
  isPaused = false;
  cancelled = false;
  ended = false;
  sentMetadata = 0;
  readonly refused: CallRefusal[] = [];
  refuse(refusal: CallRefusal): void {
    this.refused.push(refusal);
  }
  write(message: string): boolean {
    this.written.push(message);
    return --this.room > 0;
  }
  pause(): void {
    this.isPaused = true;
  }
  resume(): void {
    this.isPaused = false;
  }
  cancel(): void {
    this.cancelled = true;
  }
  end(): void {
    this.ended = true;
  }
  sendMetadata(): void {
    this.sentMetadata++;
  }
}

function start() {
  const down = new FakeSide();
  const up = new FakeSide();
  let ends = 0;
  relayStream<string, string>({
    down: down as never,
    up: up as never,
    rewrite: (text) =>
      text === 'bad'
        ? fail({ code: status.PERMISSION_DENIED, details: 'bad' })
        : ok(text.toUpperCase()),
    onEnd: () => ends++,
  });
  return { down, up, errors: down.refused, ends: () => ends };
}

test('messages pass both ways, requests rewritten', () => {
  const { down, up } = start();
  down.emit('data', 'hello');
  up.emit('metadata');
  up.emit('data', 'answer');
  assert.deepEqual(up.written, ['HELLO']);
  assert.deepEqual(down.written, ['answer']);
  assert.equal(down.sentMetadata, 1);
});

test('a full side stops the other until it drains', () => {
  const { down, up } = start();
  up.room = 1;
  down.emit('data', 'a');
  assert.equal(down.isPaused, true);
  up.emit('drain');
  assert.equal(down.isPaused, false);
  down.room = 1;
  up.emit('data', 'b');
  assert.equal(up.isPaused, true);
  down.emit('drain');
  assert.equal(up.isPaused, false);
});

test('a refused request ends both sides, and nothing passes afterwards', () => {
  const { down, up, errors, ends } = start();
  down.emit('data', 'bad');
  down.emit('data', 'late');
  up.emit('data', 'late');
  assert.deepEqual(errors, [{ code: status.PERMISSION_DENIED, details: 'bad' }]);
  assert.equal(up.cancelled, true);
  assert.deepEqual([up.written, down.written], [[], []]);
  assert.equal(ends(), 1);
});

test('an error of the control plane is passed on with its status', () => {
  const { errors, up, ends } = start();
  up.emit('error', { code: status.UNAVAILABLE, details: 'gone' });
  up.emit('end');
  assert.deepEqual(errors, [{ code: status.UNAVAILABLE, details: 'the control plane: gone' }]);
  assert.equal(ends(), 1);
});

test('a goodbye is passed on as one, a reset as a reset', () => {
  const polite = start();
  polite.down.emit('end');
  assert.deepEqual([polite.up.ended, polite.up.cancelled], [true, false]);
  const reset = start();
  reset.down.cancelled = true;
  reset.down.emit('cancelled');
  assert.deepEqual([reset.up.ended, reset.up.cancelled], [false, true]);
});
