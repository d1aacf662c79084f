import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Bundle } from './bundle.ts';
import {
  CA_KEY_USAGE,
  encodeExtension,
  encodePurposes,
  LEAF_CONSTRAINTS,
  LEAF_KEY_USAGE,
} from './certificate-fields.ts';
import { encodeSequence } from './der-write.ts';
import {
  caExtensions,
  type Fake,
  fakeBundle,
  fakeCertificate,
  KEYS,
  leafExtensions,
  NOW_MS,
  uriNames,
} from './fake-authority.ts';
import { OID } from './oid.ts';
import { verifyX509Svid } from './verify.ts';
import type { VerifyErrorCode } from './verify-error.ts';

const URI = 'spiffe://td/ns/shop/sa/web';
const ROOT = fakeCertificate({
  name: 'root',
  extensions: [...caExtensions(), uriNames('spiffe://td')],
});
const BUNDLE = fakeBundle('td', ROOT);
const MIDDLE = fakeCertificate({ name: 'middle', issuer: ROOT, extensions: caExtensions() });
const LEAF = fakeCertificate({ issuer: ROOT, extensions: leafExtensions([URI], ['web.shop']) });

type Case = {
  readonly chain: readonly Fake[];
  readonly bundles?: Bundle | readonly Bundle[];
  readonly nowMs?: number;
};

function check(
  expected: 'ok' | VerifyErrorCode,
  { chain, bundles = BUNDLE, nowMs = NOW_MS }: Case,
): void {
  const verified = verifyX509Svid(
    chain.map((each) => each.der),
    bundles,
    nowMs,
  );
  assert.equal(verified.ok ? 'ok' : verified.error.code, expected, JSON.stringify(verified));
}

/** A leaf of the root whose extensions are exactly these. */
const leafOf = (...extensions: Buffer[]): Fake => fakeCertificate({ issuer: ROOT, extensions });

test('a good SVID is accepted and described', () => {
  const verified = verifyX509Svid([LEAF.der], BUNDLE, NOW_MS);
  assert.ok(verified.ok);
  assert.equal(verified.value.id.text, URI);
  assert.equal(verified.value.serial, '07');
  assert.equal(verified.value.expiresAt, NOW_MS + 3_600_000);
  assert.deepEqual(verified.value.leafDer, LEAF.der);
});

test('every accepted kind of key can be the root, the intermediate and the leaf', () => {
  for (const kind of ['p256', 'p384', 'ed25519', 'rsa'] as const) {
    const privateKey = KEYS[kind];
    const root = fakeCertificate({ name: 'r', privateKey, extensions: caExtensions() });
    const middle = fakeCertificate({
      name: 'm',
      issuer: root,
      privateKey,
      extensions: caExtensions(0),
    });
    const leaf = fakeCertificate({ issuer: middle, privateKey, extensions: leafExtensions([URI]) });
    check('ok', { chain: [leaf, middle], bundles: fakeBundle('td', root) });
    check('untrusted', { chain: [leaf], bundles: fakeBundle('td', root) });
  }
});

test('no certificate, garbage, and chains beyond the bound', () => {
  check('no_certificate', { chain: [] });
  const garbage = verifyX509Svid([Buffer.from('garbage')], BUNDLE, NOW_MS);
  assert.ok(!garbage.ok && garbage.error.code === 'malformed');
  check('malformed', { chain: [LEAF, { ...LEAF, der: LEAF.der.subarray(1) }] });
  check('ok', { chain: [LEAF, MIDDLE, MIDDLE, MIDDLE, MIDDLE, ROOT] });
  check('bad_chain', { chain: [LEAF, MIDDLE, MIDDLE, MIDDLE, MIDDLE, MIDDLE, ROOT] });
});

test('attack: two URI names, of which the log and the policy could each take another', () => {
  check('bad_spiffe_id', { chain: [leafOf(...leafExtensions([URI, 'spiffe://td/admin']))] });
  check('bad_spiffe_id', { chain: [leafOf(...leafExtensions([URI, URI]))] });
  check('bad_spiffe_id', { chain: [leafOf(...leafExtensions([URI, 'https://example.com/']))] });
});

test('attack: no SPIFFE ID, one without a path, one that does not parse', () => {
  check('bad_spiffe_id', { chain: [leafOf(...leafExtensions([], ['web.shop']))] });
  check('bad_spiffe_id', { chain: [leafOf(LEAF_CONSTRAINTS, LEAF_KEY_USAGE)] });
  for (const uri of [
    'spiffe://td',
    'spiffe://td/',
    'spiffe://TD/a',
    'https://td/a',
    'spiffe://td/a/../b',
  ]) {
    check('bad_spiffe_id', { chain: [leafOf(...leafExtensions([uri]))] });
  }
});

test('attack: a foreign authority vouches for our trust domain', () => {
  const foreign = fakeCertificate({ name: 'foreign', extensions: caExtensions() });
  const leaf = fakeCertificate({ issuer: foreign, extensions: leafExtensions([URI]) });
  const bundles = [BUNDLE, fakeBundle('foreign', foreign)];
  check('untrusted', { chain: [leaf], bundles });
  check('untrusted', { chain: [leaf, foreign], bundles });
  const own = fakeCertificate({
    issuer: foreign,
    extensions: leafExtensions(['spiffe://foreign/a']),
  });
  check('ok', { chain: [own], bundles });
  check('wrong_trust_domain', { chain: [own] });
  check('wrong_trust_domain', { chain: [LEAF], bundles: [] });
});

test('attack: a stranger takes the name of our root', () => {
  const stranger = fakeCertificate({ name: 'root', extensions: caExtensions() });
  check('untrusted', {
    chain: [fakeCertificate({ issuer: stranger, extensions: leafExtensions([URI]) }), stranger],
  });
  check('untrusted', { chain: [fakeCertificate({ extensions: leafExtensions([URI]) })] });
});

test('attack: a workload uses its own SVID as an authority', () => {
  const named = fakeCertificate({ name: 'web', issuer: ROOT, extensions: leafExtensions([URI]) });
  const forged = fakeCertificate({
    issuer: named,
    extensions: leafExtensions(['spiffe://td/admin']),
  });
  check('bad_chain', { chain: [forged, named] });
  const withUsage = [LEAF_CONSTRAINTS, CA_KEY_USAGE, uriNames('spiffe://td')];
  const almost = fakeCertificate({ name: 'almost', issuer: ROOT, extensions: withUsage });
  check('bad_chain', {
    chain: [fakeCertificate({ issuer: almost, extensions: leafExtensions([URI]) }), almost],
  });
  const flagOnly = [caExtensions()[0] ?? LEAF_CONSTRAINTS, LEAF_KEY_USAGE];
  const noUsage = fakeCertificate({ name: 'n', issuer: ROOT, extensions: flagOnly });
  check('bad_chain', {
    chain: [fakeCertificate({ issuer: noUsage, extensions: leafExtensions([URI]) }), noUsage],
  });
});

test("attack: an authority's certificate as a leaf", () => {
  check('bad_leaf', { chain: [leafOf(...caExtensions(), uriNames(URI))] });
  check('bad_leaf', { chain: [leafOf(LEAF_CONSTRAINTS, CA_KEY_USAGE, uriNames(URI))] });
  const both = encodeExtension(OID.keyUsage, Buffer.from('03020284', 'hex'), true);
  check('bad_leaf', { chain: [leafOf(both, uriNames(URI))] });
  check('bad_spiffe_id', { chain: [ROOT] });
});

test('a leaf may sign, is for both sides of TLS, and constrains nobody', () => {
  const usage = (hex: string): Buffer =>
    encodeExtension(OID.keyUsage, Buffer.from(hex, 'hex'), true);
  check('ok', { chain: [leafOf(usage('03020780'), uriNames(URI))] });
  check('ok', { chain: [leafOf(usage('030203a8'), uriNames(URI))] });
  check('bad_leaf', { chain: [leafOf(uriNames(URI))] });
  check('bad_leaf', { chain: [leafOf(usage('03020520'), uriNames(URI))] });
  for (const purposes of [[OID.serverAuth], [OID.clientAuth], [OID.anyExtendedKeyUsage]]) {
    check('bad_leaf', {
      chain: [leafOf(LEAF_KEY_USAGE, uriNames(URI), encodePurposes(...purposes))],
    });
  }
  const constraints = encodeExtension(
    OID.nameConstraints,
    Buffer.from('3007a0053003820161', 'hex'),
    true,
  );
  check('bad_leaf', { chain: [leafOf(LEAF_KEY_USAGE, uriNames(URI), constraints)] });
});

test('an unknown critical extension is refused, an unknown other one is passed over', () => {
  const unknown = (critical: boolean): Buffer =>
    encodeExtension('2a0304', encodeSequence(), critical);
  check('ok', { chain: [leafOf(LEAF_KEY_USAGE, uriNames(URI), unknown(false))] });
  check('bad_leaf', { chain: [leafOf(LEAF_KEY_USAGE, uriNames(URI), unknown(true))] });
  const middle = fakeCertificate({
    name: 'm',
    issuer: ROOT,
    extensions: [...caExtensions(), unknown(true)],
  });
  check('bad_chain', {
    chain: [fakeCertificate({ issuer: middle, extensions: leafExtensions([URI]) }), middle],
  });
});

test('time: a minute of skew is tolerated and not a second more', () => {
  const [from, to] = [NOW_MS - 3_600_000, NOW_MS + 3_600_000];
  check('ok', { chain: [LEAF], nowMs: from - 60_000 });
  check('not_yet_valid', { chain: [LEAF], nowMs: from - 61_000 });
  check('ok', { chain: [LEAF], nowMs: to + 60_000 });
  check('expired', { chain: [LEAF], nowMs: to + 61_000 });
  const late = verifyX509Svid([LEAF.der], BUNDLE, to + 1000, { clockSkewMs: 0 });
  assert.ok(!late.ok && late.error.message === 'the certificate expired 1s ago');
});

test('attack: an expired or not yet valid authority still signs', () => {
  const extensions = leafExtensions([URI]);
  for (const [times, code] of [
    [{ expiresAt: NOW_MS - 120_000 }, 'expired'],
    [{ notBefore: NOW_MS + 120_000 }, 'not_yet_valid'],
  ] as const) {
    const middle = fakeCertificate({
      name: 'm',
      issuer: ROOT,
      extensions: caExtensions(),
      ...times,
    });
    check(code, { chain: [fakeCertificate({ issuer: middle, extensions }), middle] });
    const root = fakeCertificate({ name: 'r', extensions: caExtensions(), ...times });
    check(code, {
      chain: [fakeCertificate({ issuer: root, extensions })],
      bundles: fakeBundle('td', root),
    });
  }
});

test("an intermediate's own SPIFFE ID is of the leaf's trust domain and has no path", () => {
  for (const [uris, code] of [
    [['spiffe://td'], 'ok'],
    [['spiffe://other'], 'bad_chain'],
    [['spiffe://td/ns/a/sa/b'], 'bad_chain'],
    [['spiffe://td', 'spiffe://td'], 'bad_chain'],
    [['https://td'], 'bad_chain'],
  ] as const) {
    const middle = fakeCertificate({
      name: 'm',
      issuer: ROOT,
      extensions: [...caExtensions(), uriNames(...uris)],
    });
    check(code, {
      chain: [fakeCertificate({ issuer: middle, extensions: leafExtensions([URI]) }), middle],
    });
  }
});

test('every truncation and many mutations of a chain are refused and never throw', () => {
  for (let length = 0; length < LEAF.der.length; length++) {
    check('malformed', { chain: [{ ...LEAF, der: LEAF.der.subarray(0, length) }] });
  }
  const place = fc.tuple(fc.nat(LEAF.der.length - 1), fc.integer({ min: 1, max: 255 }));
  fc.assert(
    fc.property(place, ([at, change]) => {
      const der = Uint8Array.from(LEAF.der);
      der[at] = (der[at] ?? 0) ^ change;
      assert.equal(verifyX509Svid([der], BUNDLE, NOW_MS).ok, false);
    }),
    { numRuns: 1000 },
  );
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 8 }), (chain) => {
      assert.equal(verifyX509Svid(chain, BUNDLE, NOW_MS).ok, false);
    }),
  );
});
