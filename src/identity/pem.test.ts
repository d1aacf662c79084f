import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { derToPem, pemToDer } from './pem.ts';

test('PEM is read back, alone and among others', () => {
  const bytes = fc.uint8Array({ maxLength: 200 });
  fc.assert(
    fc.property(fc.array(bytes, { maxLength: 4 }), (blocks) => {
      const text = blocks.map((block) => `before\n${derToPem(block)}after\r\n`).join('');
      assert.deepEqual(
        pemToDer(text + derToPem(Buffer.from('k'), 'PRIVATE KEY')).map((der) => [...der]),
        blocks.map((block) => [...block]),
      );
    }),
  );
});

test('lines have at most 64 characters and end in a line feed', () => {
  const lines = derToPem(Buffer.alloc(100)).split('\n');
  assert.equal(lines[0], '-----BEGIN CERTIFICATE-----');
  assert.equal(lines[1]?.length, 64);
  assert.deepEqual(lines.slice(-2), ['-----END CERTIFICATE-----', '']);
});

test('an unfinished block is no block, however often it begins', () => {
  assert.deepEqual(pemToDer('-----BEGIN CERTIFICATE-----\n'.repeat(50_000)), []);
});
