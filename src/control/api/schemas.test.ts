import assert from 'node:assert/strict';
import { test } from 'node:test';
import { instantOf, timesOf } from './schemas.ts';

const NOW = Date.parse('2026-01-31T12:00:00.000Z');

/** Checks which instant a text is, as ISO 8601; null: it is refused. */
function check(text: string, expected: string | null): void {
  if (expected === null) {
    assert.throws(() => instantOf(text, 'since', NOW), /neither a duration such as 5m nor/, text);
    return;
  }
  assert.equal(new Date(instantOf(text, 'since', NOW) ?? 0).toISOString(), expected, text);
}

test('a time is a duration back or an instant, without a zone one of UTC wherever the host is', () => {
  const zone = process.env['TZ'];
  for (const each of ['UTC', 'America/New_York', 'Asia/Kathmandu']) {
    process.env['TZ'] = each;
    check('5m', '2026-01-31T11:55:00.000Z');
    check('2026-01-31T11:00:00Z', '2026-01-31T11:00:00.000Z');
    check('2026-01-31T11:00:00+05:45', '2026-01-31T05:15:00.000Z');
    check('2026-01-31T11:00:00', '2026-01-31T11:00:00.000Z');
    check('2026-01-31T11:00:00.250', '2026-01-31T11:00:00.250Z');
    check('2026-01-31T11:00', '2026-01-31T11:00:00.000Z');
    check('2026-01-31', '2026-01-31T00:00:00.000Z');
  }
  if (zone === undefined) delete process.env['TZ'];
  else process.env['TZ'] = zone;
});

test('what is no time is refused', () => {
  for (const text of ['yesterday', '5', '-5m', '5x', '12:00', '2026-13-01', '1e3m', '٥m', ' ', '"'])
    check(text, null);
});

test('times between which nothing can lie are refused, not answered with nothing', () => {
  assert.deepEqual(timesOf({}, NOW), { sinceMs: undefined, untilMs: undefined });
  assert.deepEqual(timesOf({ since: '2h', until: '1h' }, NOW), {
    sinceMs: NOW - 7_200_000,
    untilMs: NOW - 3_600_000,
  });
  assert.equal(timesOf({ since: '1h', until: '1h' }, NOW).sinceMs, NOW - 3_600_000);
  assert.throws(
    () => timesOf({ since: '1h', until: '2h' }, NOW),
    /`since`, 2026-01-31T11:00:00.000Z, is after `until`, 2026-01-31T10/,
  );
});
