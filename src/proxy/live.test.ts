import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Live, LiveConnections } from './live.ts';
import type { FailureKind } from './respond.ts';

function fakeLive(
  log: string[],
  name: string,
  { deadlineAt = 0, manner = 'stream', judge = () => undefined }: Partial<Live>,
): Live {
  return {
    deadlineAt,
    cutAt: 0,
    manner,
    expire: () => log.push(`${name} expired`),
    judge() {
      log.push(`${name} judged`);
      return judge();
    },
    cut: (reason) => log.push(`${name} cut: ${reason}`),
    drain: () => log.push(`${name} drained`),
    destroy: () => log.push(`${name} destroyed`),
  };
}

test('deadlines: each is told once, when its time has come', () => {
  let now = 1000;
  const log: string[] = [];
  const live = new LiveConnections(() => now);
  live.add(fakeLive(log, 'a', { deadlineAt: 1500 }));
  live.add(fakeLive(log, 'b', { deadlineAt: 2500 }));
  live.add(fakeLive(log, 'none', {}));
  for (now of [1400, 1500, 1600, 2600, 2700]) live.tick();
  assert.deepEqual(log, ['a expired', 'b expired']);
  live.close();
});

test('a change of policy reaches every live connection, and none that is gone', () => {
  const log: string[] = [];
  const live = new LiveConnections(() => 0);
  const gone = fakeLive(log, 'gone', {});
  live.add(gone);
  live.add(fakeLive(log, 'there', {}));
  live.remove(gone);
  live.judgeAgain(5000);
  assert.deepEqual(log, ['there judged']);
  live.close();
});

test('drain: resolves when the last one went, without waiting for the time-out', async () => {
  const log: string[] = [];
  const live = new LiveConnections(() => 0);
  const last = fakeLive(log, 'last', {});
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
  live.add(fakeLive(log, 'stuck', {}));
  await live.drain(1);
  assert.deepEqual(log, ['stuck drained', 'stuck destroyed']);
  live.close();
});

test('what may be no more is cut at once; a plain request gets its grace, once', () => {
  let now = 1000;
  let reason: FailureKind | undefined = 'policy_denied';
  const log: string[] = [];
  const live = new LiveConnections(() => now);
  const request = fakeLive([], 'request', {
    manner: 'request',
    judge: () => reason,
  });
  const watched: Live = { ...request, cut: (why) => log.push(`request cut: ${why}`) };
  const stream = fakeLive(log, 'stream', { judge: () => reason });
  live.add(watched);
  live.add(stream);
  assert.deepEqual(live.judgeAgain(5000), { cut: 1, finishing: 1 });
  assert.deepEqual(log.splice(0), ['stream judged', 'stream cut: policy_denied']);
  live.remove(stream);
  // A second change does not lengthen the grace of the first.
  now = 4000;
  live.judgeAgain(5000);
  now = 5900;
  live.tick();
  assert.deepEqual(log, []);
  now = 6000;
  live.tick();
  assert.deepEqual(log.splice(0), ['request cut: policy_denied']);
  // Allowed again in between: nothing happens.
  live.judgeAgain(5000);
  reason = undefined;
  live.judgeAgain(5000);
  now = 20_000;
  live.tick();
  assert.deepEqual(log, []);
  live.close();
});

test('attack: a request of a revoked peer gets no grace', () => {
  const log: string[] = [];
  const live = new LiveConnections(() => 1000);
  const judge = (): FailureKind => 'peer_unauthenticated';
  live.add(fakeLive(log, 'request', { manner: 'request', judge }));
  assert.deepEqual(live.judgeAgain(5000), { cut: 1, finishing: 0 });
  assert.deepEqual(log, ['request judged', 'request cut: peer_unauthenticated']);
  live.close();
});

test('a change judges each of ten thousand live connections before the next event', () => {
  const live = new LiveConnections(() => 1000);
  let judged = 0;
  const judge = (): undefined => {
    judged++;
  };
  for (let i = 0; i < 10_000; i++) live.add(fakeLive([], 'x', { judge }));
  live.judgeAgain(5000);
  assert.equal(judged, 10_000);
  live.close();
});
