import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeEcdsa } from './ecdsa-signature.ts';
import { parseKeyDevice } from './open-device.ts';

test('where keys lie is read strictly', () => {
  const MODULE = 'module-path=/usr/lib/softhsm/libsofthsm2.so';
  for (const [text, expected] of [
    ['command:/usr/bin/signer', { kind: 'command', program: '/usr/bin/signer' }],
    [
      `pkcs11:token=My%20token?${MODULE}`,
      { kind: 'pkcs11', token: 'My token', modulePath: '/usr/lib/softhsm/libsofthsm2.so' },
    ],
    ['command:signer', /absolute/],
    [`pkcs11:?${MODULE}`, /`token=`/],
    ['pkcs11:token=x', /module-path/],
    [`pkcs11:token=x?${MODULE}&pin-value=1234`, /PALISADE_CA_PIN_FILE/],
    [`pkcs11:token=x?${MODULE}&pin-source=file:/pin`, /PALISADE_CA_PIN_FILE/],
    [`pkcs11:token=x;serial=1?${MODULE}`, /unknown attribute `serial`/],
    ['file:/key', /begins neither/],
    ['', /begins neither/],
  ] as const) {
    const parsed = parseKeyDevice(text);
    if (expected instanceof RegExp) {
      assert.ok(!parsed.ok, text);
      assert.match(parsed.error, expected);
    } else assert.deepEqual(parsed.ok && parsed.value, expected);
  }
});

test('r and s become shortest DER integers', () => {
  const signature = Buffer.alloc(64);
  signature[31] = 5;
  signature.fill(0xff, 32);
  const encoded = encodeEcdsa(signature).toString('hex');
  assert.equal(encoded, `3026020105022100${'ff'.repeat(32)}`);
  assert.equal(encodeEcdsa(Buffer.alloc(64)).toString('hex'), '3006020100020100');
  assert.throws(() => encodeEcdsa(Buffer.alloc(63)), /63 bytes/);
});
