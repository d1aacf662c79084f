import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createEdgeCounters } from '../metrics/edge.ts';
import { createRecordedCall, type RecordedCall } from './access-record.ts';
import { createRollouts } from './rollouts.ts';
import { createSampler } from './sampler.ts';

const START_MS = 1_800_000_000_000;
const OTHERWISE = [{ policy: 'shop/next', verdict: 'deny' }] as const;
const ALIKE = [{ policy: 'shop/next', verdict: 'allow' }] as const;

function callWith(more: Partial<RecordedCall>): RecordedCall {
  return { ...createRecordedCall({ json: '' }), verdict: 'allow', status: 200, ...more };
}

/** Whether a call so long after `shop/orders` changed for a minute is touched by that. */
function check(name: string, more: Partial<RecordedCall>, afterMs: number, isTouched: boolean) {
  test(`${isTouched ? 'touched' : 'not touched'}: ${name}`, () => {
    const rollouts = createRollouts();
    rollouts.open(['shop/orders'], START_MS + 60_000);
    assert.equal(rollouts.takes(callWith(more), START_MS + afterMs), isTouched);
  });
}

check('a call that the changed policy decided', { policy: 'shop/orders' }, 59_999, true);
check('the same when its time is over', { policy: 'shop/orders' }, 60_000, false);
check('a call that another policy decided', { policy: 'shop/admin' }, 0, false);
check('a call that no policy decided', { policy: null }, 0, false);
check('a call that a changed exception let through', { exception: 'shop/orders' }, 0, true);
check('what a policy in dry-run would deny, whenever', { dryRun: OTHERWISE }, 1e9, true);
check('what a policy in dry-run would do, too', { dryRun: ALIKE }, 0, false);

test('nothing was changed: nothing is touched', () => {
  assert.equal(createRollouts().takes(callWith({ policy: 'shop/orders' }), START_MS), false);
});

test('of one policy at most 50 calls a second, of all 200; the rest is counted', () => {
  const rollouts = createRollouts();
  const ids = Array.from({ length: 6 }, (_, i) => `shop/p${i}`);
  rollouts.open(ids, START_MS + 60_000);
  const taken = ids.map((policy) => {
    const calls = Array.from({ length: 100 }, () => callWith({ policy }));
    return calls.filter((call) => rollouts.takes(call, START_MS)).length;
  });
  assert.deepEqual(taken, [50, 50, 50, 50, 0, 0]);
  assert.equal(rollouts.exceeded(), 400);
  assert.equal(rollouts.takes(callWith({ policy: 'shop/p5' }), START_MS + 1_000), true);
});

test('beyond the bounds the ordinary rate applies, and sums stay right', () => {
  const sampler = createSampler(100);
  const edge = createEdgeCounters({
    reporter: 'destination',
    sourceId: null,
    sourceService: 'web',
    sourceNamespace: null,
    destinationId: null,
    destinationService: 'orders',
    destinationNamespace: 'shop',
    protocol: 'http',
    mtls: true,
  });
  const send = (count: number, second: number): { weight: number; rollout: number } => {
    let weight = 0;
    let rollout = 0;
    for (let i = 0; i < count; i++) {
      const call = callWith({ method: 'GET', path: '/a', policy: 'shop/orders', durationUs: 100 });
      if (!sampler.keeps(call, edge, START_MS + second * 1_000 + i / 1_000)) continue;
      weight += call.weight;
      if (call.kept === 'rollout') rollout++;
    }
    return { weight, rollout };
  };
  let sum = 0;
  for (let second = 0; second < 3; second++) sum += send(10_000, second).weight;
  sampler.rollouts.open(['shop/orders'], START_MS + 60_000);
  const during = send(10_000, 3);
  assert.equal(during.rollout, 50);
  assert.ok(Math.abs(sum + during.weight - 40_000) < 4_000, `${sum + during.weight}`);
  assert.ok(sampler.rollouts.exceeded() > 9_000);
});
