import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Live, LiveConnections } from './live.ts';

function fakeLive(log: string[], name: string, deadlineAt: number): Live {
  return {
    deadlineAt,
    expire: () => log.push(`${name} expired`),
    judgeAgain: () => log.push(`${name} judged`),
    drain: () => log.push(`${name} drained`),
    destroy: () => log.push(`${name} destroyed`),
  };
}

test('deadlines: each is told once, when its time has come', () => {
  let now = 1000;
  const log: string[] = [];
  const live = new LiveConnections(() => now);
  live.add(fakeLive(log, 'a', 1500));
  live.add(fakeLive(log, 'b', 2500));
  live.add(fakeLive(log, 'none', 0));
  for (now of [1400, 1500, 1600, 2600, 2700]) live.tick();
  assert.deepEqual(log, ['a expired', 'b expired']);
  live.close();
});

test('a change of policy reaches every live connection, and none that is gone', () => {
  const log: string[] = [];
  const live = new LiveConnections(() => 0);
  const gone = fakeLive(log, 'gone', 0);
  live.add(gone);
  live.add(fakeLive(log, 'there', 0));
  live.remove(gone);
  live.judgeAgain();
  assert.deepEqual(log, ['there judged']);
  live.close();
});

test('drain: resolves when the last one went, without waiting for the time-out', async () => {
  const log: string[] = [];
  const live = new LiveConnections(() => 0);
  const last = fakeLive(log, 'last', 0);
  live.add(last);
  const drained = live.drain(60_000);
  live.remove(last);
  await drained;
  assert.deepEqual(log, ['last drained']);
  live.close();
});

test('drain: what is left after the time-out is cut', async () => {
  const log: string[] = [];
  const live = new LiveConnections(() => 0);
  live.add(fakeLive(log, 'stuck', 0));
  await live.drain(1);
  assert.deepEqual(log, ['stuck drained', 'stuck destroyed']);
  live.close();
});
