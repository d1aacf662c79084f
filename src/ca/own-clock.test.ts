import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openDatabase } from './database.ts';
import { openOwnClock } from './own-clock.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const NOON = Date.parse('2026-05-01T12:00:00.000Z');

/** An authority's host: what its wall clock is off, and time that passes, in which the clock is asked now and then. */
function host(database = openDatabase(':memory:')) {
  let passed = 0;
  let off = 0;
  const start = (startedAt = NOON + passed) => {
    let elapsed = 0;
    const begun = passed;
    const clock = openOwnClock({
      database,
      wall: () => startedAt + (passed - begun) + off,
      elapsed: () => elapsed,
    });
    return {
      pass(ms: number) {
        for (let left = ms; left > 0; left -= MINUTE) {
          passed += Math.min(left, MINUTE);
          elapsed += Math.min(left, MINUTE);
          clock.keep();
        }
      },
      /** What it takes the time for, less what it is. */
      wrongBy: () => clock.now() - (NOON + passed),
    };
  };
  return {
    start,
    set: (by: number) => {
      off = by;
    },
  };
}

function check(name: string, play: (of: ReturnType<typeof host>) => number, wrongBy: number): void {
  test(name, () => assert.equal(play(host()), wrongBy));
}

check('a clock that is right is what it says', (of) => of.start().wrongBy(), 0);
check(
  'attack: set back an hour, it goes on, for as long as that lasts',
  (of) => {
    const own = of.start();
    own.pass(MINUTE);
    of.set(-HOUR);
    own.pass(5 * HOUR);
    return own.wrongBy();
  },
  0,
);
check(
  'set ahead, it shows so, and is right when it is set right',
  (of) => {
    const own = of.start();
    of.set(HOUR);
    assert.equal(own.wrongBy(), HOUR);
    own.pass(10 * MINUTE);
    of.set(0);
    return own.wrongBy();
  },
  0,
);
check(
  'ahead for more than an hour, as after a host slept, is believed',
  (of) => {
    const own = of.start();
    of.set(2 * HOUR);
    own.pass(61 * MINUTE);
    of.set(0);
    return own.wrongBy();
  },
  2 * HOUR,
);
check(
  'attack: ahead step by step, each too small to be one',
  (of) => {
    const own = of.start();
    for (let step = 1; step <= 50; step++) {
      of.set(step * (MINUTE - 1));
      own.pass(MINUTE);
    }
    of.set(0);
    const wrongBy = own.wrongBy();
    assert.ok(wrongBy <= MINUTE, `${wrongBy}`);
    return 0;
  },
  0,
);
check(
  'attack: started again under a clock of the day before, after hours of work',
  (of) => {
    of.start().pass(3 * HOUR);
    of.set(-24 * HOUR);
    const wrongBy = of.start().wrongBy();
    assert.ok(wrongBy <= 0 && wrongBy > -2 * MINUTE, `${wrongBy}`);
    return 0;
  },
  0,
);
check(
  'started under a clock that is ahead, and set right within the hour: right from the next start on',
  (of) => {
    of.set(HOUR);
    const own = of.start();
    own.pass(30 * MINUTE);
    of.set(0);
    assert.equal(own.wrongBy(), HOUR, 'as far as it can know, that is a step back');
    return of.start().wrongBy();
  },
  0,
);

test('its milliseconds are whole ones, also when it counts', () => {
  let wall = NOON;
  const of = { database: openDatabase(':memory:'), wall: () => wall, elapsed: () => 0.25 };
  const { now } = openOwnClock(of);
  wall -= HOUR;
  assert.ok(Number.isInteger(now()), `${now()}`);
});
