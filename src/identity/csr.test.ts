import assert from 'node:assert/strict';
import { createPublicKey, type KeyObject } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  EMPTY_NAME,
  encodeCommonName,
  encodeExtension,
  encodePurposes,
  encodeSigned,
} from './certificate-fields.ts';
import { createCsr, parseCsr } from './csr.ts';
import { DerReader, TAG } from './der-read.ts';
import { encodeElement, encodeOid, encodeSequence, encodeUnsigned } from './der-write.ts';
import { caExtensions, fakeTrustDomain, KEYS, uriNames } from './fake-authority.ts';
import { withStowaways } from './fake-der.ts';
import { OID } from './oid.ts';
import { createSigningKey, exportSpki } from './signing-key.ts';
import { workloadSpiffeId } from './spiffe-id.ts';

const ID = workloadSpiffeId(fakeTrustDomain('td'), 'shop', 'web');
const KEY = KEYS.p256;
const GOOD = createCsr({ privateKey: KEY, publicKey: createPublicKey(KEY), id: ID });
const NAMES = uriNames(ID.text);

type Parts = {
  readonly privateKey?: KeyObject;
  readonly publicKey?: KeyObject;
  readonly subject?: Buffer;
  readonly extensions?: readonly Buffer[];
  readonly attributes?: readonly Buffer[];
};

/** A request with whatever a dishonest requester would write in. */
function forge(parts: Parts): Uint8Array {
  const privateKey = parts.privateKey ?? KEY;
  const key = createSigningKey(privateKey);
  assert.ok(key !== undefined);
  const request = encodeSequence(
    encodeOid(OID.extensionRequest),
    encodeElement(TAG.set, encodeSequence(...(parts.extensions ?? [NAMES]))),
  );
  const info = encodeSequence(
    encodeUnsigned(Buffer.from([0])),
    parts.subject ?? EMPTY_NAME,
    exportSpki(parts.publicKey ?? privateKey),
    encodeElement(0xa0, ...(parts.attributes ?? [request])),
  );
  return encodeSigned(info, key.algorithm, key.sign(info));
}

function refused(der: Uint8Array, error: RegExp): void {
  const parsed = parseCsr(der);
  assert.ok(!parsed.ok, 'it was accepted');
  assert.match(parsed.error, error);
}

test('a request is read back', () => {
  for (const der of [GOOD, forge({})]) {
    const parsed = parseCsr(der);
    assert.ok(parsed.ok, JSON.stringify(parsed));
    assert.deepEqual(parsed.value.id, ID);
    assert.deepEqual(Buffer.from(parsed.value.publicKeyDer), exportSpki(KEY));
    assert.ok(parsed.value.publicKey.equals(createPublicKey(KEY)));
  }
});

test('attack: a request for a key that its sender does not hold', () => {
  const other = createPublicKey(KEYS.p384);
  refused(
    forge({ publicKey: createPublicKey(KEY), privateKey: KEYS.p384 }),
    /not signed by its own key/,
  );
  refused(
    forge({ publicKey: createPublicKey(KEY), privateKey: KEYS.ed25519 }),
    /not signed by its own key/,
  );
  refused(forge({ publicKey: other }), /not P-256/);
  const tampered = Uint8Array.from(GOOD);
  const at = Buffer.from(tampered).indexOf('web');
  tampered.set(Buffer.from('wob'), at);
  refused(tampered, /not signed by its own key/);
});

test('attack: keys of other kinds, and a point off the curve', () => {
  for (const kind of ['p384', 'ed25519', 'rsa'] as const) {
    refused(forge({ privateKey: KEYS[kind] }), /not P-256/);
  }
  const off = Uint8Array.from(GOOD);
  const spki = Buffer.from(off).indexOf(exportSpki(KEY));
  off[spki + 90] = (off[spki + 90] ?? 0) ^ 1;
  refused(off, /not a point of its curve/);
});

test('attack: a request that asks for more than a name', () => {
  refused(forge({ extensions: [NAMES, ...caExtensions()] }), /more than a name/);
  refused(forge({ extensions: [NAMES, encodePurposes(OID.serverAuth)] }), /more than a name/);
  refused(
    forge({ extensions: [NAMES, encodeExtension('2a03', encodeSequence(), true)] }),
    /more than a name/,
  );
  refused(forge({ subject: encodeCommonName('admin') }), /has a subject/);
});

test('attack: two URI names, none, other names beside it', () => {
  const one = /exactly one SPIFFE ID/;
  refused(forge({ extensions: [uriNames(ID.text, ID.text)] }), one);
  refused(forge({ extensions: [] }), one);
  for (const tag of [0x81, 0x82, 0x87, 0xa0]) {
    const names = encodeSequence(
      encodeElement(0x86, Buffer.from(ID.text)),
      encodeElement(tag, Buffer.from('abcd')),
    );
    refused(forge({ extensions: [encodeExtension(OID.subjectAltName, names)] }), one);
  }
  refused(forge({ extensions: [uriNames('https://td/a')] }), /begins with `spiffe/);
  refused(forge({ extensions: [NAMES, NAMES] }), /twice/);
});

test('attack: something slipped in at any depth of what is signed, or around it', () => {
  const key = createSigningKey(KEY);
  assert.ok(key !== undefined);
  const info = new DerReader(GOOD).enter(TAG.sequence).whole(TAG.sequence);
  const inner = withStowaways(info).map((each) =>
    encodeSigned(each, key.algorithm, key.sign(each)),
  );
  const around = withStowaways(Buffer.from(GOOD), [info]);
  assert.ok(parseCsr(encodeSigned(info, key.algorithm, key.sign(info))).ok);
  assert.ok(inner.length > 8 && around.length > 1, `${inner.length} ${around.length}`);
  for (const variant of [...inner, ...around]) {
    assert.equal(parseCsr(variant).ok, false, variant.toString('hex'));
  }
});

test('attack: no attribute, two of them, another one', () => {
  refused(forge({ attributes: [] }), /truncated/);
  const request = encodeSequence(
    encodeOid(OID.extensionRequest),
    encodeElement(TAG.set, encodeSequence(NAMES)),
  );
  refused(forge({ attributes: [request, request] }), /trailing/);
  const password = encodeSequence(
    encodeOid('2a864886f70d010907'),
    encodeElement(TAG.set, encodeElement(TAG.utf8String, Buffer.from('x'))),
  );
  refused(forge({ attributes: [password] }), /unexpected attribute/);
});

test('attack: a request with a 1 MB extension', () => {
  refused(
    forge({ extensions: [NAMES, encodeExtension('2a03', Buffer.alloc(1 << 20))] }),
    /longer than 8192/,
  );
});

test('every truncation is refused, and so is a byte behind', () => {
  for (let length = 0; length < GOOD.length; length++) {
    assert.equal(parseCsr(GOOD.subarray(0, length)).ok, false, `${length}`);
  }
  refused(Buffer.concat([GOOD, Buffer.from([0])]), /trailing/);
});

test('no bytes make the parser throw, and no changed byte goes unnoticed', () => {
  fc.assert(
    fc.property(fc.nat(GOOD.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const der = Uint8Array.from(GOOD);
      der[at] = (der[at] ?? 0) ^ change;
      assert.equal(parseCsr(der).ok, false);
    }),
    { numRuns: 1500 },
  );
  fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), (der) => !parseCsr(der).ok));
});
