import assert from 'node:assert/strict';
import { test } from 'node:test';
import { recordOf } from './fixtures.ts';
import { rollUp } from './rollups.ts';

const CALLS = 9_000;

test('attack: callers without end are one caller past a bound, and none of their calls is lost', () => {
  const records = Array.from(
    { length: CALLS },
    (_, at) => [0, recordOf(at, { 'source.service': `caller-${at}` })] as const,
  );
  const rollups = rollUp(records);
  assert.ok(rollups.length < CALLS / 2, `${rollups.length} edges`);
  const requests = rollups.reduce((sum, one) => sum + one.requests, 0);
  assert.equal(requests, CALLS);
  const others = rollups.find(({ source }) => source === 'others');
  assert.equal(others?.requests, CALLS - rollups.length + 1);
});

test('what was spooled for hours keeps its edges', () => {
  const spooled = Array.from({ length: CALLS }, (_, at) => [at * 1_000, recordOf(at)] as const);
  const rollups = rollUp(spooled);
  assert.deepEqual(
    [rollups.length, rollups.every(({ source }) => source === 'default/web')],
    [CALLS, true],
  );
});
