import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createEdgeCounters, type EdgeCounters } from '../metrics/edge.ts';
import { createRecordedCall, type KeptReason, type RecordedCall } from './access-record.ts';
import { createSampler, type Sampler } from './sampler.ts';

const START_MS = 1_800_000_000_000;

function newEdge(): EdgeCounters {
  return createEdgeCounters({
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
}

function callWith(more: Partial<RecordedCall> = {}): RecordedCall {
  const call = createRecordedCall({ json: '' });
  const allowed = { method: 'GET', path: '/orders/1', status: 200, verdict: 'allow' } as const;
  return { ...call, ...allowed, durationUs: 1_000, policyVersion: 'shop@1', ...more };
}

type Traffic = { readonly perSecond: number; readonly seconds: number; readonly fromMs?: number };

let seed = 7;
/** Numbers that look random and are the same in every run. */
function draw(): number {
  seed = (seed * 48_271) % 2_147_483_647;
  return seed / 2_147_483_647;
}

function traceId(): string {
  return `${'a'.repeat(24)}${Math.floor(draw() * 2 ** 32)
    .toString(16)
    .padStart(8, '0')}`;
}

/** Sends calls evenly over time; how many were kept in the last second, and the sum of all weights. */
function send(
  sampler: Sampler,
  edge: EdgeCounters,
  traffic: Traffic,
  more?: Partial<RecordedCall>,
) {
  const { perSecond, seconds, fromMs = START_MS } = traffic;
  let weight = 0;
  let keptLast = 0;
  for (let i = 0; i < perSecond * seconds; i++) {
    const call = callWith({ traceId: traceId(), ...more });
    const atMs = fromMs + (i * 1000) / perSecond;
    if (!sampler.keeps(call, edge, atMs)) continue;
    weight += call.weight;
    if (i >= perSecond * (seconds - 1)) keptLast++;
  }
  return { weight, keptLast };
}

test('below the budget every call is kept, and stands for itself', () => {
  const sampler = createSampler(500);
  const edge = newEdge();
  assert.deepEqual(send(sampler, edge, { perSecond: 400, seconds: 5 }), {
    weight: 2_000,
    keptLast: 400,
  });
  const call = callWith();
  assert.equal(sampler.keeps(call, edge, START_MS + 5_000), true);
  assert.deepEqual([call.kept, call.weight], ['all', 1]);
});

test('far above it the rate meets the budget, and the weights still add up', () => {
  const sampler = createSampler(100, draw);
  const { weight, keptLast } = send(sampler, newEdge(), { perSecond: 20_000, seconds: 5 });
  assert.ok(keptLast > 60 && keptLast < 150, `${keptLast}`);
  assert.ok(Math.abs(weight - 100_000) < 1_000, `${weight}`);
});

test('a burst after silence does not get through whole', () => {
  const sampler = createSampler(100, draw);
  const edge = newEdge();
  send(sampler, edge, { perSecond: 50, seconds: 3 });
  const { keptLast, weight } = send(sampler, edge, {
    perSecond: 50_000,
    seconds: 1,
    fromMs: START_MS + 3_000,
  });
  assert.ok(keptLast < 200, `${keptLast}`);
  assert.ok(weight > 20_000, `${weight}`);
});

test('a busy edge does not cost a quiet one its records', () => {
  const sampler = createSampler(100, draw);
  const busy = newEdge();
  const quiet = newEdge();
  let keptOfQuiet = 0;
  for (let second = 0; second < 10; second++) {
    const fromMs = START_MS + second * 1_000;
    send(sampler, busy, { perSecond: 10_000, seconds: 1, fromMs });
    keptOfQuiet += send(sampler, quiet, { perSecond: 5, seconds: 1, fromMs }).keptLast;
  }
  assert.ok(keptOfQuiet >= 45, `${keptOfQuiet} of 50`);
});

/** Under a budget that leaves nothing, this is kept all the same. */
function checkAlwaysKept(name: string, more: Partial<RecordedCall>, expected: KeptReason): void {
  test(`always kept, with weight 1: ${name}`, () => {
    const sampler = createSampler(1);
    const edge = newEdge();
    send(sampler, edge, { perSecond: 10_000, seconds: 3 });
    for (let i = 0; i < 50; i++) {
      const call = callWith(more);
      assert.equal(sampler.keeps(call, edge, START_MS + 3_000), true);
      assert.deepEqual([call.kept, call.weight], [expected, 1]);
      if (expected === 'slow') break;
    }
  });
}

checkAlwaysKept('a denial', { verdict: 'deny' }, 'denied');
checkAlwaysKept('an error', { status: 500 }, 'error');
checkAlwaysKept('what an AUDIT policy matched', { audit: 'shop/watch' }, 'audit');
checkAlwaysKept('what is slower than its route is', { durationUs: 50_000 }, 'slow');
const OTHERWISE = [{ policy: 'shop/next', verdict: 'deny' }] as const;
checkAlwaysKept('what a policy in dry-run would deny', { dryRun: OTHERWISE }, 'rollout');

test('the first calls of an edge, and of a route, are kept', () => {
  const sampler = createSampler(1);
  const edge = newEdge();
  send(sampler, edge, { perSecond: 10_000, seconds: 3 });
  for (const route of [{ path: '/new/1' }, { method: 'POST' }]) {
    const kept = Array.from({ length: 12 }, () => {
      const call = callWith(route);
      return sampler.keeps(call, edge, START_MS + 3_000) ? call.kept : 'not';
    });
    assert.deepEqual(
      kept.slice(0, 10),
      Array.from({ length: 10 }, () => 'first_seen'),
    );
    assert.equal(kept.slice(10).includes('first_seen'), false);
  }
});

test('slow follows the route: about one in a hundred is, whatever its speed', () => {
  for (const scale of [50, 1_000_000]) {
    const sampler = createSampler(1);
    const edge = newEdge();
    let slow = 0;
    for (let i = 0; i < 50_000; i++) {
      const call = callWith({ durationUs: scale * (1 - Math.log(draw())) });
      if (sampler.keeps(call, edge, START_MS) && call.kept === 'slow') slow++;
    }
    assert.ok(slow > 100 && slow < 1_500, `${slow} of 50000`);
  }
});

test('client errors are thinned apart, so that they do not stand for successes', () => {
  const sampler = createSampler(200, draw);
  const edge = newEdge();
  const weights = { ok: 0, notFound: 0 };
  for (let i = 0; i < 50_000; i++) {
    const isMissing = i % 10 === 0;
    const call = callWith(isMissing ? { status: 404 } : {});
    if (!sampler.keeps(call, edge, START_MS + i / 10)) continue;
    weights[isMissing ? 'notFound' : 'ok'] += call.weight;
  }
  assert.ok(Math.abs(weights.ok - 45_000) < 1_000, `${weights.ok}`);
  assert.ok(Math.abs(weights.notFound - 5_000) < 300, `${weights.notFound}`);
});

test('attack: paths made up for each call cost no memory and are no news', () => {
  const sampler = createSampler(10);
  const edge = newEdge();
  let kept = 0;
  for (let i = 0; i < 20_000; i++) {
    const call = callWith({ path: `/made-up-${i}/x` });
    if (sampler.keeps(call, edge, START_MS + i / 20)) kept++;
  }
  assert.ok((edge.routes?.reads.size ?? 0) <= 32);
  assert.ok(kept < 1_000, `${kept}`);
});

test('attack: a clock that steps back keeps the rate', () => {
  const sampler = createSampler(100, draw);
  const edge = newEdge();
  send(sampler, edge, { perSecond: 10_000, seconds: 3 });
  const { keptLast } = send(sampler, edge, {
    perSecond: 10_000,
    seconds: 1,
    fromMs: START_MS - 86_400_000,
  });
  assert.ok(keptLast < 300, `${keptLast}`);
});

test('the sidecars of a call choose alike, so that traces are whole', () => {
  const [source, destination] = [createSampler(100, draw), createSampler(100, draw)];
  const [a, b] = [newEdge(), newEdge()];
  let [both, either] = [0, 0];
  for (let i = 0; i < 50_000; i++) {
    const call = callWith({ traceId: traceId() });
    const atMs = START_MS + i / 10;
    const atSource = source.keeps(call, a, atMs);
    const atDestination = destination.keeps({ ...call }, b, atMs + 1);
    if (atSource || atDestination) either++;
    if (atSource && atDestination) both++;
  }
  assert.ok(both > 0.8 * either, `${both} of ${either}`);
});

test('attack: a caller whose trace ids are never chosen is seen all the same', () => {
  const sampler = createSampler(100, draw);
  const { weight, keptLast } = send(
    sampler,
    newEdge(),
    { perSecond: 10_000, seconds: 5 },
    { traceId: 'f'.repeat(32) },
  );
  assert.ok(keptLast >= 10, `${keptLast}`);
  assert.ok(weight > 45_000, `${weight}`);
});

test('attack: a caller whose trace ids are always chosen does not take the budget', () => {
  const sampler = createSampler(100, draw);
  const more = { traceId: '0'.repeat(31) + '1' };
  const { keptLast } = send(sampler, newEdge(), { perSecond: 10_000, seconds: 5 }, more);
  assert.ok(keptLast < 350, `${keptLast}`);
});

test('a call without an edge is kept', () => {
  const call = callWith();
  assert.equal(createSampler(0).keeps(call, undefined, START_MS), true);
  assert.equal(call.kept, 'all');
});
