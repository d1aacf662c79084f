import assert from 'node:assert/strict';
import { test } from 'node:test';
import { H2_CODE, type H2RequestHead, type H2Stream, type H2StreamSink } from '#protocol';
import { type ArrivedRequest, CallTurns } from './h2-turns.ts';

const HEAD: H2RequestHead = {
  method: 'POST',
  scheme: 'http',
  authority: 'a',
  path: '/',
  fields: [],
  contentLength: -1,
};
const SILENT: H2StreamSink = {
  onData: () => undefined,
  onTrailers: () => undefined,
  onReset: () => undefined,
  onDrain: () => undefined,
};
const TAKEN_BACK = {
  code: H2_CODE.CANCEL,
  origin: 'peer',
  unprocessed: false,
  error: undefined,
} as const;

/** An event loop of its own: turns and milliseconds pass when the test says so. */
class FakeLoop {
  nowMs = 0;
  #due: { readonly at: number; readonly callback: () => void }[] = [];
  readonly later = (callback: () => void, ms = 0): void => {
    this.#due.push({ at: this.nowMs + ms, callback });
  };
  get isIdle(): boolean {
    return this.#due.length === 0;
  }
  /** The next turn, `ms` later. */
  turn(ms = 0): void {
    this.nowMs += ms;
    const due = this.#due.filter(({ at }) => at <= this.nowMs);
    this.#due = this.#due.filter(({ at }) => at > this.nowMs);
    for (const { callback } of due) callback();
  }
}

/** A connection whose calls are numbered in `served` when they begin. */
class FakeCaller {
  readonly turns: CallTurns;
  readonly heard: string[] = [];
  withdrawn = 0;
  #next = 1;
  constructor(name: string, loop: FakeLoop, served: string[]) {
    this.turns = new CallTurns({
      begin: ({ stream, isEnd }) => {
        served.push(`${name}${stream.id}`);
        return {
          ...SILENT,
          onData: (chunk, start, end, isLast) => {
            this.heard.push(`${chunk.toString('latin1', start, end)}${isLast ? '.' : ''}`);
          },
          onTrailers: (fields) => {
            this.heard.push(fields.join('='));
          },
          ...(isEnd ? { onData: () => assert.fail('a body after the end') } : {}),
        };
      },
      onWithdrawn: () => this.withdrawn++,
      now: () => loop.nowMs,
      later: loop.later,
    });
  }
  ask(isEnd = true): H2Stream {
    // Of a stream only who hears of it matters here.
    const stream = { id: this.#next++, sink: SILENT } as H2Stream;
    const request: ArrivedRequest = { stream, head: HEAD, isEnd };
    stream.sink = this.turns.accept(request);
    return stream;
  }
  askFor(count: number): readonly H2Stream[] {
    return Array.from({ length: count }, () => this.ask());
  }
}

function start(): { loop: FakeLoop; served: string[]; a: FakeCaller; b: FakeCaller } {
  const loop = new FakeLoop();
  const served: string[] = [];
  return {
    loop,
    served,
    a: new FakeCaller('a', loop, served),
    b: new FakeCaller('b', loop, served),
  };
}

test('a hundred streams at once do not stand before another connection’s one', () => {
  const { loop, served, a, b } = start();
  a.askFor(100);
  loop.turn();
  b.ask();
  loop.turn();
  assert.equal(served.indexOf('b1'), 8, served.join(' '));
  // Nothing was completed: more begin by time alone, in order, and another caller needs not wait for any of them.
  loop.turn(2);
  b.ask();
  loop.turn();
  assert.ok(served.indexOf('b2') <= 11, served.join(' '));
  for (let ms = 0; ms < 100; ms++) loop.turn(1);
  const ofA = served.filter((name) => name.startsWith('a'));
  assert.deepEqual(
    ofA,
    Array.from({ length: 100 }, (_, index) => `a${index + 1}`),
  );
  assert.ok(loop.isIdle);
});

test('answers make room at once: no caller that is answered waits for a clock', () => {
  const { loop, served, a } = start();
  a.askFor(100);
  let answered = 0;
  let turns = 0;
  while (answered < 100) {
    for (; answered < served.length; answered++) a.turns.completed();
    loop.turn();
    turns++;
  }
  assert.equal(served.length, 100);
  assert.ok(turns <= 16, `${turns} turns`);
  // Now it has shown that it is served: a hundred more begin as they come.
  a.askFor(100);
  assert.equal(served.length, 200);
});

test('no turn begins more than eight that waited, however many were answered', () => {
  const { loop, served, a } = start();
  a.askFor(8);
  for (let i = 0; i < 100; i++) a.turns.completed();
  a.askFor(100);
  a.askFor(50);
  for (let i = 0; i < 100; i++) a.turns.completed();
  const before = served.length;
  loop.turn();
  assert.equal(served.length - before, 8);
});

test('rapid reset: of what is taken back in the turn it came in, nothing begins', () => {
  const { loop, served, a } = start();
  for (let turn = 0; turn < 13; turn++) {
    for (let i = 0; i < 15; i++) a.ask().sink.onReset(TAKEN_BACK);
    // The reset of the last one that a read may bring is read in the next turn.
    const { sink } = a.ask();
    loop.turn();
    sink.onReset(TAKEN_BACK);
  }
  assert.deepEqual([served.length, a.withdrawn], [0, 208]);
  // Nor does time alone let others begin while that goes on.
  a.ask();
  a.ask().sink.onReset(TAKEN_BACK);
  for (let ms = 0; ms < 50; ms++) loop.turn(1);
  assert.equal(served.length, 0);
  for (let ms = 0; ms < 4; ms++) loop.turn(1);
  assert.equal(served.length, 1);
});

test('rapid reset of a caller that was answered once: no more begin than it has earned', () => {
  const { loop, served, a } = start();
  a.ask();
  loop.turn();
  a.turns.completed();
  for (let i = 0; i < 200; i++) a.ask().sink.onReset(TAKEN_BACK);
  // Eight less the one, and two for it.
  assert.deepEqual([served.length, a.withdrawn], [1 + 9, 191]);
});

test('a request that comes alone begins in the turn it came in', () => {
  const { loop, served, a } = start();
  a.ask();
  loop.turn();
  assert.deepEqual(served, ['a1']);
  a.turns.completed();
  a.ask();
  assert.deepEqual(served, ['a1', 'a2']);
});

test('a connection that ends takes along what waits, and that is nobody’s withdrawal', () => {
  const { loop, served, a } = start();
  for (const { sink } of a.askFor(20).slice(8))
    sink.onReset({ ...TAKEN_BACK, origin: 'connection' });
  loop.turn(20);
  assert.deepEqual([served.length, a.withdrawn, loop.isIdle], [8, 0, true]);
});

test('body and trailers that come before the call begins are the call’s, in order', () => {
  const { loop, a } = start();
  a.askFor(8);
  loop.turn();
  const whole = a.ask(false);
  for (const part of ['on', 'e ', 'two']) {
    whole.sink.onData(Buffer.from(`<${part}>`), 1, 1 + part.length, false);
  }
  whole.sink.onTrailers(['a', 'b']);
  const ended = a.ask(false);
  ended.sink.onData(Buffer.from('three'), 0, 5, true);
  const empty = a.ask(false);
  empty.sink.onData(Buffer.alloc(0), 0, 0, true);
  const open = a.ask(false);
  loop.turn(8);
  assert.deepEqual(a.heard, ['one two', 'a=b', 'three.', '.']);
  // From then on the call hears for itself.
  open.sink.onData(Buffer.from('four'), 0, 4, true);
  assert.equal(a.heard.at(-1), 'four.');
});
