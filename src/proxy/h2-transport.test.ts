import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { H2StreamSink } from '#protocol';
import { H2Transport } from './h2-transport.ts';
import type { BytePipe, PipeEvents } from './pipe.ts';

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const SETTINGS = Buffer.from('000000040000000000', 'hex');
const NOTHING: H2StreamSink = {
  onData: () => undefined,
  onTrailers: () => undefined,
  onReset: () => undefined,
  onDrain: () => undefined,
};

/** A pipe that the test pushes bytes into, and what was done to it. */
class FakePipe implements BytePipe {
  readonly written: Buffer[] = [];
  readonly done: string[] = [];
  readonly isBehind = false;
  readonly unsentBytes = 0;
  readonly halfCloses = false;
  readonly drainsByPeer = false;
  readonly isRetired = false;
  readonly writable = true;
  closed = false;
  events: PipeEvents | undefined;
  attach(events: PipeEvents): void {
    this.events = events;
  }
  write(bytes: Buffer, onWritten?: (bytes: Buffer) => void): boolean {
    this.written.push(Buffer.from(bytes));
    if (onWritten !== undefined) setImmediate(onWritten, bytes);
    return true;
  }
  writeLent(): boolean {
    return true;
  }
  end(): void {
    this.done.push('end');
  }
  pause(): void {
    this.done.push('pause');
  }
  resume(): void {
    this.done.push('resume');
  }
  destroy(): void {
    this.closed = true;
    this.events?.onClose();
  }
  reset(): void {
    this.destroy();
  }
}

// `:method GET`, `:scheme http`, `:path /` of the static table, and `:authority a` as a literal.
const HEAD = Buffer.from('828684010161', 'hex');

function request(index: number): Buffer {
  const header = Buffer.from('000006010500000000', 'hex');
  header.writeUInt32BE(2 * index + 1, 5);
  return Buffer.concat([header, HEAD]);
}

function requests(count: number): Buffer {
  return Buffer.concat(Array.from({ length: count }, (_, index) => request(index)));
}

function start(): { readonly pipe: FakePipe; readonly begun: () => number } {
  const pipe = new FakePipe();
  let begun = 0;
  const transport: H2Transport = new H2Transport({
    role: 'server',
    carries: 'calls',
    events: {
      onRefused: (error) => assert.fail(error),
      onRequest(stream) {
        begun++;
        setImmediate(() => transport.connection.respond(stream, [':status', '204'], true));
        return NOTHING;
      },
    },
    onClose: () => undefined,
  });
  transport.start(pipe);
  pipe.events?.onData(Buffer.concat([Buffer.from(PREFACE), SETTINGS]));
  pipe.done.length = 0;
  return { pipe, begun: () => begun };
}

test('attack: hundreds of requests in one read do not hold up everybody else: so many a turn are begun', async () => {
  const { pipe, begun } = start();
  pipe.events?.onData(requests(70));
  const after = [begun()];
  assert.deepEqual(pipe.done, ['pause']);
  while (begun() < 70) {
    await turn();
    after.push(begun());
  }
  assert.deepEqual(after, [16, 32, 48, 64, 70]);
  assert.deepEqual(pipe.done.filter((what) => what === 'resume').length, 1);
});

test('what comes while the rest waits is read after it, cut wherever it may be, and so is the end', async () => {
  const { pipe, begun } = start();
  const all = requests(60);
  pipe.events?.onData(all.subarray(0, 500));
  pipe.events?.onData(all.subarray(500, 507));
  pipe.events?.onData(all.subarray(507));
  pipe.events?.onEnd();
  assert.equal(begun(), 16);
  assert.ok(!pipe.done.includes('end'));
  for (let i = 0; i < 5; i++) await turn();
  assert.equal(begun(), 60);
  assert.equal(pipe.done.at(-1), 'end');
});

test('a connection that is gone while the rest waits begins nothing more', async () => {
  const { pipe, begun } = start();
  pipe.events?.onData(requests(60));
  pipe.destroy();
  for (let i = 0; i < 5; i++) await turn();
  assert.equal(begun(), 16);
});

test('attack: frames that bring nothing are read in turns, too', async () => {
  const { pipe } = start();
  // WINDOW_UPDATE of the connection by one.
  const credit = Buffer.from('00000408000000000000000001', 'hex');
  pipe.events?.onData(Buffer.concat(Array.from({ length: 300 }, () => credit)));
  assert.deepEqual(pipe.done, ['pause']);
  await turn();
  assert.deepEqual(pipe.done, ['pause', 'pause']);
  await turn();
  assert.deepEqual(pipe.done, ['pause', 'pause', 'resume']);
});
