import { DerError, type DerReader, TAG } from './der-read.ts';

/** Reads a BOOLEAN; DER knows only 00 and FF (X.690 11.1). */
export function readBoolean(reader: DerReader): boolean {
  const body = reader.body(TAG.boolean);
  if (body.length !== 1 || (body[0] !== 0 && body[0] !== 0xff)) throw new DerError('bad boolean');
  return body[0] === 0xff;
}

/** Reads a non-negative INTEGER's magnitude without leading zeros; at most `maxBytes` of them. */
export function readUnsigned(reader: DerReader, maxBytes: number): Buffer {
  const body = reader.body(TAG.integer);
  const first = body[0];
  if (first === undefined || first >= 0x80) throw new DerError('integer is not positive');
  const second = body[1] ?? 0x80;
  if (first === 0 && body.length > 1 && second < 0x80) throw new DerError('integer not minimal');
  const magnitude = first === 0 ? body.subarray(1) : body;
  if (magnitude.length > maxBytes) throw new DerError('integer too long');
  return magnitude;
}

/** Reads a small non-negative INTEGER, below 2^24. */
export function readSmall(reader: DerReader): number {
  const magnitude = readUnsigned(reader, 3);
  return magnitude.length === 0 ? 0 : magnitude.readUIntBE(0, magnitude.length);
}

/** Reads an OBJECT IDENTIFIER as the lower-case hex of its body, the form that `OID` holds. */
export function readOid(reader: DerReader): string {
  const body = reader.body(TAG.oid);
  const last = body[body.length - 1];
  if (last === undefined || last >= 0x80 || body.length > 64) throw new DerError('bad oid');
  return body.toString('hex');
}

/** Reads a BIT STRING that fills whole octets, as keys and signatures do. */
export function readOctetBits(reader: DerReader): Buffer {
  const body = reader.body(TAG.bitString);
  if (body[0] !== 0) throw new DerError('bit string with unused bits');
  return body.subarray(1);
}

/** Reads a named-bits BIT STRING of up to 9 bits; bit 0 of the standard is bit 0 of the number. */
export function readNamedBits(reader: DerReader): number {
  const body = reader.body(TAG.bitString);
  const unused = body[0] ?? 8;
  const last = body[body.length - 1] ?? 0;
  if (unused > 7 || body.length > 3 || (body.length === 1 && unused !== 0)) {
    throw new DerError('bad named bits');
  }
  if (body.length > 1 && (last & ((1 << unused) - 1)) !== 0) throw new DerError('bad named bits');
  let bits = 0;
  for (let i = 0; i < (body.length - 1) * 8; i++) {
    if (((body[1 + (i >> 3)] ?? 0) & (0x80 >> (i & 7))) !== 0) bits |= 1 << i;
  }
  return bits;
}

/** Reads a UTCTime or GeneralizedTime in the one form RFC 5280 4.1.2.5 allows; ms since 1970. */
export function readTime(reader: DerReader): number {
  const isUtc = reader.has(TAG.utcTime);
  const text = reader.body(isUtc ? TAG.utcTime : TAG.generalizedTime).toString('latin1');
  if (!(isUtc ? /^\d{12}Z$/ : /^\d{14}Z$/).test(text)) throw new DerError('bad time');
  // RFC 5280 4.1.2.5.1: two-digit years from 50 on belong to the 20th century.
  const full = isUtc ? (Number(text.slice(0, 2)) >= 50 ? `19${text}` : `20${text}`) : text;
  const iso = `${full.slice(0, 4)}-${full.slice(4, 6)}-${full.slice(6, 8)}T${full.slice(8, 10)}:${full.slice(10, 12)}:${full.slice(12, 14)}`;
  const time = Date.parse(`${iso}.000Z`);
  // Date.parse rolls 30 February over to March; the round trip does not.
  if (Number.isNaN(time) || !new Date(time).toISOString().startsWith(iso)) {
    throw new DerError('bad time');
  }
  return time;
}

/** Reads an IA5String-like body of printable ASCII under an implicit tag. */
export function asciiText(body: Buffer): string {
  for (const byte of body) {
    // SECURITY: a NUL or a control byte in a name is read differently by different programs.
    if (byte < 0x21 || byte > 0x7e) throw new DerError('name with a byte outside printable ASCII');
  }
  return body.toString('latin1');
}
