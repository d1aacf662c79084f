import { kindOfName, kindWithValue } from './field-kinds.ts';
import { STATIC_COUNT, STATIC_NAMES, STATIC_VALUES } from './hpack-static.ts';
import { decodeHuffman } from './huffman.ts';

/** What a decoder holds against its peer. */
export type HpackBounds = {
  /** The SETTINGS_HEADER_TABLE_SIZE that the peer was told. */
  readonly tableBytes: number;
  /** Names and values with 32 each. */
  readonly maxFieldBytes: number;
  readonly maxFields: number;
};

const STATIC_KINDS: readonly number[] = STATIC_NAMES.map(kindOfName);
/** What an entry costs besides its bytes (RFC 7541 section 4.1). */
const ENTRY_BYTES = 32;
// Far more than any block we take has, and still a safe integer.
const MAX_INTEGER = 0x0fff_ffff;

/**
 * Decodes the header blocks of one connection, in order (RFC 7541). The fields of the last block are
 * `names`, `values` and `kinds` up to `count`.
 * SECURITY: its work is bounded by the bytes that came, whatever their tables would expand to.
 */
export class HpackDecoder {
  readonly names: string[] = [];
  readonly values: string[] = [];
  /** A `FIELD_KIND` each. */
  readonly kinds: number[] = [];
  count = 0;
  readonly #bounds: HpackBounds;
  // A ring: the newest entry is at `#newest`, older ones behind it. It grows as entries come: many connections have few.
  readonly #mask: number;
  readonly #tableNames: string[] = [];
  readonly #tableValues: string[] = [];
  readonly #tableKinds: number[] = [];
  #newest = -1;
  #entries = 0;
  #tableBytes = 0;
  #tableLimit: number;
  #fieldBytes = 0;
  #isTooLarge = false;
  // Where the block in hand is read; -1 after an error.
  #bytes: Buffer = EMPTY;
  #at = 0;
  #end = 0;

  constructor(bounds: HpackBounds) {
    this.#bounds = bounds;
    this.#tableLimit = bounds.tableBytes;
    const most = Math.max(2, 2 ** Math.ceil(Math.log2(bounds.tableBytes / ENTRY_BYTES + 1)));
    this.#mask = most - 1;
  }

  /**
   * Decodes the block `bytes[start, end)`. `too_large`: it was read, so that the next one can be, but
   * its fields were dropped. `broken`: nothing more can be decoded on the connection.
   */
  decode(bytes: Buffer, start: number, end: number): 'fields' | 'too_large' | 'broken' {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
    this.count = 0;
    this.#fieldBytes = 0;
    this.#isTooLarge = false;
    let mayResize = true;
    while (this.#at < end) {
      const first = bytes[this.#at] as number;
      const isResize = (first & 0xe0) === 0x20;
      // RFC 7541 section 4.2: the size changes at the beginning of a block, and nowhere else.
      if (isResize && !mayResize) return 'broken';
      mayResize = isResize;
      const isFine = isResize ? this.#resize() : this.#readField(first);
      if (!isFine) return 'broken';
    }
    this.#bytes = EMPTY;
    if (!this.#isTooLarge) return 'fields';
    this.count = 0;
    return 'too_large';
  }

  #readField(first: number): boolean {
    if ((first & 0x80) !== 0) return this.#readIndexed();
    const isKept = (first & 0x40) !== 0;
    const index = this.#integer(isKept ? 6 : 4);
    if (index < 0) return false;
    const named = index === 0 ? 0 : this.#slot(index);
    if (named === NO_SLOT) return false;
    const name = index === 0 ? this.#string() : this.#nameAt(named);
    const value = name === undefined ? undefined : this.#string();
    if (name === undefined || value === undefined) return false;
    const kind = index === 0 ? kindOfName(name) : this.#nameKindAt(named, name);
    const judged = kindWithValue(kind, value);
    if (isKept) this.#insert(name, value, judged);
    this.#push(name, value, judged);
    return true;
  }

  #readIndexed(): boolean {
    const index = this.#integer(7);
    const slot = index <= 0 ? NO_SLOT : this.#slot(index);
    if (slot === NO_SLOT) return false;
    if (slot < 0) {
      this.#push(
        STATIC_NAMES[-slot] as string,
        STATIC_VALUES[-slot] as string,
        STATIC_KINDS[-slot] as number,
      );
    } else {
      this.#push(
        this.#tableNames[slot] as string,
        this.#tableValues[slot] as string,
        this.#tableKinds[slot] as number,
      );
    }
    return true;
  }

  // A dynamic entry's place in the ring, or a static one's index negated.
  #slot(index: number): number {
    if (index <= STATIC_COUNT) return -index;
    const age = index - STATIC_COUNT - 1;
    return age < this.#entries ? (this.#newest - age) & this.#mask : NO_SLOT;
  }

  #nameAt(slot: number): string {
    return (slot < 0 ? STATIC_NAMES[-slot] : this.#tableNames[slot]) as string;
  }

  // An entry's kind may be that of its bad value, which says nothing of its name.
  #nameKindAt(slot: number, name: string): number {
    return slot < 0 ? (STATIC_KINDS[-slot] as number) : kindOfName(name);
  }

  #push(name: string, value: string, kind: number): void {
    this.#fieldBytes += name.length + value.length + ENTRY_BYTES;
    const { maxFieldBytes, maxFields } = this.#bounds;
    if (this.#fieldBytes > maxFieldBytes || this.count === maxFields) this.#isTooLarge = true;
    if (this.#isTooLarge) return;
    const at = this.count++;
    this.names[at] = name;
    this.values[at] = value;
    this.kinds[at] = kind;
  }

  #insert(name: string, value: string, kind: number): void {
    const size = name.length + value.length + ENTRY_BYTES;
    this.#evict(this.#tableLimit - size);
    // RFC 7541 section 4.4: an entry larger than the table empties it and is no error.
    if (size > this.#tableLimit) return;
    this.#newest = (this.#newest + 1) & this.#mask;
    this.#tableNames[this.#newest] = name;
    this.#tableValues[this.#newest] = value;
    this.#tableKinds[this.#newest] = kind;
    this.#entries++;
    this.#tableBytes += size;
  }

  #evict(limit: number): void {
    while (this.#entries > 0 && this.#tableBytes > limit) {
      const oldest = (this.#newest - this.#entries + 1) & this.#mask;
      const name = this.#tableNames[oldest] as string;
      const value = this.#tableValues[oldest] as string;
      this.#tableBytes -= name.length + value.length + ENTRY_BYTES;
      this.#tableNames[oldest] = '';
      this.#tableValues[oldest] = '';
      this.#entries--;
    }
  }

  #resize(): boolean {
    const limit = this.#integer(5);
    if (limit < 0 || limit > this.#bounds.tableBytes) return false;
    this.#tableLimit = limit;
    this.#evict(limit);
    return true;
  }

  // RFC 7541 section 5.1; -1 if it does not end in the block or is out of all bounds.
  #integer(prefixBits: number): number {
    const mask = (1 << prefixBits) - 1;
    let value = (this.#bytes[this.#at++] as number) & mask;
    if (value < mask) return value;
    for (let shift = 0; shift <= 28; shift += 7) {
      if (this.#at >= this.#end) return -1;
      const byte = this.#bytes[this.#at++] as number;
      value += (byte & 0x7f) * 2 ** shift;
      if (value > MAX_INTEGER) return -1;
      if ((byte & 0x80) === 0) return value;
    }
    return -1;
  }

  #string(): string | undefined {
    if (this.#at >= this.#end) return undefined;
    const isHuffman = ((this.#bytes[this.#at] as number) & 0x80) !== 0;
    const length = this.#integer(7);
    const start = this.#at;
    if (length < 0 || length > this.#end - start) return undefined;
    this.#at = start + length;
    if (isHuffman) return decodeHuffman(this.#bytes, start, this.#at);
    return this.#bytes.toString('latin1', start, this.#at);
  }
}

const EMPTY: Buffer = Buffer.alloc(0);
const NO_SLOT = Number.MIN_SAFE_INTEGER;
