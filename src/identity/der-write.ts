import { TAG } from './der-read.ts';

/** One DER element: the tag, the length, and the parts as its body. */
export function encodeElement(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  let length = 0;
  for (const part of parts) length += part.length;
  return Buffer.concat([encodeHeader(tag, length), ...parts]);
}

/** A SEQUENCE of the parts. */
export function encodeSequence(...parts: readonly Uint8Array[]): Buffer {
  return encodeElement(TAG.sequence, ...parts);
}

/** An OBJECT IDENTIFIER from the hex of its body, as in `OID`. */
export function encodeOid(hex: string): Buffer {
  return encodeElement(TAG.oid, Buffer.from(hex, 'hex'));
}

/** A positive INTEGER from its magnitude, big-endian. */
export function encodeUnsigned(magnitude: Uint8Array): Buffer {
  let start = 0;
  while (start < magnitude.length - 1 && magnitude[start] === 0) start++;
  const trimmed = magnitude.subarray(start);
  // X.690 8.3: the first bit is the sign.
  const sign = (trimmed[0] ?? 0) >= 0x80 ? [ZERO] : [];
  return encodeElement(TAG.integer, ...sign, trimmed);
}

/** A BIT STRING of whole octets. */
export function encodeOctetBits(octets: Uint8Array): Buffer {
  return encodeElement(TAG.bitString, ZERO, octets);
}

/** A time to the second, UTCTime until 2049 (RFC 5280 section 4.1.2.5). */
export function encodeTime(ms: number): Buffer {
  const digits = `${new Date(ms).toISOString().slice(0, 19).replaceAll(/[-:T]/g, '')}Z`;
  const year = Number(digits.slice(0, 4));
  if (year < 1950 || year > 2049) {
    return encodeElement(TAG.generalizedTime, Buffer.from(digits, 'latin1'));
  }
  return encodeElement(TAG.utcTime, Buffer.from(digits.slice(2), 'latin1'));
}

/** A TRUE. */
export const TRUE: Uint8Array = Buffer.from([TAG.boolean, 1, 0xff]);

const ZERO = Buffer.from([0]);

function encodeHeader(tag: number, length: number): Buffer {
  if (length < 0x80) return Buffer.from([tag, length]);
  if (length < 0x100) return Buffer.from([tag, 0x81, length]);
  if (length < 0x10000) return Buffer.from([tag, 0x82, length >> 8, length & 0xff]);
  return Buffer.from([tag, 0x83, length >> 16, (length >> 8) & 0xff, length & 0xff]);
}
