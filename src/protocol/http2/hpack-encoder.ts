import { STATIC_COUNT, STATIC_FIELD_INDEX, STATIC_NAME_INDEX } from './hpack-static.ts';
import { encodeHuffman, huffmanLength } from './huffman.ts';

// RFC 7541 section 7.1.3: what must not be guessed by trying is never kept in a table, by no hop.
const NEVER_INDEXED: ReadonlySet<string> = new Set([
  'authorization',
  'cookie',
  'proxy-authorization',
  'set-cookie',
]);
/** What an entry costs besides its bytes (RFC 7541 section 4.1). */
const ENTRY_BYTES = 32;
/** The table we use at most, whatever the peer would keep. */
const MAX_TABLE_BYTES = 4096;
/** Names whose last value is remembered. */
const MAX_REMEMBERED = 128;
/** More than an index and two lengths take. */
const FIELD_OVERHEAD = 16;
const RESIZE_BYTES = 12;

type Entry = { readonly name: string; readonly value: string; readonly size: number };

/**
 * Encodes the header blocks of one connection, in order (RFC 7541). A field enters the table when it
 * is sent with the same value for the second time in a row, so that what changes with each message
 * (trace ids, paths) pushes out nothing.
 */
export class HpackEncoder {
  // Entries by their number, counted from the first one ever; those below `#oldest` are gone.
  readonly #entries = new Map<number, Entry>();
  readonly #byName = new Map<string, number>();
  readonly #byField = new Map<string, Map<string, number>>();
  readonly #remembered = new Map<string, string>();
  #oldest = 0;
  #next = 0;
  #tableBytes = 0;
  #tableLimit: number = MAX_TABLE_BYTES;
  // The smallest limit and whether there is one to tell, before the next block.
  #smallest: number = MAX_TABLE_BYTES;
  #hasResized = false;

  /** The peer's SETTINGS_HEADER_TABLE_SIZE. */
  limitTable(bytes: number): void {
    const limit = Math.min(bytes, MAX_TABLE_BYTES);
    if (limit === this.#tableLimit && !this.#hasResized) return;
    this.#tableLimit = limit;
    this.#smallest = this.#hasResized ? Math.min(this.#smallest, limit) : limit;
    this.#hasResized = true;
    this.#evict(limit);
  }

  /** Bytes that `encode` takes at most. */
  bound(fields: readonly string[]): number {
    let bytes = RESIZE_BYTES + (fields.length / 2) * FIELD_OVERHEAD;
    for (let at = 0; at < fields.length; at++) bytes += (fields[at] as string).length;
    return bytes;
  }

  /**
   * Writes `fields` (name, value, name, value …) as one block at `at` of `out`, which has room for
   * `bound(fields)`; returns where the block ends.
   */
  encode(fields: readonly string[], out: Buffer, at: number): number {
    let end = this.#hasResized ? this.#writeResize(out, at) : at;
    for (let i = 0; i < fields.length; i += 2) {
      end = this.#encodeField(fields[i] as string, fields[i + 1] as string, out, end);
    }
    return end;
  }

  #encodeField(name: string, value: string, out: Buffer, at: number): number {
    const index = STATIC_FIELD_INDEX.get(name)?.get(value) ?? this.#dynamicIndex(name, value);
    if (index !== undefined) return writeInteger(out, at, 0x80, 7, index);
    const nameIndex = STATIC_NAME_INDEX.get(name) ?? this.#dynamicName(name);
    // A value that would push out half the table is not worth its place.
    if (name.length + value.length > this.#tableLimit / 2) {
      return this.#writeLiteral(out, at, 0x00, nameIndex, name, value);
    }
    if (NEVER_INDEXED.has(name)) return this.#writeLiteral(out, at, 0x10, nameIndex, name, value);
    if (nameIndex !== undefined && !this.#isRepeated(name, value)) {
      return this.#writeLiteral(out, at, 0x00, nameIndex, name, value);
    }
    const end = this.#writeLiteral(out, at, 0x40, nameIndex, name, value);
    this.#insert(name, value);
    return end;
  }

  #isRepeated(name: string, value: string): boolean {
    if (this.#remembered.get(name) === value) return true;
    if (this.#remembered.size >= MAX_REMEMBERED) this.#remembered.clear();
    this.#remembered.set(name, value);
    return false;
  }

  #dynamicIndex(name: string, value: string): number | undefined {
    const number = this.#byField.get(name)?.get(value);
    return number === undefined ? undefined : STATIC_COUNT + this.#next - number;
  }

  #dynamicName(name: string): number | undefined {
    const number = this.#byName.get(name);
    return number === undefined ? undefined : STATIC_COUNT + this.#next - number;
  }

  // Kinds of RFC 7541 section 6.2: 0x40 enters the table, 0x00 does not, 0x10 must never.
  #writeLiteral(
    out: Buffer,
    at: number,
    kind: 0x00 | 0x10 | 0x40,
    nameIndex: number | undefined,
    name: string,
    value: string,
  ): number {
    const isKept = kind === 0x40;
    let end = writeInteger(out, at, kind, isKept ? 6 : 4, nameIndex ?? 0);
    if (nameIndex === undefined) end = writeString(out, end, name, isKept);
    // What enters the table is sent this once: worth its coding. What does not is copied.
    return writeString(out, end, value, isKept);
  }

  #insert(name: string, value: string): void {
    const size = name.length + value.length + ENTRY_BYTES;
    this.#evict(this.#tableLimit - size);
    if (size > this.#tableLimit) return;
    const number = this.#next++;
    this.#entries.set(number, { name, value, size });
    this.#tableBytes += size;
    this.#byName.set(name, number);
    const values = this.#byField.get(name);
    if (values === undefined) this.#byField.set(name, new Map([[value, number]]));
    else values.set(value, number);
  }

  #evict(limit: number): void {
    while (this.#tableBytes > limit && this.#oldest < this.#next) {
      const number = this.#oldest++;
      const entry = this.#entries.get(number);
      if (entry === undefined) continue;
      this.#entries.delete(number);
      this.#tableBytes -= entry.size;
      if (this.#byName.get(entry.name) === number) this.#byName.delete(entry.name);
      const values = this.#byField.get(entry.name);
      if (values?.get(entry.value) === number) values.delete(entry.value);
      if (values?.size === 0) this.#byField.delete(entry.name);
    }
  }

  // RFC 7541 section 4.2: the smallest size in between, then the last one.
  #writeResize(out: Buffer, at: number): number {
    this.#hasResized = false;
    const end =
      this.#smallest < this.#tableLimit ? writeInteger(out, at, 0x20, 5, this.#smallest) : at;
    return writeInteger(out, end, 0x20, 5, this.#tableLimit);
  }
}

function writeString(out: Buffer, at: number, text: string, mayCode: boolean): number {
  const coded = mayCode ? huffmanLength(text) : text.length;
  if (coded < text.length) {
    const start = writeInteger(out, at, 0x80, 7, coded);
    return encodeHuffman(text, out, start);
  }
  const start = writeInteger(out, at, 0x00, 7, text.length);
  return start + out.write(text, start, 'latin1');
}

// RFC 7541 section 5.1.
function writeInteger(
  out: Buffer,
  at: number,
  flags: number,
  prefixBits: number,
  value: number,
): number {
  const mask = (1 << prefixBits) - 1;
  if (value < mask) {
    out[at] = flags | value;
    return at + 1;
  }
  out[at] = flags | mask;
  let rest = value - mask;
  let end = at + 1;
  while (rest >= 0x80) {
    out[end++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  out[end++] = rest;
  return end;
}
