import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { LiveChannel } from './live-channel.ts';

/** An EventSource that the test speaks for. */
class FakeEventSource extends EventTarget {
  static readonly OPEN = 1;
  static readonly CLOSED = 2;
  static opened: FakeEventSource[] = [];
  readyState = 0;
  onopen: (() => void) | undefined;
  onerror: (() => void) | undefined;

  constructor() {
    super();
    FakeEventSource.opened.push(this);
  }

  close(): void {
    this.readyState = FakeEventSource.CLOSED;
  }

  connect(): void {
    this.readyState = FakeEventSource.OPEN;
    this.onopen?.();
  }

  breakOff(): void {
    this.readyState = 0;
    this.onerror?.();
  }

  say(event: string): void {
    this.dispatchEvent(new Event(event));
  }
}

const realEventSource = globalThis.EventSource;
let channel: LiveChannel;
let announced: number;

beforeEach(() => {
  Object.assign(globalThis, { EventSource: FakeEventSource });
  FakeEventSource.opened = [];
  announced = 0;
  channel = new LiveChannel();
  channel.watchTopic('policy', () => {
    announced += 1;
  });
  channel.open();
});

afterEach(() => {
  channel.close();
  Object.assign(globalThis, { EventSource: realEventSource });
});

function source(): FakeEventSource {
  const newest = FakeEventSource.opened.at(-1);
  if (newest === undefined) throw new Error('no connection was opened');
  return newest;
}

test('an announcement reaches who watches its topic, and no one else', () => {
  source().connect();
  source().say('policy');
  source().say('map');
  assert.equal(announced, 1);
  assert.equal(channel.state().kind, 'live');
});

test('after a broken connection everyone looks anew', () => {
  source().connect();
  source().breakOff();
  assert.equal(channel.state().kind, 'lost');
  assert.notEqual(channel.state().heardAt, undefined);
  source().connect();
  assert.deepEqual([channel.state().kind, announced], ['live', 1]);
});

test('paused, nothing is announced; resumed, everyone looks anew', () => {
  source().connect();
  const before = source();
  channel.pause();
  assert.deepEqual([before.readyState, channel.state().kind], [FakeEventSource.CLOSED, 'paused']);
  channel.resume();
  assert.equal(announced, 1);
  source().connect();
  assert.equal(channel.state().kind, 'live');
});

test('a hidden page holds no connection, and a paused one stays paused when seen again', () => {
  source().connect();
  channel.suspend();
  assert.equal(source().readyState, FakeEventSource.CLOSED);
  channel.wake();
  assert.equal(FakeEventSource.opened.length, 2);
  channel.pause();
  channel.suspend();
  channel.wake();
  assert.deepEqual([FakeEventSource.opened.length, channel.state().kind], [2, 'paused']);
});

test('a session that is over is never opened again', () => {
  channel.signedOut();
  channel.open();
  source().connect();
  assert.equal(channel.state().kind, 'signed-out');
  assert.equal(FakeEventSource.opened.length, 1);
});
