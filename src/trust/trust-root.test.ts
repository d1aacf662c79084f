import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAuthor, NOW_MS, trustRootOf } from './fixtures.ts';
import {
  countersign,
  createPolicyKey,
  decodeEnvelope,
  encodeEnvelope,
  loadSigner,
  openSignedJson,
  openTrustRoot,
  signJson,
  signTrustRoot,
  succeedTrustRoot,
  type TrustErrorCode,
  type TrustRoot,
} from './index.ts';

const alice = createAuthor('alice', ['*']);
const bob = createAuthor('bob', ['*']);
const carol = createAuthor('carol', ['shop']);
const stranger = createAuthor('stranger', ['*']);
const pinned = trustRootOf([alice, bob], { threshold: 2 });
const next = { ...pinned, version: 2, policyKeys: [alice.entry, carol.entry], threshold: 1 };

test('a trust root opens when its own threshold signed it', () => {
  const opened = openTrustRoot(signTrustRoot(pinned, [alice.signer, bob.signer]));
  assert.ok(opened.ok);
  assert.deepEqual(opened.value, pinned);
  checkOpen('signature_threshold', signTrustRoot(pinned, [alice.signer]));
  checkOpen('signature_threshold', signTrustRoot(pinned, [alice.signer, alice.signer]));
  checkOpen('signature_threshold', signTrustRoot(pinned, [alice.signer, stranger.signer]));
  checkOpen('signature_threshold', signTrustRoot(pinned, []));
});

test('a key for one namespace signs no trust root', () => {
  const root = trustRootOf([alice, carol]);
  checkOpen('signature_threshold', signTrustRoot(root, [carol.signer]));
});

test('a trust root that contradicts itself is refused', () => {
  const key = alice.entry;
  const bad: Partial<Record<keyof TrustRoot | 'more', unknown>>[] = [
    { version: 0 },
    { version: 1.5 },
    { version: '1' },
    { trustDomain: '' },
    { trustDomain: 'Example.org' },
    { x509Roots: [] },
    { x509Roots: ['not base64!'] },
    { policyKeys: [] },
    { policyKeys: [key, key] },
    { policyKeys: [{ ...key, keyId: bob.entry.keyId }] },
    { policyKeys: [{ ...key, publicKey: 'AAAA' }] },
    { policyKeys: [{ ...key, namespaces: [] }] },
    { policyKeys: [{ ...key, namespaces: ['No Such'] }] },
    { policyKeys: [{ ...key, more: 1 }] },
    { threshold: 0 },
    { threshold: 3 },
    { threshold: 2, policyKeys: [key, carol.entry] },
    { issuanceLogKey: 'AAAA' },
    { issuedAt: 'yesterday' },
    { issuedAt: '2026-01-01T00:00:00Z' },
    { more: 1 },
  ];
  for (const change of bad) {
    const root = { ...trustRootOf([alice]), ...change } as unknown as TrustRoot;
    checkOpen('trust_root_invalid', signTrustRoot(root, [alice.signer]));
  }
});

test('a successor needs the threshold of the old and of the new', () => {
  const good = signTrustRoot(next, [alice.signer, bob.signer]);
  const succeeded = succeedTrustRoot(pinned, good, NOW_MS);
  assert.ok(succeeded.ok);
  assert.equal(succeeded.value.version, 2);
  checkSuccession('signature_threshold', signTrustRoot(next, [alice.signer]));
  const taken = { ...trustRootOf([stranger]), version: 2 };
  checkSuccession('signature_threshold', signTrustRoot(taken, [stranger.signer]));
  const half = countersign(signTrustRoot(taken, [stranger.signer]), alice.signer);
  checkSuccession('signature_threshold', half);
  // Withdrawing alice takes her signature on it, but the new root must be signed by its own keys too.
  const without = { ...trustRootOf([stranger]), version: 2 };
  checkSuccession('signature_threshold', signTrustRoot(without, [alice.signer, bob.signer]));
});

test('a successor is newer, of the same trust domain, and not of tomorrow', () => {
  const both = [alice.signer, bob.signer];
  assert.ok(succeedTrustRoot(pinned, signTrustRoot(pinned, both), NOW_MS).ok, 'the same again');
  const twin = { ...pinned, issuanceLogKey: createPolicyKey().publicKey };
  checkSuccession('fork', signTrustRoot(twin, both));
  const newer = { ...pinned, version: 5 };
  assert.ok(succeedTrustRoot(pinned, signTrustRoot(newer, both), NOW_MS).ok);
  const back = succeedTrustRoot(newer, signTrustRoot({ ...pinned, version: 4 }, both), NOW_MS);
  assert.equal(back.ok ? '' : back.error.code, 'version_rollback');
  checkSuccession('wrong_trust_domain', signTrustRoot({ ...newer, trustDomain: 'evil' }, both));
  const issuedAt = new Date(NOW_MS + 61_000).toISOString();
  checkSuccession('trust_root_invalid', signTrustRoot({ ...newer, issuedAt }, both));
});

test('envelopes survive their own bytes, and nothing else does', () => {
  const envelope = signTrustRoot(trustRootOf([alice]), [alice.signer]);
  const decoded = decodeEnvelope(encodeEnvelope(envelope));
  assert.ok(decoded.ok);
  assert.deepEqual(decoded.value, envelope);
  for (const bytes of [Buffer.alloc(0), Buffer.from('[]'), Buffer.from([0xff]), Buffer.alloc(9)]) {
    const bad = decodeEnvelope(bytes);
    assert.equal(bad.ok ? '' : bad.error.code, 'malformed');
  }
  const huge = decodeEnvelope(Buffer.alloc(3_000_000, 32));
  assert.equal(huge.ok ? '' : huge.error.code, 'too_large');
});

test('other keys than Ed25519 sign no policy, and no key is quoted in an error', () => {
  const pem = createPolicyKey().privateKeyPem;
  assert.ok(loadSigner(pem).ok);
  const bad = loadSigner(pem.replace('MC4', 'MC5'));
  assert.equal(bad.ok, false);
  assert.ok(!bad.ok && !bad.error.includes(pem.slice(30, 60)));
  assert.equal(loadSigner('').ok, false);
});

test('signed JSON opens with its key and type only', () => {
  const key = createPolicyKey();
  const signer = loadSigner(key.privateKeyPem);
  assert.ok(signer.ok);
  const envelope = signJson('application/x', { head: 1 }, signer.value);
  const opened = openSignedJson(envelope, 'application/x', key.publicKey);
  assert.deepEqual(opened, { ok: true, value: { head: 1 } });
  assert.equal(openSignedJson(envelope, 'application/y', key.publicKey).ok, false);
  assert.equal(openSignedJson(envelope, 'application/x', createPolicyKey().publicKey).ok, false);
  assert.equal(openSignedJson(envelope, 'application/x', 'AAAA').ok, false);
});

function checkOpen(code: TrustErrorCode, envelope: unknown): void {
  const opened = openTrustRoot(envelope);
  assert.equal(opened.ok ? 'opened' : opened.error.code, code);
}

function checkSuccession(code: TrustErrorCode, envelope: unknown): void {
  const succeeded = succeedTrustRoot(pinned, envelope, NOW_MS);
  assert.equal(succeeded.ok ? 'succeeded' : succeeded.error.code, code);
}
