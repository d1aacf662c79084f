import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRoot, parseBundle, parseTrustDomain } from '#identity';
import { createSilentLog } from '#telemetry';
import type { GrpcClient } from '#wire';
import type { ReportedBundle } from './foreign-bundles.ts';
import { createHorizon, horizonState } from './horizon.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const NOW = Date.UTC(2026, 4, 1);
const at = (inMs: number) => new Date(NOW + inMs).toISOString();
const trustDomain = parseTrustDomain('example.org');
assert.ok(trustDomain.ok);
const domain = trustDomain.value;

function bundleOf(...ttlsMs: number[]) {
  const roots = ttlsMs.map((ttlMs) => createRoot({ trustDomain: domain, nowMs: NOW, ttlMs }));
  const bundle = parseBundle(domain, roots.map(({ certificatePem }) => certificatePem).join(''));
  assert.ok(bundle.ok);
  return bundle.value;
}

/** An authority that lists this, or is away. */
function start(
  listed: readonly object[],
  bundle = bundleOf(3650 * DAY),
  foreign: readonly ReportedBundle[] = [],
) {
  const world = { nowMs: NOW, isAway: false };
  const horizon = createHorizon({
    client: () =>
      ({
        unary: () =>
          world.isAway ? Promise.reject(new Error('away')) : Promise.resolve({ expiries: listed }),
        close() {
          // Nothing to close.
        },
      }) as unknown as GrpcClient,
    bundle: () => bundle,
    controlExpiresAt: () => NOW + DAY,
    enforcement: {
      foreignBundles: () => foreign,
      status: () =>
        [
          { node: 'default/web/1', connected: true, certificateExpiresAt: at(HOUR) },
          { node: 'default/new/1', connected: true, certificateExpiresAt: null },
          { node: 'default/ended/1', connected: false, certificateExpiresAt: at(HOUR / 2) },
        ] as never,
    },
    sets: {
      all: () =>
        [
          {
            namespace: 'default',
            head: { commit: { expires: new Date(NOW + 10 * DAY).toISOString() } },
          },
        ] as never,
    },
    clock: () => world.nowMs,
    log: createSilentLog(),
  });
  const states = () =>
    horizon.items().map((item) => `${item.kind} ${item.name} ${horizonState(item, world.nowMs)}`);
  return { world, horizon, states };
}

const KEY = {
  kind: 'jwt_key',
  name: 'k',
  expiresAtMs: BigInt(NOW + 2 * HOUR),
  actAtMs: 0n,
  fix: '',
};
const ISSUER = {
  kind: 'issuer',
  name: 'i',
  expiresAtMs: BigInt(NOW + 3 * HOUR),
  actAtMs: BigInt(NOW + 2 * HOUR),
  fix: 'palisade ca csr',
};
const TOKEN = { ...ISSUER, kind: 'join_token', name: 'node-7 (ab)', fix: 'palisade token create' };

test('one list, soonest first, of what the control plane sees and what the authority lists', async () => {
  const { horizon, states } = start([ISSUER, KEY]);
  await horizon.refresh();
  assert.equal(horizon.problem(), '');
  assert.deepEqual(states().slice(0, 5), [
    'point default/web/1 ok',
    'jwt_key k ok',
    'issuer i ok',
    'control palisade/control ok',
    'policy default soon',
  ]);
  assert.match(states()[5] ?? '', /^root [0-9a-f]{16} ok$/);
  horizon.close();
});

test('of an authority that is away the last word counts, and what runs out meanwhile shows', async () => {
  const { horizon, states, world } = start([ISSUER, KEY, TOKEN]);
  await horizon.refresh();
  world.isAway = true;
  world.nowMs = NOW + 2.5 * HOUR;
  await horizon.refresh();
  assert.equal(horizon.problem(), 'away');
  assert.ok(states().includes('issuer i soon'));
  world.nowMs = NOW + 4 * HOUR;
  assert.ok(states().includes('issuer i expired'));
  assert.ok(!states().some((state) => /jwt_key|join_token/.test(state)), 'replaced, or used');
  horizon.close();
});

test('a root that has its successor may run out', () => {
  const { horizon } = start([], bundleOf(30 * DAY, 3650 * DAY));
  const roots = horizon.items().filter(({ kind }) => kind === 'root');
  assert.deepEqual(
    roots.map(({ actAt }) => actAt === null),
    [true, false],
  );
  horizon.close();
});

test('a foreign trust domain is one item: the copy that ends first, and the agents that hold it', () => {
  const copy = (node: string, changes: Partial<ReportedBundle> = {}): ReportedBundle => ({
    node,
    trustDomain: 'west.example',
    startsAt: NOW - 60 * DAY,
    expiresAt: NOW + 90 * DAY,
    refreshedAt: NOW - 60_000,
    everyMs: 300_000,
    problem: '',
    missing: false,
    ...changes,
  });
  const check = (
    copies: readonly ReportedBundle[],
    state: string,
    words: RegExp,
    agents: string[],
  ) => {
    const { horizon, world } = start([], undefined, copies);
    const [item, ...more] = horizon.items().filter(({ kind }) => kind === 'foreign_bundle');
    horizon.close();
    assert.ok(item !== undefined && more.length === 0);
    assert.equal(horizonState(item, world.nowMs), state);
    assert.match(item.fix, words);
    assert.deepEqual(item.agents, agents);
    return item;
  };
  const good = check([copy('a')], 'ok', /publish its next root; seen by a$/, ['a']);
  assert.equal(good.refreshedAt, NOW - 60_000);
  const soon = { expiresAt: NOW + 20 * DAY, refreshedAt: NOW - 120_000 };
  const late = check([copy('a'), copy('b', soon), copy('c', soon)], 'soon', /seen by b, c$/, [
    'b',
    'c',
  ]);
  assert.deepEqual([late.expiresAt, late.refreshedAt], [NOW + 20 * DAY, NOW - 120_000]);
  const stale = { refreshedAt: NOW - 1_000_000, problem: 'connection refused' };
  check(
    [copy('a'), copy('b', stale)],
    'soon',
    /gives no bundle \(connection refused\).*seen by a, b$/,
    ['a', 'b'],
  );
  const missing = { missing: true, startsAt: NOW - 5_000, expiresAt: null, refreshedAt: null };
  check([copy('a'), copy('b', missing)], 'expired', /ever fetched.*seen by b$/, ['b']);
  const fixed = { everyMs: null, refreshedAt: null, expiresAt: NOW + DAY };
  check([copy('a', fixed)], 'soon', /has no endpoint/, ['a']);
  // Only keys for tokens: nothing in it ends.
  const { horizon } = start([], undefined, [copy('a', { startsAt: null, expiresAt: null })]);
  assert.ok(!horizon.items().some(({ kind }) => kind === 'foreign_bundle'));
  horizon.close();
});
