import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import { createSilentLog } from '#telemetry';
import { createFakeScheduler } from '#testing';
import type { SubscribeRequest } from '#wire';
import { createSubscription, type SubscribeStream } from './subscribe.ts';

/** A stream whose other side is the test. */
class FakeStream extends EventEmitter {
  readonly written: SubscribeRequest[] = [];
  isPaused = false;
  isCancelled = false;
  write(request: SubscribeRequest): boolean {
    this.written.push(request);
    return true;
  }
  pause(): void {
    this.isPaused = true;
  }
  resume(): void {
    this.isPaused = false;
  }
  cancel(): void {
    this.isCancelled = true;
    // As grpc-js does, later and although nobody waits for it any more.
    setImmediate(() => this.emit('error', new Error('cancelled')));
  }
  end(): void {
    this.emit('end');
  }
  cases(): (string | undefined)[] {
    return this.written.map(({ message }) => message.case);
  }
}

function start(more: { canOpen?: () => boolean } = {}) {
  const scheduler = createFakeScheduler();
  const streams: FakeStream[] = [];
  const opened: number[] = [];
  const handled: (() => void)[] = [];
  const subscription = createSubscription({
    open() {
      opened.push(scheduler.clock());
      if (more.canOpen?.() === false) return undefined;
      const stream = new FakeStream();
      streams.push(stream);
      return { stream: stream as unknown as SubscribeStream, close: () => {} };
    },
    hello: () => ({ node: 'shop/web/1' }),
    ack: () => ({ ready: true }),
    lookups: () => [{ namespace: 'bank', kind: 'Service', name: 'vault' }],
    onMessage: () => new Promise((resolve) => handled.push(resolve)),
    maxRetryMs: 10_000,
    clock: scheduler.clock,
    random: () => 0.5,
    scheduler,
    log: createSilentLog(),
  });
  const last = (): FakeStream => {
    const stream = streams.at(-1);
    assert.ok(stream);
    return stream;
  };
  return { scheduler, streams, opened, handled, subscription, last };
}

test('a stream begins with Hello, what was looked up, and what is enforced', async () => {
  const world = start();
  await world.scheduler.pass(0);
  assert.deepEqual(world.last().cases(), ['hello', 'lookup', 'ack']);
  assert.equal(world.subscription.isConnected(), false);
  await world.scheduler.pass(1_000);
  assert.equal(world.subscription.isConnected(), true, 'silence is consent');
  await world.scheduler.pass(20_000);
  assert.equal(
    world
      .last()
      .cases()
      .filter((each) => each === 'ack').length,
    3,
    'every 10 s',
  );
});

test('retries back off up to the bound, and start small again after success', async () => {
  let canOpen = false;
  const world = start({ canOpen: () => canOpen });
  await world.scheduler.pass(120_000);
  const waits = world.opened.slice(1).map((at, i) => at - (world.opened[i] ?? 0));
  assert.ok(waits.length < 32, `${waits.length} attempts in two minutes`);
  assert.ok(
    waits.every((wait, i) => i === 0 || wait >= (waits[i - 1] ?? 0)),
    waits.join(),
  );
  assert.ok((waits.at(-1) ?? 0) >= 4_000);
  canOpen = true;
  await world.scheduler.pass(12_000);
  world.last().emit('data', {});
  const before = world.opened.length;
  world.last().emit('error', new Error('gone'));
  await world.scheduler.pass(200);
  assert.equal(world.opened.length, before + 1);
});

test('a server that takes every stream and drops it at once is not hammered', async () => {
  const world = start();
  for (let i = 0; i < 200; i++) {
    await world.scheduler.pass(100);
    const stream = world.streams.at(-1);
    if (stream?.isCancelled === false) stream.emit('error', new Error('no'));
  }
  assert.ok(world.opened.length < 15, `${world.opened.length} attempts in 20 s`);
});

test('what is not yet handled is not read on', async () => {
  const world = start();
  await world.scheduler.pass(0);
  world.last().emit('data', {});
  assert.equal(world.last().isPaused, true);
  world.handled[0]?.();
  await world.scheduler.pass(0);
  assert.equal(world.last().isPaused, false);
});

test('contact is remembered after the stream is lost', async () => {
  const world = start();
  assert.equal(world.subscription.lastContactAt(), undefined);
  await world.scheduler.pass(5_000);
  const at = world.scheduler.clock();
  assert.equal(world.subscription.lastContactAt(), at);
  world.last().emit('end');
  await world.scheduler.pass(10);
  assert.equal(world.subscription.isConnected(), false);
  assert.equal(world.subscription.lastContactAt(), at);
});

test('a restart says Hello on a new stream and does not mind the end of the old one', async () => {
  const world = start();
  await world.scheduler.pass(0);
  const [first] = world.streams;
  world.subscription.restart();
  await world.scheduler.pass(0);
  assert.equal(world.streams.length, 2);
  assert.equal(first?.isCancelled, true);
  await world.scheduler.pass(50);
  assert.equal(world.streams.length, 2);
});

test('closed is closed', async () => {
  const world = start();
  await world.scheduler.pass(0);
  await world.subscription.close();
  await world.scheduler.pass(60_000);
  assert.equal(world.streams.length, 1);
});
