import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NO_LIMITS } from '#snapshot';
import { ConnectionSlots } from './connection-slots.ts';

test('connections up to the limit, then so many wait, then no more', () => {
  const slots = new ConnectionSlots();
  const limits = { ...NO_LIMITS, maxConnections: 2, maxPendingRequests: 2 };
  const woken: string[] = [];
  const wish = (name: string): string => slots.openOrWait(limits, () => woken.push(name));
  assert.deepEqual(['a', 'b', 'c', 'd', 'e'].map(wish), [
    'granted',
    'granted',
    'waiting',
    'waiting',
    'refused',
  ]);
  assert.equal(slots.tryOpen(limits), false);
  slots.release();
  assert.deepEqual(woken, ['c']);
  assert.equal(slots.open, 1);
  slots.wakeNext();
  slots.wakeNext();
  assert.deepEqual(woken, ['c', 'd']);
});

test('who waits no more is not woken', () => {
  const slots = new ConnectionSlots();
  const limits = { ...NO_LIMITS, maxConnections: 1 };
  const woken: string[] = [];
  const first = (): number => woken.push('first');
  slots.tryOpen(limits);
  slots.openOrWait(limits, first);
  slots.openOrWait(limits, () => woken.push('second'));
  slots.cancel(first);
  assert.equal(slots.waiting, 1);
  slots.release();
  assert.deepEqual(woken, ['second']);
});

test('without limits everything is granted and nothing waits', () => {
  const slots = new ConnectionSlots();
  for (let i = 0; i < 5_000; i++)
    assert.equal(
      slots.openOrWait(NO_LIMITS, () => {}),
      'granted',
    );
  assert.equal(slots.waiting, 0);
});
