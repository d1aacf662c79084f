import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createFakeScheduler } from '#testing';
import type { Evidence } from './evidence.ts';
import { fakeRecord } from './fake-evidence.ts';
import { createLane } from './lane.ts';
import { openQueue } from './queue.ts';
import { type Outcome, retry } from './receiver.ts';

type Attempt = { readonly ids: readonly string[]; readonly at: number };

/** A lane to a receiver that answers as told. */
function fixture(
  t: TestContext,
  answer: (batch: readonly Evidence[], attempt: number) => Outcome | 'hang',
  groupOf?: (item: Evidence) => string,
) {
  const folder = mkdtempSync(join(tmpdir(), 'palisade-lane-'));
  const scheduler = createFakeScheduler();
  const { clock } = scheduler;
  const attempts: Attempt[] = [];
  const dead: { id: string; reason: string }[] = [];
  let canKeep = true;
  const open = () =>
    createLane({
      kind: 'records',
      queue: openQueue({ folder, maxBytes: 1 << 28, maxAgeMs: 1e9, clock }),
      receiver: {
        deliver(batch) {
          attempts.push({ ids: batch.map(({ id }) => id), at: clock() });
          const outcome = answer(batch, attempts.length);
          return outcome === 'hang' ? new Promise(() => {}) : Promise.resolve(outcome);
        },
      },
      deadLetters: {
        keep: ({ id }, reason) => canKeep && dead.push({ id, reason }) > 0,
      },
      maxBatch: 8,
      groupOf,
      timeoutMs: 5_000,
      clock,
      scheduler,
      random: () => 1,
    });
  t.after(() => rmSync(folder, { recursive: true }));
  const put = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, i) => fakeRecord(from + i));
  return { open, put, attempts, dead, scheduler, fillDisk: (full: boolean) => (canKeep = !full) };
}

const delivered: Outcome = { kind: 'delivered' };
const refused: Outcome = { kind: 'refused', reason: 'answered 400' };
const ids = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => `r-${from + i}`);
const sent = (attempts: readonly Attempt[]) => attempts.flatMap((attempt) => attempt.ids);

test('batches leave in order, one at a time', async (t) => {
  const { open, put, attempts, scheduler } = fixture(t, () => delivered);
  const lane = open();
  lane.take(put(0, 20));
  await scheduler.pass(100);
  assert.deepEqual(
    attempts.map((attempt) => attempt.ids.length),
    [8, 8, 4],
  );
  assert.deepEqual(sent(attempts), ids(0, 20));
  assert.equal(lane.state().delivered, 20);
  assert.equal(lane.state().condition, 'ok');
});

test('a receiver of groups gets what is of one group together, in order', async (t) => {
  const groups = ['a', 'a', 'a', 'b', 'a', 'c', 'c'];
  const groupOf = ({ id }: Evidence): string => groups[Number(id.slice(2))] ?? '';
  const { open, put, attempts, scheduler } = fixture(t, () => delivered, groupOf);
  open().take(put(0, groups.length));
  await scheduler.pass(100);
  assert.deepEqual(
    attempts.map((attempt) => attempt.ids.length),
    [3, 1, 1, 2],
  );
  assert.deepEqual(sent(attempts), ids(0, groups.length));
});

test('what came before is not taken again', async (t) => {
  const { open, put, attempts, scheduler } = fixture(t, () => delivered);
  const lane = open();
  lane.take(put(0, 5));
  lane.take(put(2, 8));
  await scheduler.pass(100);
  assert.deepEqual(sent(attempts), ids(0, 8));
});

test('failures are tried again later and later, the same batch first, and nothing is lost', async (t) => {
  const { open, put, attempts, scheduler } = fixture(t, (_batch, n) =>
    n <= 9 ? retry('answered 503') : delivered,
  );
  const lane = open();
  lane.take(put(0, 10));
  await scheduler.pass(29_000);
  assert.equal(lane.state().condition, 'retrying');
  await scheduler.pass(60_000);
  assert.equal(lane.state().condition, 'failing');
  await scheduler.pass(600_000);
  assert.equal(lane.state().condition, 'ok');
  assert.equal(lane.state().lastError, null);
  assert.deepEqual(sent(attempts.slice(9)), ids(0, 10));
  const waits = attempts.slice(1, 10).map((attempt, i) => attempt.at - (attempts[i]?.at ?? 0));
  assert.deepEqual(waits, [500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
});

test('a receiver that says when is not asked before', async (t) => {
  const { open, put, attempts, scheduler } = fixture(t, (_batch, n) =>
    n === 1 ? retry('answered 429', 90_000) : delivered,
  );
  open().take(put(0, 1));
  await scheduler.pass(89_000);
  assert.equal(attempts.length, 1);
  await scheduler.pass(2_000);
  assert.equal(attempts.length, 2);
});

test('one that hangs is left after the time-out', async (t) => {
  const { open, put, attempts, scheduler } = fixture(t, (_batch, n) =>
    n === 1 ? 'hang' : delivered,
  );
  const lane = open();
  lane.take(put(0, 3));
  await scheduler.pass(5_100);
  assert.equal(lane.state().lastError, 'no answer within 5000 ms');
  await scheduler.pass(1_000);
  assert.deepEqual(sent(attempts.slice(1)), ids(0, 3));
});

test('what a receiver never takes is found, put aside, and holds up nothing', async (t) => {
  const poison = new Set(['r-3', 'r-11']);
  const { open, put, attempts, dead, scheduler } = fixture(t, (batch) =>
    batch.some(({ id }) => poison.has(id)) ? refused : delivered,
  );
  const lane = open();
  lane.take(put(0, 20));
  await scheduler.pass(1_000);
  assert.deepEqual(
    dead.map(({ id }) => id),
    ['r-3', 'r-11'],
  );
  const state = lane.state();
  assert.deepEqual([state.delivered, state.deadLettered, state.items], [18, 2, 0]);
  const taken = attempts.filter(({ ids: some }) => !some.some((id) => poison.has(id)));
  assert.deepEqual(
    sent(taken),
    ids(0, 20).filter((id) => !poison.has(id)),
  );
});

test('a receiver that refuses everything is in trouble: after 20 nothing more is put aside', async (t) => {
  const { open, put, dead, scheduler } = fixture(t, () => refused);
  const lane = open();
  lane.take(put(0, 100));
  await scheduler.pass(600_000);
  assert.equal(dead.length, 20);
  assert.equal(lane.state().items, 80);
  assert.equal(lane.state().condition, 'failing');
});

test('what was refused and cannot be put aside stays', async (t) => {
  const { open, put, dead, scheduler, fillDisk } = fixture(t, () => refused);
  fillDisk(true);
  const lane = open();
  lane.take(put(0, 1));
  await scheduler.pass(10_000);
  assert.equal(lane.state().items, 1);
  fillDisk(false);
  await scheduler.pass(60_000);
  assert.deepEqual([lane.state().items, dead.length], [0, 1]);
});

test('a paused lane takes in and sends nothing until it goes on', async (t) => {
  const { open, put, attempts, scheduler } = fixture(t, () => delivered);
  const lane = open();
  lane.pause(true);
  lane.take(put(0, 4));
  await scheduler.pass(10_000);
  assert.deepEqual([attempts.length, lane.state().condition, lane.state().items], [0, 'paused', 4]);
  lane.pause(false);
  await scheduler.pass(100);
  assert.deepEqual(sent(attempts), ids(0, 4));
});

test('closing ends a try that hangs, and the next start sends the same again', async (t) => {
  const { open, put, attempts, scheduler } = fixture(t, (_batch, n) =>
    n === 1 ? 'hang' : delivered,
  );
  const lane = open();
  lane.take(put(0, 4));
  await scheduler.pass(100);
  const closed = lane.close();
  await scheduler.pass(2_000);
  await closed;
  open();
  await scheduler.pass(100);
  assert.deepEqual(
    attempts.map((attempt) => attempt.ids),
    [ids(0, 4), ids(0, 4)],
  );
});

test('what a receiver took and did not keep is told', async (t) => {
  const { open, put, scheduler } = fixture(t, () => ({
    ...delivered,
    rejected: 3,
    note: 'rejected 3: bad',
  }));
  const lane = open();
  lane.take(put(0, 8));
  await scheduler.pass(100);
  const { delivered: taken, rejected, lastError } = lane.state();
  assert.deepEqual([taken, rejected, lastError], [5, 3, 'rejected 3: bad']);
});

test('an item that cannot be written down is put aside, and costs neither the others nor the process', async (t) => {
  const { open, put, dead, scheduler } = fixture(t, (batch) => {
    if (batch.some(({ id }) => id === 'r-5')) throw new RangeError('no whole number\nat all');
    return delivered;
  });
  const lane = open();
  lane.take(put(0, 12));
  await scheduler.pass(1_000);
  assert.deepEqual(dead, [{ id: 'r-5', reason: 'cannot be written down: no whole number at all' }]);
  assert.deepEqual([lane.state().delivered, lane.state().items], [11, 0]);
});
