import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EnforcementPoint } from '../../api/enforcement-point.ts';
import { enforcementSentence, pointState, rowsOf, sortPoints } from './point-rows.ts';

function point(part: Partial<EnforcementPoint>): EnforcementPoint {
  return {
    node: 'n',
    kind: 'proxy',
    spiffeId: null,
    namespace: 'shop',
    service: 'web',
    connected: true,
    connectedAt: null,
    lastSeen: '2026-01-01T00:00:00.000Z',
    sets: [{ namespace: 'shop', wanted: null, enforced: null, current: true, wantedSince: null }],
    stale: false,
    reason: '',
    refused: [],
    ready: true,
    readyReason: '',
    certificateExpiresAt: null,
    certificateSerial: null,
    metricsUrl: null,
    softwareVersion: null,
    exposed: [],
    endpoints: [],
    ...part,
  };
}

const refused = [{ namespace: 'shop', number: 9, hash: 'h', code: 'fork', message: 'a fork' }];

const cases: { name: string; part: Partial<EnforcementPoint>; expected: string }[] = [
  { name: 'all is well', part: {}, expected: 'allowed enforces ' },
  {
    name: 'behind',
    part: { stale: true, reason: 'two behind' },
    expected: 'stale stale two behind',
  },
  {
    name: 'not ready',
    part: { ready: false, readyReason: 'certificate expired' },
    expected: 'failing not ready certificate expired',
  },
  {
    name: 'gone around',
    part: { exposed: ['0.0.0.0:80'] },
    expected:
      'failing can be gone around its application can be reached around it at 0.0.0.0:80: let it listen on 127.0.0.1 only',
  },
  { name: 'gone', part: { connected: false }, expected: 'stale not connected ' },
  {
    name: 'refusing outranks stale',
    part: { stale: true, refused },
    expected: 'denied refuses refused shop version 9: a fork',
  },
];

for (const { name, part, expected } of cases) {
  test(`how an enforcement point is: ${name}`, () => {
    const state = pointState(point(part));
    assert.equal(`${state.tone} ${state.word} ${state.reason}`, expected);
  });
}

test('the worst come first, and so do the namespaces they lag in', () => {
  const held = { wanted: null, enforced: null, wantedSince: null };
  const points = sortPoints([
    point({ node: 'a', service: 'a' }),
    point({
      node: 'b',
      service: 'b',
      stale: true,
      sets: [
        { namespace: 'one', current: true, ...held },
        { namespace: 'two', current: false, ...held },
      ],
    }),
    point({ node: 'c', service: 'c', refused, sets: [] }),
  ]);
  assert.deepEqual(
    points.flatMap(rowsOf).map(({ point, set }) => `${point.node} ${set?.namespace ?? ''}`),
    ['c ', 'b two', 'b one', 'a shop'],
  );
});

test('the sentence names what is wrong, with its number', () => {
  assert.equal(enforcementSentence([]), 'No enforcement point has reported yet.');
  assert.equal(
    enforcementSentence([point({}), point({})]),
    'All 2 enforcement points enforce the newest signed version.',
  );
  assert.equal(
    enforcementSentence([point({}), point({ stale: true }), point({ ready: false })]),
    'Enforced on 1 of 3 enforcement points: 1 stale, 1 not ready.',
  );
  assert.equal(
    enforcementSentence([point({}), point({ exposed: ['0.0.0.0:80'] })]),
    'Enforced on 2 of 2 enforcement points: 1 can be gone around.',
  );
});
