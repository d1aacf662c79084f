import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTimeWindow, windowHolds } from './time-window.ts';

/** Checks a window against instants that lie within it and instants that do not. */
function check(text: string, within: readonly string[], outside: readonly string[]): void {
  test(`the time \`${text}\``, () => {
    const parsed = parseTimeWindow(text);
    assert.ok(parsed.ok, JSON.stringify(parsed));
    for (const instant of within) {
      assert.equal(windowHolds(parsed.value, Date.parse(instant)), true, instant);
    }
    for (const instant of outside) {
      assert.equal(windowHolds(parsed.value, Date.parse(instant)), false, instant);
    }
  });
}

// 2026-01-02 is a Friday.
check(
  'Mon-Fri 08:00-18:00',
  ['2026-01-02T08:00:00Z', '2026-01-02T17:59:59.999Z'],
  ['2026-01-02T07:59:59Z', '2026-01-02T18:00:00Z', '2026-01-03T12:00:00Z'],
);
check('Sat,Sun', ['2026-01-03T00:00:00Z', '2026-01-04T23:59:59Z'], ['2026-01-05T00:00:00Z']);
check('Fri-Mon', ['2026-01-02T00:00:00Z', '2026-01-05T12:00:00Z'], ['2026-01-06T00:00:00Z']);
check(
  'Fri 22:00-06:00',
  ['2026-01-02T22:00:00Z', '2026-01-03T05:59:00Z'],
  ['2026-01-02T05:00:00Z', '2026-01-03T06:00:00Z', '2026-01-03T22:00:00Z'],
);
check('22:00-06:00', ['2026-01-02T05:00:00Z', '2026-01-02T23:00:00Z'], ['2026-01-02T12:00:00Z']);
check('18:00-24:00', ['2026-01-02T23:59:59Z'], ['2026-01-03T00:00:00Z']);
check(
  '2026-01-01T00:00:00Z/2026-02-01T00:00:00Z',
  ['2026-01-01T00:00:00Z', '2026-01-31T23:59:59Z'],
  ['2025-12-31T23:59:59Z', '2026-02-01T00:00:00Z'],
);

for (const text of [
  '',
  ' ',
  'soon',
  'Mon-',
  'Mon--Fri',
  'Mon-Fri 8-18',
  '08:00-08:00',
  '08:60-09:00',
  '24:01-25:00',
  'Mon Tue',
  '2026-01-01/2026-02-01',
  '2026-02-01T00:00:00Z/2026-01-01T00:00:00Z',
  '2026-13-01T00:00:00Z/2026-14-01T00:00:00Z',
]) {
  test(`\`${text}\` is no time`, () => {
    assert.equal(parseTimeWindow(text).ok, false);
  });
}
