import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';
import { authorizeOutgoing, type Permit } from './authorize.ts';
import { createFakeMesh, fakeSnapshot } from './fake-mesh.ts';
import { forwardConnection } from './forward.ts';
import type { BytePipe, PipeEvents } from './pipe.ts';

/** One side's connection, which says what the test says and notes what becomes of it. */
class FakePipe implements BytePipe {
  readonly writable = true;
  readonly isBehind = false;
  readonly unsentBytes = 0;
  readonly halfCloses = true;
  readonly drainsByPeer = false;
  readonly isRetired = false;
  closed = false;
  heard = '';
  readonly did: string[] = [];
  #events: PipeEvents | undefined;

  attach(events: PipeEvents): void {
    this.#events = events;
  }

  says(text: string): void {
    this.#events?.onData(Buffer.from(text));
  }

  ends(): void {
    this.#events?.onEnd();
  }

  goes(): void {
    this.closed = true;
    this.#events?.onClose();
  }

  write(bytes: Buffer): boolean {
    return this.writeLent(bytes, 0, bytes.length);
  }

  // As a socket that was destroyed: false, and no drain ever.
  writeLent(chunk: Buffer, start: number, end: number): boolean {
    if (this.closed) return false;
    this.heard += chunk.toString('latin1', start, end);
    return true;
  }

  end(): void {
    this.did.push('end');
  }

  pause(): void {
    this.did.push('pause');
  }

  resume(): void {
    // Reading begins; of no interest here.
  }

  destroy(): void {
    this.did.push('destroy');
  }

  reset(): void {
    this.did.push('reset');
  }
}

type Joined = {
  readonly caller: FakePipe;
  readonly server: FakePipe;
  readonly counted: { in: number; out: number };
  readonly told: string[];
};

function permit(): Permit {
  const mesh = createFakeMesh();
  const ruling = authorizeOutgoing({
    snapshot: fakeSnapshot(mesh, { service: 'web' }),
    identity: mesh.issue('web'),
    nowMs: Date.now(),
    heardAt: undefined,
    revocations: undefined,
  });
  if (ruling.kind !== 'permit') throw new Error(ruling.failure.kind);
  return ruling.permit;
}

const PERMIT = permit();

function join(): Joined {
  const [caller, server] = [new FakePipe(), new FakePipe()];
  const counted = { in: 0, out: 0 };
  const told: string[] = [];
  forwardConnection(PERMIT, caller, server, {
    onCallerBytes: (count) => {
      counted.in += count;
    },
    onServerBytes: (count) => {
      counted.out += count;
    },
    onServerBroke: () => told.push('server broke'),
    onCallerGone: () => told.push('caller gone'),
  });
  return { caller, server, counted, told };
}

beforeEach(() => mock.timers.enable({ apis: ['setTimeout'] }));
afterEach(() => mock.timers.reset());

test('both sides say all and go: nobody is cut, whoever is first', () => {
  for (const first of ['caller', 'server'] as const) {
    const joined = join();
    const second = first === 'caller' ? 'server' : 'caller';
    joined[first].ends();
    joined[second].ends();
    joined.server.goes();
    joined.caller.goes();
    mock.timers.tick(60_000);
    assert.deepEqual(joined.caller.did, ['end'], first);
    assert.deepEqual(joined.server.did, ['end'], first);
    assert.deepEqual(joined.told, ['caller gone']);
  }
});

test('a client that only writes learns that its server is gone, and has the time to read its last words', () => {
  const { caller, server, counted, told } = join();
  caller.says('line');
  server.says('bye');
  server.ends();
  server.goes();
  caller.says('lost');
  assert.deepEqual(caller.did, ['end'], 'reads on for a moment, and is not paused for ever');
  assert.equal(caller.heard, 'bye');
  assert.equal(counted.in, 'line'.length, 'what nobody took is not counted as passed');
  mock.timers.tick(1_000);
  assert.deepEqual(caller.did, ['end', 'destroy']);
  assert.deepEqual(told, []);
});

test('a server that streams to a caller who left is let go', () => {
  const { caller, server, counted, told } = join();
  caller.says('all');
  caller.ends();
  caller.goes();
  assert.deepEqual(told, ['caller gone']);
  server.says('more');
  assert.deepEqual(server.did, ['end'], 'not paused: a paused one would never be closed');
  assert.equal(counted.out, 0);
  mock.timers.tick(1_000);
  assert.deepEqual(server.did, ['end', 'destroy']);
});

test('a side that breaks off takes the other one along at once', () => {
  const first = join();
  first.server.goes();
  assert.deepEqual([first.caller.did, first.told], [['reset'], ['server broke']]);
  const second = join();
  second.caller.goes();
  assert.deepEqual([second.server.did, second.told], [['reset'], ['caller gone']]);
  second.server.goes();
  assert.deepEqual(second.told, ['caller gone'], 'it was us who ended the server');
});
