import assert from 'node:assert/strict';
import { test } from 'node:test';
import { axisFor, barOf, renewalOf, shareOf, ticksOf } from './horizon.ts';

const NOW = Date.UTC(2026, 0, 1, 12);
const MINUTE = 60_000;

test('the axis reaches the furthest expiry and stands still as time passes', () => {
  const expiry = NOW + 50 * MINUTE;
  const axis = axisFor([expiry], NOW);
  assert.ok(axis.fromMs < NOW && axis.toMs > expiry);
  assert.deepEqual(axisFor([expiry], NOW + 10_000), axis);
});

test('an axis without identities still shows an hour', () => {
  const axis = axisFor([], NOW);
  assert.ok(axis.toMs - NOW >= 60 * MINUTE);
});

test('expiries far beyond the others are cut, so that the others stay readable', () => {
  const [near, far] = [NOW + 60 * MINUTE, NOW + 24 * 60 * MINUTE];
  const axis = axisFor([near, near, near, far, far], NOW);
  assert.ok(axis.toMs < NOW + 5 * 60 * MINUTE);
  assert.equal(barOf(axis, { issuedMs: NOW, expiresMs: far }).isCut, true);
  assert.equal(barOf(axis, { issuedMs: NOW, expiresMs: near }).isCut, false);
});

const spans = [5, 55, 300, 60 * 24, 60 * 24 * 90, 60 * 24 * 3650];

for (const minutes of spans) {
  test(`an axis of ${minutes} minutes has a tick at now and few others`, () => {
    const axis = axisFor([NOW + minutes * MINUTE], NOW);
    const ticks = ticksOf(axis, NOW, () => 't');
    assert.ok(ticks.some((tick) => tick.label === 'now' && tick.ms === NOW));
    assert.ok(ticks.length >= 2 && ticks.length <= 15, String(ticks.length));
    assert.ok(ticks.every((tick) => tick.at >= 0 && tick.at <= 1));
  });
}

test('a renewal is late after seven tenths of a life, unless nobody is left who would renew', () => {
  const iso = (minutes: number) => new Date(NOW + minutes * MINUTE).toISOString();
  const life = { issuedAt: iso(-30), expiresAt: iso(30) };
  const at = (heldBy: string | null) =>
    [0, 11, 13, 30].map((minutes) => renewalOf({ ...life, heldBy }, NOW + minutes * MINUTE));
  assert.deepEqual(at('shop/orders/1'), ['well', 'well', 'late', 'expired']);
  assert.deepEqual(at(null), ['well', 'well', 'ended', 'expired']);
});

test('what lies outside is cut off at the ends', () => {
  const axis = { fromMs: 0, toMs: 100 };
  assert.deepEqual(
    [-5, 0, 25, 100, 500].map((ms) => shareOf(axis, ms)),
    [0, 0, 0.25, 1, 1],
  );
});
