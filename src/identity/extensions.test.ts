import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeCertificate } from './certificate.ts';
import { encodeExtension } from './certificate-fields.ts';
import type { Extensions } from './extensions.ts';
import { fakeCertificate } from './fake-authority.ts';
import { OID } from './oid.ts';

/** What a certificate with this one extension says, or why it cannot be read. */
function read(oid: string, valueHex: string, critical = false): Extensions | string {
  const extension = encodeExtension(oid, Buffer.from(valueHex, 'hex'), critical);
  const decoded = decodeCertificate(fakeCertificate({ extensions: [extension] }).der);
  return decoded.ok ? decoded.value.extensions : decoded.error;
}

function check(oid: string, valueHex: string, field: keyof Extensions, expected: unknown): void {
  const extensions = read(oid, valueHex);
  assert.ok(typeof extensions === 'object', String(extensions));
  assert.deepEqual(extensions[field], expected);
}

test('values are read', () => {
  const unlimited = Number.POSITIVE_INFINITY;
  check(OID.basicConstraints, '3000', 'basicConstraints', { ca: false, pathLength: unlimited });
  check(OID.basicConstraints, '30030101ff', 'basicConstraints', {
    ca: true,
    pathLength: unlimited,
  });
  check(OID.basicConstraints, '30060101ff020102', 'basicConstraints', { ca: true, pathLength: 2 });
  check(OID.keyUsage, '03020780', 'keyUsage', 1);
  check(OID.extendedKeyUsage, '300a06082b06010505070301', 'extendedKeyUsage', [OID.serverAuth]);
  check(OID.subjectKeyIdentifier, '0402abcd', 'subjectKeyId', 'abcd');
  check(OID.authorityKeyIdentifier, '30048002abcd', 'authorityKeyId', 'abcd');
  check(OID.authorityKeyIdentifier, '3000', 'authorityKeyId', undefined);
});

test('values that contradict themselves or say nothing are refused', () => {
  const cases: readonly [string, string, RegExp][] = [
    [OID.basicConstraints, '3003020100', /path length without CA/],
    [OID.basicConstraints, '30060101ff0201ff', /not positive/],
    [OID.extendedKeyUsage, '3000', /empty extended key usage/],
    [OID.subjectAltName, '3000', /empty subject alternative name/],
    [OID.subjectAltName, '3003020101', /bad general name/],
    [OID.subjectAltName, '30028900', /bad general name/],
    [OID.nameConstraints, '3000', /empty name constraints/],
    [OID.nameConstraints, '3002a000', /empty subtrees/],
    // A minimum, which RFC 5280 does not allow.
    [OID.nameConstraints, '300aa0083006820161800101', /trailing/],
  ];
  for (const [oid, value, error] of cases) {
    const problem = read(oid, value);
    assert.ok(typeof problem === 'string', `${oid} ${value} was accepted`);
    assert.match(problem, error);
  }
});

test('critical extensions that nobody processes are named, key identifiers among them', () => {
  const cases: readonly [string, string, boolean][] = [
    ['2a03', '0500', true],
    [OID.subjectKeyIdentifier, '0402abcd', true],
    [OID.authorityKeyIdentifier, '3000', true],
    [OID.keyUsage, '03020780', false],
    [OID.subjectAltName, '3003820161', false],
  ];
  for (const [oid, value, isUnknown] of cases) {
    const extensions = read(oid, value, true);
    assert.ok(typeof extensions === 'object', String(extensions));
    assert.deepEqual(extensions.unknownCritical, isUnknown ? [oid] : []);
  }
});
