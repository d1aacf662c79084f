import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { describe, test } from 'node:test';
import { jwtKeyOf } from '#identity';
import { openJwtKeys, signJwtKeys } from './jwt-keys.ts';
import { createPolicyKey, loadSigner } from './policy-key.ts';
import { signJson } from './signed-json.ts';
import type { TrustRoot } from './trust-root.ts';

const TYPE = 'application/vnd.palisade.jwt-keys+json';
const logKey = createPolicyKey();
const other = createPolicyKey();
const signer = signerOf(logKey.privateKeyPem);
const root: TrustRoot = {
  version: 1,
  trustDomain: 'example.org',
  x509Roots: [],
  policyKeys: [],
  threshold: 1,
  issuanceLogKey: logKey.publicKey,
  issuedAt: '2026-05-01T12:00:00.000Z',
};
const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
const spki = publicKey.export({ type: 'spki', format: 'der' }).toString('base64');
const document = {
  trustDomain: 'example.org',
  sequence: 3,
  issuedAt: '2026-05-01T12:00:00.000Z',
  keys: [spki],
};

function signerOf(pem: string) {
  const loaded = loadSigner(pem);
  assert.ok(loaded.ok);
  return loaded.value;
}

test('what the authority signs opens to the same keys', () => {
  const set = { sequence: 3, keys: [jwtKeyOf(publicKey)] };
  const options = { trustDomain: 'example.org', nowMs: Date.UTC(2026, 4, 1), signer };
  const opened = openJwtKeys(signJwtKeys(set, options), root);
  assert.ok(opened.ok);
  assert.equal(opened.value.sequence, 3);
  assert.deepEqual(
    opened.value.keys.map(({ kid }) => kid),
    set.keys.map(({ kid }) => kid),
  );
});

describe('attack: key documents of others', () => {
  const p384 = generateKeyPairSync('ec', { namedCurve: 'secp384r1' }).publicKey;
  const sign = (value: unknown, type = TYPE, by = signer) => signJson(type, value, by);
  const cases: [string, unknown, string][] = [
    [
      'signed by somebody else',
      sign(document, TYPE, signerOf(other.privateKeyPem)),
      'signature_threshold',
    ],
    ['a head of the log passed off as keys', sign(document, 'application/x'), 'malformed'],
    [
      'of another trust domain',
      sign({ ...document, trustDomain: 'other.org' }),
      'wrong_trust_domain',
    ],
    ['without keys', sign({ ...document, keys: [] }), 'malformed'],
    [
      'with a key of another kind',
      sign({
        ...document,
        keys: [p384.export({ type: 'spki', format: 'der' }).toString('base64')],
      }),
      'malformed',
    ],
    ['with something that is no key', sign({ ...document, keys: ['AAAA'] }), 'malformed'],
    ['with unknown members', sign({ ...document, more: 1 }), 'malformed'],
    ['without a sequence', sign({ ...document, sequence: 0 }), 'malformed'],
    ['nothing', null, 'malformed'],
  ];
  for (const [name, envelope, code] of cases) {
    test(name, () => {
      const opened = openJwtKeys(envelope, root);
      assert.equal(opened.ok ? 'ok' : opened.error.code, code);
    });
  }
});
