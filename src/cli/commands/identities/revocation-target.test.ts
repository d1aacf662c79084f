import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseForFlag, parseInstantFlag, refuseDeadEnd, targetOf } from './revocation-target.ts';

const NOW_MS = Date.UTC(2026, 4, 1, 12);

test('an instant is `now` or RFC 3339 with a time zone, and has come', () => {
  const cases: [string, string | RegExp][] = [
    ['now', '2026-05-01T12:00:00.000Z'],
    ['2026-05-01T12:00:00Z', '2026-05-01T12:00:00.000Z'],
    ['2026-05-01T14:00:00.5+02:00', '2026-05-01T12:00:00.500Z'],
    // Another host's clock may be a little ahead.
    ['2026-05-01T12:00:59Z', '2026-05-01T12:00:59.000Z'],
    ['2026-05-01T12:02:00Z', /has not come yet/],
    ['2050-01-01T00:00:00Z', /has not come yet/],
    ['2026-05-01T12:00:00', /not an instant/],
    ['2026-05-01', /not an instant/],
    ['05/01/2026', /not an instant/],
    ['5', /not an instant/],
    ['2026-13-01T12:00:00Z', /not an instant/],
  ];
  for (const [text, expected] of cases) {
    if (typeof expected === 'string') assert.equal(parseInstantFlag(text, NOW_MS), expected, text);
    else assert.throws(() => parseInstantFlag(text, NOW_MS), expected, text);
  }
  assert.equal(parseInstantFlag(undefined, NOW_MS), null);
});

test('a revocation that ends at once, or never comes to its end, is refused', () => {
  assert.equal(parseForFlag('24h'), 86_400_000);
  for (const text of ['0s', '-5m', '999999999d', 'soon']) {
    assert.throws(() => parseForFlag(text), { code: 'commander.invalidArgument' }, text);
  }
});

test('the control plane and the authority are revoked as of an instant alone: no lift would reach anybody', () => {
  const about = { trustDomain: 'cluster.local', namespace: 'default' };
  const refused = (what: string, issuedBefore: string | null) => {
    try {
      refuseDeadEnd(targetOf(what, { ...about, issuedBefore }));
      return false;
    } catch (error) {
      assert.match((error as { help?: string }).help ?? '', /--issued-before now/);
      return true;
    }
  };
  const now = new Date(NOW_MS).toISOString();
  for (const role of ['control', 'ca']) {
    assert.ok(refused(`spiffe://cluster.local/palisade/${role}`, null), role);
    assert.ok(!refused(`spiffe://cluster.local/palisade/${role}`, now), role);
  }
  for (const what of ['control', 'agent/ca', '4f0c1a4f0c1a4f0c', 'spiffe://other.org/ns/a/sa/ca']) {
    assert.ok(!refused(what, null), what);
  }
});
