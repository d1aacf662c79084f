import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';

/**
 * Columns of a block: values of one field of many records, written as bytes. Integers are LEB128 varints, which the
 * compression then finds alike; anything that is no count is written as text.
 */
const MAX_VARINT_BYTES = 8;
const ZSTD = { params: { [constants.ZSTD_c_compressionLevel]: 3 } };
// Below this a frame's own header costs more than it saves.
const MIN_COMPRESSED_BYTES = 64;
const RAW = 0;
const COMPRESSED = 1;
/** SECURITY: no section of a block that we wrote is larger; a damaged length must not take all memory. */
const MAX_SECTION_BYTES = 256 * 1024 * 1024;

/** Writes whole numbers from 0 to 2^53 - 1. */
export function encodeNumbers(values: readonly number[]): Buffer {
  const bytes = Buffer.allocUnsafe(values.length * MAX_VARINT_BYTES);
  let at = 0;
  for (let value of values) {
    while (value > 0x7f) {
      bytes[at++] = (value % 0x80) | 0x80;
      value = Math.floor(value / 0x80);
    }
    bytes[at++] = value;
  }
  return bytes.subarray(0, at);
}

/** Reads `count` whole numbers; throws a `RangeError` where the bytes do not hold them. */
export function decodeNumbers(bytes: Buffer, count: number): Float64Array {
  const values = new Float64Array(count);
  let at = 0;
  for (let i = 0; i < count; i++) {
    let byte = bytes[at++];
    if (byte === undefined) throw new RangeError('a column ends early');
    if (byte < 0x80) {
      values[i] = byte;
      continue;
    }
    let value = byte & 0x7f;
    let scale = 0x80;
    do {
      byte = bytes[at++];
      if (byte === undefined) throw new RangeError('a column ends early');
      value += (byte & 0x7f) * scale;
      scale *= 0x80;
    } while (byte >= 0x80);
    values[i] = value;
  }
  return values;
}

/** Writes whole numbers of any sign by their differences: for what mostly counts up. */
export function encodeDeltas(values: readonly number[]): Buffer {
  let last = 0;
  return encodeNumbers(
    values.map((value) => {
      const delta = value - last;
      last = value;
      return delta < 0 ? -delta * 2 - 1 : delta * 2;
    }),
  );
}

/** Reads what `encodeDeltas` wrote. */
export function decodeDeltas(bytes: Buffer, count: number): Float64Array {
  const values = decodeNumbers(bytes, count);
  let last = 0;
  for (let i = 0; i < count; i++) {
    const coded = values[i] ?? 0;
    last += coded % 2 === 1 ? -(coded + 1) / 2 : coded / 2;
    values[i] = last;
  }
  return values;
}

/** Writes text values: the distinct ones once, then which each is. */
export function encodeTexts(values: readonly string[]): Buffer {
  const ids = new Map<string, number>();
  const indexes = values.map((value) => {
    let id = ids.get(value);
    if (id === undefined) ids.set(value, (id = ids.size));
    return id;
  });
  const distinct = Buffer.from(JSON.stringify([...ids.keys()]));
  return Buffer.concat([encodeNumbers([distinct.length]), distinct, encodeNumbers(indexes)]);
}

/** Text values of a column: `distinct[indexes[i]]`. */
export type Texts = { readonly distinct: readonly string[]; readonly indexes: Float64Array };

/** Reads what `encodeTexts` wrote. */
export function decodeTexts(bytes: Buffer, count: number): Texts {
  const { start, end } = distinctPlace(bytes);
  const distinct = JSON.parse(bytes.toString('utf8', start, end)) as string[];
  return { distinct, indexes: decodeNumbers(bytes.subarray(end), count) };
}

/**
 * Whether a value of a column of texts may hold a text, in lower case: looked for in what is written, which takes a small
 * part of the time that reading the values apart does.
 */
export function mayHoldText(bytes: Buffer, text: string): boolean {
  const { start, end } = distinctPlace(bytes);
  // As it stands within JSON: what a value holds, its JSON holds written so.
  const written = JSON.stringify(text).slice(1, -1).toLowerCase();
  return bytes.toString('utf8', start, end).toLowerCase().includes(written);
}

function distinctPlace(bytes: Buffer): { start: number; end: number } {
  let start = 0;
  while ((bytes[start] ?? 0) >= 0x80) start++;
  start++;
  const [length = 0] = decodeNumbers(bytes, 1);
  return { start, end: start + length };
}

/** Compresses a section where that makes it smaller. */
export function packSection(bytes: Buffer): Buffer {
  if (bytes.length >= MIN_COMPRESSED_BYTES) {
    const packed = zstdCompressSync(bytes, ZSTD);
    if (packed.length < bytes.length) {
      return Buffer.concat([Buffer.from([COMPRESSED]), encodeNumbers([bytes.length]), packed]);
    }
  }
  return plainSection(bytes);
}

/** A section that is not compressed. */
export function plainSection(bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from([RAW]), bytes]);
}

/** Reads what `packSection` or `plainSection` wrote; throws where it is damaged. */
export function unpackSection(packed: Buffer): Buffer {
  if (packed[0] === RAW) return packed.subarray(1);
  if (packed[0] !== COMPRESSED) throw new RangeError('a section of no known kind');
  let start = 1;
  while ((packed[start] ?? 0) >= 0x80) start++;
  start++;
  const [length = 0] = decodeNumbers(packed.subarray(1), 1);
  if (length > MAX_SECTION_BYTES) throw new RangeError('a section is too large');
  // One chunk of the right size: the default would copy what it reads many times.
  const bytes = zstdDecompressSync(packed.subarray(start), {
    chunkSize: Math.max(64, length + 64),
    maxOutputLength: length,
  });
  if (bytes.length !== length) throw new RangeError('a section has another length than it says');
  return bytes;
}
