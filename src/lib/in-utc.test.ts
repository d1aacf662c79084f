import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inUtc } from './in-utc.ts';

test('an instant without a zone is in UTC, all else is as it was', () => {
  for (const [text, expected] of [
    ['2026-01-31T12:00', '2026-01-31T12:00Z'],
    ['2026-01-31T12:00:00.5', '2026-01-31T12:00:00.5Z'],
    ['2026-01-31T12:00:00Z', '2026-01-31T12:00:00Z'],
    ['2026-01-31T12:00:00+02:00', '2026-01-31T12:00:00+02:00'],
    ['2026-01-31', '2026-01-31'],
    ['2h', '2h'],
  ] as const) {
    assert.equal(inUtc(text), expected);
  }
});
