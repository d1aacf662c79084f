import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { getPriority } from 'node:os';
import { type TestContext, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { makeWay, openThreadSlices, type ThreadSlices } from './make-way.ts';

const threads = (): number[] => readdirSync('/proc/self/task').map(Number);

/** The kernel's slices; undefined, and said so, where it knows none. */
async function slicesHere(t: TestContext): Promise<ThreadSlices | undefined> {
  const slices = await openThreadSlices();
  if (slices !== undefined && (slices.sliceMs(process.pid) ?? 0) > 0) return slices;
  t.skip('this kernel has no slices of threads (Linux before 6.12)');
  return undefined;
}

test('all threads but the main one make way, those of workers included', async (t) => {
  const slices = await slicesHere(t);
  if (slices === undefined) return;
  const before = slices.sliceMs(process.pid);
  const worker = new Worker('setInterval(() => {}, 1000)', { eval: true });
  await once(worker, 'online');
  const stop = await makeWay();
  const others = threads().filter((id) => id !== process.pid);
  assert.ok(others.length > 1);
  for (const id of others) assert.equal(slices.sliceMs(id), 100, `thread ${id}`);
  assert.equal(slices.sliceMs(process.pid), before);
  stop();
  await worker.terminate();
});

test('a thread keeps its niceness', async (t) => {
  const slices = await slicesHere(t);
  if (slices === undefined) return;
  const id = threads().at(-1) ?? 0;
  const before = getPriority(id);
  assert.equal(slices.set(id, 50), true);
  assert.equal(slices.sliceMs(id), 50);
  assert.equal(getPriority(id), before);
});

test('a thread that is gone is left alone', async (t) => {
  const slices = await slicesHere(t);
  if (slices === undefined) return;
  // Past every limit of Linux (pid_max is at most 2^22).
  assert.equal(slices.sliceMs(2 ** 22 + 1), undefined);
  assert.equal(slices.set(2 ** 22 + 1, 100), false);
});
