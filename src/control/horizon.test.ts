import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRoot, parseBundle, parseTrustDomain } from '#identity';
import { createSilentLog } from '#telemetry';
import type { GrpcClient } from '#wire';
import { createHorizon, horizonState } from './horizon.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const NOW = Date.UTC(2026, 4, 1);
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
function start(listed: readonly object[], bundle = bundleOf(3650 * DAY)) {
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
      status: () =>
        [
          { node: 'default/web/1', certificateExpiresAt: new Date(NOW + HOUR).toISOString() },
          { node: 'default/new/1', certificateExpiresAt: null },
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
