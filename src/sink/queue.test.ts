import assert from 'node:assert/strict';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { openQueue, type Queue, type QueueEntry, type QueueOptions } from './queue.ts';

const DAY_MS = 86_400_000;

function entries(from: number, to: number, text = ''): QueueEntry[] {
  return Array.from({ length: to - from }, (_, i) => ({
    position: from + i,
    line: `item ${from + i} ${text}`,
  }));
}

function fixture(t: TestContext, options: Partial<QueueOptions> = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'palisade-queue-'));
  let now = 1_000_000;
  let queue: Queue | undefined;
  const open = () =>
    (queue = openQueue({
      folder,
      maxBytes: options.maxBytes ?? 1 << 30,
      maxAgeMs: options.maxAgeMs ?? DAY_MS,
      clock: () => now,
      ...(options.isSpare === undefined ? {} : { isSpare: options.isSpare }),
    }));
  t.after(() => {
    queue?.close();
    rmSync(folder, { recursive: true });
  });
  return { folder, open, pass: (ms: number) => (now += ms) };
}

function drain(queue: Queue, size = 100): string[] {
  const lines: string[] = [];
  for (let batch = queue.read(size); batch !== undefined; batch = queue.read(size)) {
    lines.push(...batch.lines);
    queue.advance(batch.after);
  }
  return lines;
}

const linesOf = (list: readonly QueueEntry[]) => list.map(({ line }) => line);

test('how long the oldest waits does not shrink because something newer came', (t) => {
  const { open, pass } = fixture(t);
  const queue = open();
  queue.append(entries(0, 1));
  queue.tend();
  pass(60_000);
  queue.append(entries(1, 2));
  queue.tend();
  const batch = queue.read(10);
  assert.equal(batch?.lines.length, 2);
  assert.equal(queue.state().oldestAt, 1_000_000);
  const one = queue.read(1);
  assert.ok(one);
  queue.advance(one.after);
  queue.read(1);
  assert.equal(queue.state().oldestAt, 1_060_000);
});

test('what goes in comes out, in order and once, whatever the sizes', (t) => {
  const { open } = fixture(t);
  const queue = open();
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 20 }),
      fc.integer({ min: 1, max: 50 }),
      (sizes, batch) => {
        const put: string[] = [];
        for (const size of sizes) {
          const from = queue.position() + 1;
          const some = entries(from, from + size);
          queue.append(some);
          put.push(...linesOf(some));
        }
        assert.equal(queue.state().items, put.length);
        assert.deepEqual(drain(queue, batch), put);
        assert.equal(queue.state().items, 0);
      },
    ),
    { numRuns: 50 },
  );
});

test('reading does not move the place: what is not advanced past comes again', (t) => {
  const queue = fixture(t).open();
  queue.append(entries(0, 10));
  assert.deepEqual(queue.read(4)?.lines, linesOf(entries(0, 4)));
  assert.deepEqual(queue.read(4)?.lines, linesOf(entries(0, 4)));
});

test('a restart goes on in the middle of a frame, and knows the last position', (t) => {
  const { open } = fixture(t);
  const first = open();
  first.append(entries(0, 100));
  const batch = first.read(30);
  assert.ok(batch);
  first.advance(batch.after);
  first.close();
  const second = open();
  assert.equal(second.position(), 99);
  assert.equal(second.state().items, 70);
  assert.deepEqual(drain(second), linesOf(entries(30, 100)));
});

test('a queue that was emptied and started again does not repeat', (t) => {
  const { open, folder } = fixture(t);
  const first = open();
  first.append(entries(0, 50));
  drain(first);
  first.close();
  const second = open();
  assert.deepEqual(drain(second), []);
  second.append(entries(50, 60));
  assert.deepEqual(drain(second), linesOf(entries(50, 60)));
  assert.equal(second.position(), 59);
  assert.ok(readdirSync(folder).length < 4);
});

test('positions that were not wanted are remembered over a restart', (t) => {
  const { open } = fixture(t);
  const first = open();
  first.startAt(7_000);
  first.tend();
  first.close();
  assert.equal(open().position(), 7_000);
});

test('a torn end, as a killed process leaves it, is cut off and the rest is whole', (t) => {
  const { open, folder } = fixture(t);
  const first = open();
  first.append(entries(0, 20));
  first.tend();
  first.append(entries(20, 40));
  first.close();
  const name = readdirSync(folder).find((file) => file.endsWith('.seg')) ?? '';
  const bytes = readFileSync(join(folder, name));
  for (let cut = bytes.length - 1; cut > bytes.length / 2 + 40; cut -= 7) {
    writeFileSync(join(folder, name), bytes.subarray(0, cut));
    rmSync(join(folder, 'cursor.json'), { force: true });
    const queue = open();
    assert.equal(queue.position(), 19, `cut at ${cut}`);
    assert.deepEqual(drain(queue), linesOf(entries(0, 20)));
    queue.close();
    truncateSync(join(folder, name), 0);
  }
});

test('a bit that flipped costs its frame, which is counted, and no other', (t) => {
  const { open, folder } = fixture(t);
  const first = open();
  for (let i = 0; i < 5; i++) {
    first.append(entries(i * 10, i * 10 + 10));
    first.tend();
  }
  first.close();
  const name = readdirSync(folder).find((file) => file.endsWith('.seg')) ?? '';
  const path = join(folder, name);
  const whole = readFileSync(path);
  const second = whole.indexOf('PSQ1', 1);
  // Its magic, its length, its checksum, its payload.
  for (const offset of [second, second + 9, second + 5, second + 40]) {
    const bytes = Buffer.from(whole);
    bytes.writeUInt8(bytes.readUInt8(offset) ^ 0x40, offset);
    writeFileSync(path, bytes);
    rmSync(join(folder, 'cursor.json'), { force: true });
    const queue = open();
    const lines = drain(queue, 7);
    assert.deepEqual(
      lines,
      [...linesOf(entries(0, 10)), ...linesOf(entries(20, 50))],
      `at ${offset}`,
    );
    assert.equal(queue.state().items, 0);
    queue.close();
  }
});

test('garbage instead of a segment or a cursor stops nothing', (t) => {
  const { open, folder } = fixture(t);
  writeFileSync(join(folder, '000000000003.seg'), Buffer.alloc(5_000, 0x50));
  writeFileSync(join(folder, 'cursor.json'), '{"place":{"segment":-1e99}}');
  const queue = open();
  assert.deepEqual(drain(queue), []);
  queue.append(entries(0, 5));
  assert.deepEqual(drain(queue), linesOf(entries(0, 5)));
});

test('beyond its bytes the oldest goes, and is counted', (t) => {
  const { open } = fixture(t, { maxBytes: 6 * 1024 * 1024 });
  const queue = open();
  const noise = () =>
    Array.from({ length: 60 }, () => Math.random().toString(36).slice(2)).join('');
  let position = 0;
  for (let i = 0; i < 60; i++) {
    queue.append(
      Array.from({ length: 300 }, () => ({ position, line: `${position++} ${noise()}` })),
    );
    queue.tend();
  }
  const { items, bytes, lost } = queue.state();
  assert.ok(bytes <= 6 * 1024 * 1024, `${bytes} bytes`);
  assert.ok(lost.full > 0);
  assert.equal(items + lost.full, position);
  const numbers = drain(queue, 1000).map((line) => Number.parseInt(line, 10));
  assert.equal(numbers.length, items);
  assert.equal(numbers[0], lost.full);
  assert.equal(numbers.at(-1), position - 1);
});

test('beyond its bytes what can be spared goes first, in order all the same', (t) => {
  const isSpare = (line: string) => line.includes('spare');
  const { open } = fixture(t, { maxBytes: 3 * 1024 * 1024, isSpare });
  const queue = open();
  const noise = () =>
    Array.from({ length: 60 }, () => Math.random().toString(36).slice(2)).join('');
  let position = 0;
  const needed: number[] = [];
  for (let i = 0; i < 40; i++) {
    const some = Array.from({ length: 200 }, () => {
      position++;
      if (position % 10 === 0) needed.push(position);
      return {
        position,
        line: `${position} ${position % 10 === 0 ? 'needed' : 'spare'} ${noise()}`,
      };
    });
    queue.append(some);
    queue.tend();
  }
  const { items, bytes, lost } = queue.state();
  assert.ok(bytes <= 3 * 1024 * 1024, `${bytes} bytes`);
  assert.equal(items + lost.full, position);
  const left = drain(queue, 500).map((line) => Number.parseInt(line, 10));
  assert.deepEqual(
    left,
    left.toSorted((a, b) => a - b),
  );
  assert.equal(left.length, items);
  const kept = left.filter((n) => n % 10 === 0);
  assert.deepEqual(kept, needed.slice(-kept.length));
  assert.ok(kept.length > 0.7 * needed.length, `${kept.length} of ${needed.length}`);
});

test('what is older than the bound goes, and is counted', (t) => {
  const { open, pass } = fixture(t, { maxAgeMs: 1_000 });
  const queue = open();
  queue.append(entries(0, 10));
  queue.tend();
  pass(900);
  queue.tend();
  assert.equal(queue.state().items, 10);
  pass(200);
  queue.tend();
  assert.deepEqual([queue.state().items, queue.state().lost.expired], [0, 10]);
  queue.append(entries(10, 12));
  assert.deepEqual(drain(queue), linesOf(entries(10, 12)));
});

test('a disk that takes nothing: memory holds what fits, the rest is counted, and all goes on with room', (t) => {
  const { open, folder } = fixture(t);
  const queue = open();
  rmSync(folder, { recursive: true });
  writeFileSync(folder, 'a file where the folder was');
  queue.append(entries(0, 20));
  queue.tend();
  assert.deepEqual([queue.read(100), queue.state().items], [undefined, 20]);
  queue.append(entries(20, 140, 'x'.repeat(100_000)));
  queue.tend();
  const { items, lost } = queue.state();
  assert.ok(lost.disk > 0 && items + lost.disk === 140, `${items} and ${lost.disk}`);
  rmSync(folder);
  mkdirSync(folder);
  queue.tend();
  const positions = drain(queue).map((line) => Number(line.split(' ')[1]));
  assert.deepEqual(
    positions,
    entries(lost.disk, 140).map(({ position }) => position),
  );
});

test('a segment that vanished costs what was in it, which is counted', (t) => {
  const { open, folder } = fixture(t);
  const queue = open();
  queue.append(entries(0, 20));
  queue.tend();
  for (const name of readdirSync(folder)) rmSync(join(folder, name));
  assert.equal(queue.read(5), undefined);
  assert.deepEqual([queue.state().items, queue.state().lost.damaged], [0, 20]);
});
