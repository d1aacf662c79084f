import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DerReader } from './der-read.ts';
import { readOid } from './der-values.ts';
import { encodeOid } from './der-write.ts';
import { OID } from './oid.ts';

test('no arc is beyond 31 bits: Go, and with it half of all SPIFFE clients, refuses certificates with one', () => {
  for (const [name, hex] of Object.entries(OID)) {
    let arc = 0;
    for (const byte of Buffer.from(hex, 'hex')) {
      arc = arc * 128 + (byte & 0x7f);
      assert.ok(arc < 2 ** 31, name);
      if (byte < 0x80) arc = 0;
    }
  }
});

test('we read each of them ourselves', () => {
  for (const hex of Object.values(OID)) assert.equal(readOid(new DerReader(encodeOid(hex))), hex);
});
