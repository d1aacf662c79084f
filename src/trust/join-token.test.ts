import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createJoinToken, openJoinToken } from './join-token.ts';
import { createPolicyKey, loadSigner, type PolicySigner } from './policy-key.ts';
import type { TrustRoot } from './trust-root.ts';

const NOW_MS = Date.UTC(2026, 4, 1);
const MINUTE_MS = 60_000;

function author(): { readonly signer: PolicySigner; readonly publicKey: string } {
  const key = createPolicyKey();
  const signer = loadSigner(key.privateKeyPem);
  assert.ok(signer.ok);
  return { signer: signer.value, publicKey: key.publicKey };
}

const [ann, ben, eve] = [author(), author(), author()];
const trustRoot = (threshold = 1): TrustRoot => ({
  version: 1,
  trustDomain: 'example.org',
  x509Roots: [],
  policyKeys: [
    { keyId: ann.signer.keyId, publicKey: ann.publicKey, name: 'ann', namespaces: ['*'] },
    { keyId: ben.signer.keyId, publicKey: ben.publicKey, name: 'ben', namespaces: ['*'] },
    { keyId: eve.signer.keyId, publicKey: eve.publicKey, name: 'eve', namespaces: ['shop'] },
  ],
  threshold,
  issuanceLogKey: ann.publicKey,
  issuedAt: new Date(NOW_MS).toISOString(),
});
const base = { trustDomain: 'example.org', host: 'node-1', nowMs: NOW_MS, ttlMs: 10 * MINUTE_MS };
const make = (more: Partial<Parameters<typeof createJoinToken>[0]> = {}): string =>
  createJoinToken({ ...base, signers: [ann.signer], ...more });

function check(
  name: string,
  token: string,
  want: string,
  { threshold = 1, nowMs = NOW_MS }: { threshold?: number; nowMs?: number } = {},
): void {
  test(name, () => {
    const opened = openJoinToken(token, 'palisade-system', trustRoot(threshold), nowMs);
    assert.equal(opened.ok ? opened.value.host : opened.error.code, want);
  });
}

check('a token by an author of the root namespace', make(), 'node-1');
check('signed by as many as must', make({ signers: [ann.signer, ben.signer] }), 'node-1', {
  threshold: 2,
});
check('a minute late is forgiven', make(), 'node-1', { nowMs: NOW_MS + 10.5 * MINUTE_MS });
check('expired', make(), 'expired', { nowMs: NOW_MS + 11 * MINUTE_MS });
check('attack: one author alone where two must', make(), 'signature_threshold', { threshold: 2 });
check(
  'attack: signed twice by the same author',
  make({ signers: [ann.signer, ann.signer] }),
  'signature_threshold',
  { threshold: 2 },
);
check(
  'attack: by an author of another namespace',
  make({ signers: [eve.signer] }),
  'signature_threshold',
);
check('attack: by a stranger', make({ signers: [author().signer] }), 'signature_threshold');
check('attack: of another mesh', make({ trustDomain: 'evil.org' }), 'wrong_trust_domain');
check('attack: a token for a year', make({ ttlMs: 365 * 24 * 60 * MINUTE_MS }), 'malformed');
check('attack: a host that is a path', make({ host: 'x509pop/abc' }), 'malformed');
check('garbage', 'palisade-join.AAAA', 'malformed');
check('nothing', '', 'malformed');
check('a megabyte', `palisade-join.${'A'.repeat(1024 * 1024)}`, 'malformed');

test('two tokens are never the same', () => assert.notEqual(make(), make()));
