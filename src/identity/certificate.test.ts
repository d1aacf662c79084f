import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeCertificate } from './certificate.ts';
import {
  encodeAuthorityKeyId,
  encodeExtension,
  encodeSigned,
  encodeSubjectKeyId,
  LEAF_KEY_USAGE,
} from './certificate-fields.ts';
import { DerReader, TAG } from './der-read.ts';
import { encodeElement, encodeOid, encodeSequence } from './der-write.ts';
import { fakeCertificate, KEYS, leafExtensions, NOW_MS } from './fake-authority.ts';
import { withStowaways } from './fake-der.ts';
import { OID } from './oid.ts';

const URI = 'spiffe://td/ns/a/sa/b';
const GOOD = fakeCertificate({ name: 'x', extensions: leafExtensions([URI], ['a.example']) });

function refused(der: Uint8Array, error: RegExp): void {
  const decoded = decodeCertificate(der);
  assert.ok(!decoded.ok, 'it was accepted');
  assert.match(decoded.error, error);
}

test('reads what node:crypto reads', () => {
  for (const kind of ['p256', 'p384', 'ed25519', 'rsa'] as const) {
    const serial = Buffer.from([0, 0xab, 1]);
    const { der } = fakeCertificate({
      serial,
      privateKey: KEYS[kind],
      extensions: leafExtensions([URI]),
    });
    const decoded = decodeCertificate(der);
    assert.ok(decoded.ok, JSON.stringify(decoded));
    const oracle = new X509Certificate(der);
    assert.equal(decoded.value.serial, oracle.serialNumber.toLowerCase());
    assert.equal(decoded.value.notBefore, Date.parse(oracle.validFrom));
    assert.equal(decoded.value.expiresAt, Date.parse(oracle.validTo));
    assert.equal(decoded.value.expiresAt, NOW_MS + 3_600_000);
    assert.equal(`URI:${decoded.value.extensions.subjectAltName?.uris[0]}`, oracle.subjectAltName);
    assert.equal(decoded.value.keyKind, kind);
  }
});

test('every truncation of a certificate is refused', () => {
  assert.ok(decodeCertificate(GOOD.der).ok);
  for (let length = 0; length < GOOD.der.length; length++) {
    assert.equal(decodeCertificate(GOOD.der.subarray(0, length)).ok, false, `${length}`);
  }
});

test('a byte behind a certificate is refused', () => {
  refused(Buffer.concat([GOOD.der, Buffer.from([0])]), /trailing/);
});

test('attack: something slipped in at any depth, where another reader may look', () => {
  const extensions = [
    ...leafExtensions([URI], ['a.example']),
    encodeSubjectKeyId(Buffer.alloc(20)),
    encodeAuthorityKeyId(Buffer.alloc(20)),
    encodeExtension(OID.nameConstraints, Buffer.from('3009a00730058203616263', 'hex')),
  ];
  for (const kind of ['p256', 'rsa'] as const) {
    const { der, name } = fakeCertificate({ name: 'x', privateKey: KEYS[kind], extensions });
    assert.ok(decodeCertificate(der).ok);
    const variants = withStowaways(Buffer.from(der), [name]);
    assert.ok(variants.length > 30, `${variants.length}`);
    for (const variant of variants) {
      assert.equal(decodeCertificate(variant).ok, false, variant.toString('hex'));
    }
  }
});

test('a certificate of version 1 is refused', () => {
  const tbs = new DerReader(GOOD.der).enter(TAG.sequence).body(TAG.sequence);
  const algorithm = encodeSequence(encodeOid(OID.ecdsaSha256));
  for (const [head, error] of [
    ['', /not an X.509 v3/],
    ['a003020100', /not an X.509 v3/],
    ['a003020101', /not an X.509 v3/],
    ['a003020103', /not an X.509 v3/],
  ] as const) {
    const other = encodeSequence(Buffer.from(head, 'hex'), tbs.subarray(5));
    refused(encodeSigned(other, algorithm, Buffer.alloc(70)), error);
  }
});

test('a certificate with a 1 MB extension is refused by its size alone', () => {
  const huge = encodeExtension('2a03', encodeElement(TAG.octetString, Buffer.alloc(1 << 20)));
  refused(fakeCertificate({ extensions: [huge] }).der, /longer than 16384 bytes/);
});

test('a certificate that says the same extension twice is refused', () => {
  refused(fakeCertificate({ extensions: [LEAF_KEY_USAGE, LEAF_KEY_USAGE] }).der, /twice/);
});

test('more extensions than any real certificate has are refused', () => {
  const extensions = Array.from({ length: 100 }, (_, i) =>
    encodeExtension(`2a${(i & 0x7f).toString(16).padStart(2, '0')}`, encodeSequence()),
  );
  refused(fakeCertificate({ extensions }).der, /too many/);
});

test('weak keys and unknown keys are refused', () => {
  const extensions = leafExtensions([URI]);
  const issuer = GOOD;
  refused(
    fakeCertificate({ issuer, extensions, privateKey: KEYS.rsa1024 }).der,
    /1024 bits is too short/,
  );
  refused(fakeCertificate({ issuer, extensions, privateKey: KEYS.p521 }).der, /not P-256/);
});

test('a certificate whose two signature algorithms differ is refused', () => {
  const outer = new DerReader(GOOD.der).enter(TAG.sequence);
  const tbs = outer.whole(TAG.sequence);
  const other = encodeSequence(encodeOid(OID.ecdsaSha384));
  refused(encodeSigned(tbs, other, Buffer.alloc(70)), /two signature algorithms/);
  const sha1 = encodeSequence(encodeOid('2a8648ce3d0401'));
  refused(encodeSigned(tbs, sha1, Buffer.alloc(70)), /not accepted/);
});

test('a certificate whose issuer has no name is refused', () => {
  const nameless = fakeCertificate({ issuer: GOOD, extensions: [] });
  refused(
    fakeCertificate({ issuer: nameless, extensions: [LEAF_KEY_USAGE] }).der,
    /issuer has no name/,
  );
});

test('a serial number is positive and has at most 20 bytes', () => {
  const make = (serial: Buffer) => fakeCertificate({ serial, extensions: [LEAF_KEY_USAGE] }).der;
  refused(make(Buffer.from([0])), /serial number zero/);
  refused(make(Buffer.alloc(21, 1)), /too long/);
  assert.ok(decodeCertificate(make(Buffer.alloc(20, 0x7f))).ok);
});

test('a name with a NUL, a space or a byte beyond ASCII is refused', () => {
  for (const byte of [0, 0x0a, 0x20, 0x7f, 0x80, 0xff]) {
    const name = encodeElement(
      0x86,
      Buffer.concat([Buffer.from('spiffe://td/a'), Buffer.from([byte])]),
    );
    const extension = encodeExtension(OID.subjectAltName, encodeSequence(name));
    refused(fakeCertificate({ extensions: [extension] }).der, /printable ASCII/);
  }
});

test('no mutation of a certificate makes the decoder throw', () => {
  const places = fc.array(fc.tuple(fc.nat(GOOD.der.length - 1), fc.nat(255)), {
    minLength: 1,
    maxLength: 4,
  });
  fc.assert(
    fc.property(places, (mutations) => {
      const der = Uint8Array.from(GOOD.der);
      for (const [at, byte] of mutations) der[at] = byte;
      assert.equal(typeof decodeCertificate(der).ok, 'boolean');
    }),
    { numRuns: 3000 },
  );
});
