import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DerReader, decodeDer, TAG } from './der-read.ts';
import {
  readBoolean,
  readNamedBits,
  readOctetBits,
  readOid,
  readSmall,
  readTime,
  readUnsigned,
} from './der-values.ts';
import { encodeElement, encodeTime, encodeUnsigned } from './der-write.ts';

function check<T>(hex: string, read: (reader: DerReader) => T, expected: T | undefined): void {
  const decoded = decodeDer(() => {
    const reader = new DerReader(Buffer.from(hex, 'hex'));
    const value = read(reader);
    reader.finish();
    return value;
  });
  assert.deepEqual(decoded.ok ? decoded.value : undefined, expected, hex);
}

const hexBody = (reader: DerReader): string => reader.body(TAG.octetString).toString('hex');

test('lengths are definite, minimal and within the bytes', () => {
  check('0400', hexBody, '');
  check('0402abcd', hexBody, 'abcd');
  check(`048180${'00'.repeat(128)}`, hexBody, '00'.repeat(128));
  check(`04820100${'00'.repeat(256)}`, hexBody, '00'.repeat(256));
  const bad = [
    '',
    '04',
    '0401',
    '0402ab',
    '040000',
    '0481',
    '048100',
    '04817f',
    '048180',
    '04820001ff',
    '0480',
    '04800000',
    '0484000000010a',
    '0483ffffff',
    '1400',
    '0500',
    '2400',
    '1f040400',
    `0482007f${'00'.repeat(127)}`,
    `048200ff${'00'.repeat(255)}`,
    `0483000100${'00'.repeat(256)}`,
  ];
  for (const hex of bad) check(hex, hexBody, undefined);
});

test('an element never reaches beyond the one around it', () => {
  const inner = (reader: DerReader): string => {
    const sequence = reader.enter(TAG.sequence);
    const body = sequence.body(TAG.octetString).toString('hex');
    sequence.finish();
    return body;
  };
  check('30030401aa', inner, 'aa');
  check('30030402aabb', inner, undefined);
  check('30040401aa00', inner, undefined);
  check('3000', inner, undefined);
  const unfinished = (reader: DerReader): string => {
    const body = reader.enter(TAG.sequence).body(TAG.octetString);
    return body.toString('hex') + reader.body(TAG.octetString).toString('hex');
  };
  check('30030401aa0401bb', unfinished, 'aabb');
  check('30030402aa0401bb', unfinished, undefined);
});

test('booleans, integers and object identifiers have one encoding', () => {
  check('0101ff', readBoolean, true);
  check('010100', readBoolean, false);
  for (const hex of ['010101', '0100', '0102ffff']) check(hex, readBoolean, undefined);
  check('020100', readSmall, 0);
  check('02017f', readSmall, 127);
  check('02020080', readSmall, 128);
  for (const hex of ['0200', '02020001', '020180', '0202ff00', '020500ffffffff']) {
    check(hex, readSmall, undefined);
  }
  check('0603551d11', readOid, '551d11');
  for (const hex of ['0600', '0602551d11', '060180', `0641${'01'.repeat(65)}`])
    check(hex, readOid, undefined);
});

test('bit strings carry no stray bits', () => {
  const hexBits = (reader: DerReader): string => readOctetBits(reader).toString('hex');
  check('030200aa', hexBits, 'aa');
  for (const hex of ['0300', '030201aa']) check(hex, hexBits, undefined);
  check('03020780', readNamedBits, 1);
  check('03020106', readNamedBits, (1 << 5) | (1 << 6));
  check('0303070080', readNamedBits, 1 << 8);
  check('030100', readNamedBits, 0);
  for (const hex of ['0300', '030101', '03020880', '03020781', '030400000000']) {
    check(hex, readNamedBits, undefined);
  }
});

test('times have the one form of RFC 5280 and name a real instant', () => {
  const time = (text: string, tag: number = TAG.utcTime): string =>
    encodeElement(tag, Buffer.from(text, 'latin1')).toString('hex');
  const general = TAG.generalizedTime;
  check(time('260115120000Z'), readTime, Date.UTC(2026, 0, 15, 12));
  check(time('500101000000Z'), readTime, Date.UTC(1950, 0, 1));
  check(time('490101000000Z'), readTime, Date.UTC(2049, 0, 1));
  check(time('99991231235959Z', general), readTime, Date.UTC(9999, 11, 31, 23, 59, 59));
  const bad = [
    '2601151200Z',
    '260115120000',
    '260115120000+0000',
    '260230120000Z',
    '261315120000Z',
    '260115240000Z',
    '26011512000 Z',
  ];
  for (const text of bad) check(time(text), readTime, undefined);
  for (const text of ['20260115120000.5Z', '260115120000Z', '20260229000000Z']) {
    check(time(text, general), readTime, undefined);
  }
});

test('what is written is read back', () => {
  const instants = fc.integer({ min: Date.UTC(1950, 0) / 1000, max: Date.UTC(9999, 0) / 1000 });
  fc.assert(
    fc.property(instants, fc.uint8Array({ minLength: 1, maxLength: 20 }), (seconds, magnitude) => {
      assert.equal(readTime(new DerReader(encodeTime(seconds * 1000))), seconds * 1000);
      const read = readUnsigned(new DerReader(encodeUnsigned(magnitude)), 20).toString('hex');
      assert.equal(BigInt(`0x0${read}`), BigInt(`0x${Buffer.from(magnitude).toString('hex')}`));
    }),
  );
});
