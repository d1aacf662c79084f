import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRoot, parseTrustDomain } from '#identity';
import { phaseOf, rootsIn } from './rotation.ts';

const domain = parseTrustDomain('example.org');
assert.ok(domain.ok);
const DAY_MS = 86_400_000;
const NOW_MS = Date.UTC(2026, 0, 15);

function root(bornDaysAgo: number): string {
  assert.ok(domain.ok);
  const nowMs = NOW_MS - bornDaysAgo * DAY_MS;
  const { rootDer } = createRoot({ trustDomain: domain.value, nowMs, ttlMs: 400 * DAY_MS });
  return Buffer.from(rootDer).toString('base64');
}

test('the roots alone say where a rotation stands, whatever the age of the next one', () => {
  const old = root(100);
  for (const [next, length] of [
    [root(0), 2],
    [root(300), 3],
    [root(100), 3],
  ] as const) {
    const distributing = rootsIn('distributing', { old, next });
    const activating = rootsIn('activating', { old, next });
    assert.equal(distributing.length, length);
    assert.equal(distributing[0], old);
    assert.equal(activating[0], next);
    assert.equal(phaseOf({ x509Roots: distributing }), 'distributing');
    assert.equal(phaseOf({ x509Roots: activating }), 'activating');
  }
  assert.equal(phaseOf({ x509Roots: [old] }), 'idle');
});
