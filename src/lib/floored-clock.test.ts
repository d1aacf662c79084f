import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFlooredClock } from './floored-clock.ts';

const HOUR = 3_600_000;

function start() {
  const world = { wallMs: 10 * HOUR, elapsedMs: 5 };
  const clock = createFlooredClock({ wall: () => world.wallMs, elapsed: () => world.elapsedMs });
  const pass = (ms: number) => {
    world.wallMs += ms;
    world.elapsedMs += ms;
  };
  return { world, clock, pass };
}

test('until somebody vouches it is the clock on the wall', () => {
  const { world, clock } = start();
  assert.equal(clock.now(), 10 * HOUR);
  world.wallMs -= HOUR;
  assert.equal(clock.now(), 9 * HOUR);
});

test('a clock that is set back goes on from what was vouched for', () => {
  const { world, clock, pass } = start();
  clock.vouch(10 * HOUR - 1_000);
  pass(60_000);
  assert.equal(clock.now(), 10 * HOUR + 60_000);
  world.wallMs -= HOUR;
  assert.equal(clock.now(), 10 * HOUR + 59_000);
  pass(1_000);
  assert.equal(clock.now(), 10 * HOUR + 60_000);
  clock.vouch(9 * HOUR);
  clock.vouch(Number.NaN);
  assert.equal(clock.now(), 10 * HOUR + 60_000, 'what is older takes nothing away');
});

test('a clock that was ahead and is set right is right', () => {
  const { world, clock, pass } = start();
  clock.vouch(10 * HOUR);
  world.wallMs += HOUR;
  assert.equal(clock.now(), 11 * HOUR);
  pass(1_000);
  world.wallMs -= HOUR;
  assert.equal(clock.now(), 10 * HOUR + 1_000);
});
