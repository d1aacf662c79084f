import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRoot, parseTrustDomain } from '#identity';
import {
  federatedBundles,
  readStoredBundles,
  splitCertificates,
  storedBundles,
} from './federated-bundles.ts';

function rootOf(name: string): Uint8Array {
  const trustDomain = parseTrustDomain(name);
  assert.ok(trustDomain.ok);
  const nowMs = Date.UTC(2026, 4, 1);
  return createRoot({ trustDomain: trustDomain.value, nowMs, ttlMs: 3_600_000 }).certificateDer;
}

const partner = rootOf('partner.org');
const evil = rootOf('evil.org');
const sent = {
  'spiffe://partner.org': Buffer.concat([partner, partner]),
  'spiffe://evil.org': evil,
  'spiffe://example.org': evil,
};

test('attack: an agent brings in a trust domain that policy does not name, or a root for our own', () => {
  const names = (allowed: readonly string[]) =>
    federatedBundles(sent, allowed, 'example.org').map(({ trustDomain }) => trustDomain);
  assert.deepEqual(names([]), []);
  assert.deepEqual(names(['partner.org']), ['partner.org']);
  assert.deepEqual(names(['partner.org', 'example.org', 'unsent.org']), ['partner.org']);
});

test('what is kept on disk is read back within what policy names then', () => {
  const stored = storedBundles(federatedBundles(sent, ['evil.org', 'partner.org'], 'example.org'));
  const [bundle, ...more] = readStoredBundles(stored, ['partner.org'], 'example.org');
  assert.equal(bundle?.trustDomain, 'partner.org');
  assert.equal(bundle.x509Roots.length, 2);
  assert.deepEqual(more, []);
  for (const nonsense of [null, 1, [], { 'partner.org': 1 }, { 'partner.org': 'x' }]) {
    assert.deepEqual(readStoredBundles(nonsense, ['partner.org'], 'example.org'), []);
  }
});

test('concatenated certificates split where they end; anything else is none', () => {
  assert.equal(splitCertificates(Buffer.concat([partner, evil]))?.length, 2);
  assert.deepEqual(splitCertificates(new Uint8Array()), []);
  for (let length = 1; length < partner.length; length += 7) {
    assert.equal(splitCertificates(partner.subarray(0, length)), undefined);
  }
  assert.equal(splitCertificates(Buffer.from('3084ffffffff', 'hex')), undefined);
});
