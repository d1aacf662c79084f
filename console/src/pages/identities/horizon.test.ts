import assert from 'node:assert/strict';
import { test } from 'node:test';
import { axisFor, barOf, shareOf, ticksOf } from './horizon.ts';

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
  assert.equal(barOf(axis, { issuedMs: NOW, expiresMs: far, nowMs: NOW }).isCut, true);
  assert.equal(barOf(axis, { issuedMs: NOW, expiresMs: near, nowMs: NOW }).isCut, false);
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

test('a bar is late after seven tenths of its life and expired at its end', () => {
  const axis = { fromMs: NOW - 60 * MINUTE, toMs: NOW + 60 * MINUTE };
  const life = { issuedMs: NOW - 30 * MINUTE, expiresMs: NOW + 30 * MINUTE };
  const at = (minutes: number) => {
    const bar = barOf(axis, { ...life, nowMs: NOW + minutes * MINUTE });
    return `${bar.isLate ? 'late' : 'well'}${bar.isExpired ? ' expired' : ''}`;
  };
  assert.deepEqual([0, 11, 13, 30].map(at), ['well', 'well', 'late', 'late expired']);
});

test('what lies outside is cut off at the ends', () => {
  const axis = { fromMs: 0, toMs: 100 };
  assert.deepEqual(
    [-5, 0, 25, 100, 500].map((ms) => shareOf(axis, ms)),
    [0, 0, 0.25, 1, 1],
  );
});
