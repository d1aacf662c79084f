import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ApiClient } from '#client';
import type { EnforcementPoint } from '../../api-types.ts';
import { awaitCurrent, isCurrent } from './awaited-points.ts';

const HEAD = { number: 2, hash: 'h2' };
const set = { namespace: 'shop', wanted: HEAD, enforced: HEAD, current: true };
const CURRENT = {
  node: 'shop/orders/1',
  stale: false,
  refused: [],
  acknowledged: true,
  sets: [set],
} as unknown as EnforcementPoint;

/** An API that gives one answer after the other, and the last one again and again. */
function fakeApi(answers: readonly EnforcementPoint[]) {
  let asked = 0;
  const call = async () => {
    const item = answers[Math.min(asked, answers.length - 1)];
    asked += 1;
    return { items: [item], next: null };
  };
  return { api: { call } as Pick<ApiClient, 'call'>, asked: () => asked };
}

test('a point enforces the newest only by its own word on its present stream', () => {
  const { acknowledged: _unknown, ...older } = CURRENT;
  const refusal = { namespace: 'shop', number: 2, code: 'x', message: 'no' };
  const cases: readonly (readonly [string, EnforcementPoint, boolean])[] = [
    ['all is well', CURRENT, true],
    ['an older control plane does not say', older, true],
    ['only its hello was heard', { ...CURRENT, acknowledged: false }, false],
    ['stale', { ...CURRENT, stale: true }, false],
    ['refuses', { ...CURRENT, refused: [refusal] }, false],
    ['holds an older version', { ...CURRENT, sets: [{ ...set, current: false }] }, false],
  ];
  for (const [name, point, expected] of cases) assert.equal(isCurrent(point), expected, name);
});

test('waiting does not end with a point that has only come back', async () => {
  const { api, asked } = fakeApi([{ ...CURRENT, acknowledged: false }, CURRENT]);
  const points = await awaitCurrent(api, Date.now() + 60_000);
  assert.deepEqual([asked(), points[0]?.acknowledged], [2, true]);
});

test('without waiting the first answer is it', async () => {
  const { api, asked } = fakeApi([{ ...CURRENT, acknowledged: false }, CURRENT]);
  const points = await awaitCurrent(api, 0);
  assert.deepEqual([asked(), points[0]?.acknowledged], [1, false]);
});
