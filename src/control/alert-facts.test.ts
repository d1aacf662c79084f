import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createDenialWatch } from '#alert';
import type { DenialTally } from '#record-store';
import { collectFacts, type FactSources } from './alert-facts.ts';

const NOW = Date.UTC(2026, 0, 15, 12);
const MINUTE = 60_000;

/** A mesh in which `web` was denied thirty calls to `orders` just now, after a commit one minute ago. */
async function burstAfter(of: {
  readonly tally?: Partial<DenialTally>;
  readonly allowedBefore?: boolean;
  readonly committedAt?: number;
  readonly changed?: readonly string[];
}) {
  const { allowedBefore = true, committedAt = NOW - MINUTE } = of;
  const { changed = ['AuthorizationPolicy/orders'] } = of;
  const watch = createDenialWatch();
  const edge = { source: 'default/web', destination: 'default/orders' };
  watch.count({ ...edge, denied: 30 }, NOW);
  const tally: DenialTally = {
    sourceId: 'spiffe://cluster.local/ns/default/sa/web',
    sourceService: 'web',
    namespace: 'default',
    service: 'orders',
    policy: null,
    rule: null,
    reason: 'policy_denied',
    count: 30,
    firstMs: NOW - 10_000,
    lastMs: NOW,
    sampleId: 7,
    ...of.tally,
  };
  const receivedAt = new Date(committedAt).toISOString();
  const sources = {
    enforcement: { status: () => [] },
    sets: { all: () => [], broken: () => new Map() },
    map: {
      edges: () => [
        {
          ...edge,
          id: 'default/web>default/orders',
          mtls: true,
          denied: 30,
          requests: allowedBefore ? 90 : 30,
        },
      ],
    },
    store: {
      history: (namespace: string) =>
        namespace === 'default'
          ? [{ number: 9, receivedAt, changes: changed.map((key) => ({ key, change: 'changed' })) }]
          : [],
    },
    records: { denials: async () => [tally], byId: async () => ({ denial_id: 'd-7' }) },
    watch,
    late: () => undefined,
    failedWrites: () => 0,
    gaps: () => [],
  } as unknown as FactSources;
  const [burst] = (await collectFacts(sources, NOW)).bursts;
  assert.equal(burst?.denialId, 'd-7');
  return burst.expectedBy;
}

test('the denials of a commit are expected: by the policies that it changed, or for want of one', async () => {
  assert.equal(await burstAfter({}), 'default@9');
  assert.equal(await burstAfter({ tally: { policy: 'default/orders' } }), 'default@9');
});

test('an attack does not hide behind a change of policy', async () => {
  const cases = {
    'a caller that was never allowed': { allowedBefore: false },
    'a policy that the commit did not change': { tally: { policy: 'default/other' } },
    'a peer that proves nothing': { tally: { reason: 'peer_unauthenticated' } },
    'a question that could not be answered': { tally: { reason: 'cannot_decide' } },
    'denials from before the commit': { tally: { firstMs: NOW - 2 * MINUTE } },
    'a commit of eleven minutes ago': { committedAt: NOW - 11 * MINUTE },
    'a commit that changed no policy': { changed: ['Service/orders'] },
  };
  for (const [what, of] of Object.entries(cases)) {
    assert.equal(await burstAfter(of), undefined, what);
  }
});
