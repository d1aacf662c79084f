import type { NumberList } from './number-list.ts';

/**
 * Rolling hashes of the beginnings of one text: `hashes[n]` is the hash of its first `n` characters, and `codes` are
 * the characters. Computed as far as asked for, once a text, into memory that is reused for the next.
 */
export class PrefixHashes {
  #text = '';
  #known = 0;
  hashes = new Int32Array(257);
  codes = new Uint16Array(256);

  /** Begins with another text. */
  reset(text: string): void {
    this.#text = text;
    this.#known = 0;
  }

  /** Makes `hashes` and `codes` hold up to `length`, which is at most the text's; valid until the next reset. */
  upTo(length: number): void {
    if (length > this.#known) this.#extend(length);
  }

  #extend(length: number): void {
    if (length >= this.hashes.length) this.#grow(length);
    const { hashes, codes } = this;
    const text = this.#text;
    let hash = hashes[this.#known] ?? 0;
    for (let i = this.#known; i < length; i++) {
      const code = text.charCodeAt(i);
      codes[i] = code;
      // FNV-1a's step, a character at a time; `spread` mixes its weak low bits before they choose a slot.
      hash = Math.imul(hash ^ code, 0x01000193) | 0;
      hashes[i + 1] = hash;
    }
    this.#known = length;
  }

  #grow(length: number): void {
    const hashes = new Int32Array(length * 2 + 1);
    const codes = new Uint16Array(length * 2);
    hashes.set(this.hashes);
    codes.set(this.codes);
    this.hashes = hashes;
    this.codes = codes;
  }
}

/**
 * Numbers under texts that shall be found as the beginning of another text, or as all of it. One
 * probe of a flat table for each length that some entry has, so neither the number of entries nor
 * their likeness counts; a filter of a few bits an entry spares most probes that would find nothing.
 * SECURITY: only policies add entries, so nobody can make a table slow by choosing texts that collide.
 */
export class PrefixTable {
  /** The texts one after another: each its length, then its characters. */
  #pool = new Uint16Array(64);
  #pooled = 1;
  #count = 0;
  /** Four numbers a slot: hash, place in `#pool`, and the two values plus one; 0 is none. */
  #slots = new Int32Array(LEAST_SLOTS * SLOT);
  #filter = new Int32Array(1);
  #lengths = new Int32Array(0);
  #longestExact = -1;

  /** The number under the prefix `key`, made by `create` where there is none. */
  prefixAt(key: string, create: () => number): number {
    if (!this.#lengths.includes(key.length)) {
      this.#lengths = Int32Array.from([...this.#lengths, key.length]).sort();
    }
    return this.#valueAt(this.#slotOf(key) + PREFIX, create);
  }

  /** The number under the whole text `key`. */
  exactAt(key: string, create: () => number): number {
    this.#longestExact = Math.max(this.#longestExact, key.length);
    return this.#valueAt(this.#slotOf(key) + EXACT, create);
  }

  /** Appends the numbers of all prefixes of `text`, and of `text` itself. */
  collect(text: string, hashes: PrefixHashes, out: NumberList): void {
    const lengths = this.#lengths;
    const { length } = text;
    for (let i = 0; i < lengths.length; i++) {
      const prefix = lengths[i] ?? 0;
      if (prefix > length) break;
      this.#collectAt(hashes, prefix, PREFIX, out);
    }
    if (length <= this.#longestExact) this.#collectAt(hashes, length, EXACT, out);
  }

  #collectAt(hashes: PrefixHashes, length: number, kind: number, out: NumberList): void {
    hashes.upTo(length);
    const hash = hashes.hashes[length] ?? 0;
    if (!this.#mayHave(hash)) return;
    const value = this.#slots[this.#find(hashes.codes, length, hash) + kind] ?? 0;
    if (value > 0) out.push(value - 1);
  }

  #mayHave(hash: number): boolean {
    const filter = this.#filter;
    const bit = spread(hash);
    return (((filter[(bit >>> 5) & (filter.length - 1)] ?? 0) >>> (bit & 31)) & 1) === 1;
  }

  #valueAt(place: number, create: () => number): number {
    const known = this.#slots[place] ?? 0;
    if (known > 0) return known - 1;
    const value = create();
    this.#slots[place] = value + 1;
    return value;
  }

  /** The slot of the entry that is the first `length` of `codes`, or a free one. */
  #find(codes: Uint16Array, length: number, hash: number): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    for (let slot = (spread(hash) * SLOT) & mask; ; slot = (slot + SLOT) & mask) {
      const place = slots[slot + 1] ?? 0;
      if (place === 0) return slot;
      if (slots[slot] === hash && this.#isAt(place, codes, length)) return slot;
    }
  }

  /** Whether the text at a place of the pool is the first `length` of `codes`. */
  #isAt(place: number, codes: Uint16Array, length: number): boolean {
    const pool = this.#pool;
    if (pool[place] !== (length & 0xffff) || pool[place + 1] !== length >>> 16) return false;
    const start = place + HEAD;
    for (let i = 0; i < length; i++) if (pool[start + i] !== codes[i]) return false;
    return true;
  }

  #slotOf(key: string): number {
    SCRATCH.reset(key);
    SCRATCH.upTo(key.length);
    const hash = SCRATCH.hashes[key.length] ?? 0;
    const slot = this.#find(SCRATCH.codes, key.length, hash);
    if (this.#slots[slot + 1] !== 0) return slot;
    // INVARIANT: at most half of the slots is taken, so that a search ends soon, and ends at all.
    if ((this.#count + 1) * SLOT * 2 > this.#slots.length) {
      this.#grow();
      return this.#slotOf(key);
    }
    this.#count++;
    this.#slots[slot] = hash;
    this.#slots[slot + 1] = this.#append(SCRATCH.codes, key.length);
    this.#note(hash);
    return slot;
  }

  #append(codes: Uint16Array, length: number): number {
    const place = this.#pooled;
    const end = place + HEAD + length;
    if (end > this.#pool.length) {
      const larger = new Uint16Array(Math.max(end, Math.ceil(this.#pool.length * 1.5)));
      larger.set(this.#pool);
      this.#pool = larger;
    }
    this.#pool[place] = length;
    this.#pool[place + 1] = length >>> 16;
    this.#pool.set(codes.subarray(0, length), place + HEAD);
    this.#pooled = end;
    return place;
  }

  #note(hash: number): void {
    const filter = this.#filter;
    const bit = spread(hash);
    const word = (bit >>> 5) & (filter.length - 1);
    filter[word] = (filter[word] ?? 0) | (1 << (bit & 31));
  }

  #grow(): void {
    const old = this.#slots;
    this.#slots = new Int32Array(old.length * 2);
    this.#filter = new Int32Array(this.#slots.length / SLOT / SLOTS_A_WORD);
    const mask = this.#slots.length - 1;
    for (let from = 0; from < old.length; from += SLOT) {
      if (old[from + 1] === 0) continue;
      const hash = old[from] ?? 0;
      let slot = (spread(hash) * SLOT) & mask;
      while (this.#slots[slot + 1] !== 0) slot = (slot + SLOT) & mask;
      this.#slots.set(old.subarray(from, from + SLOT), slot);
      this.#note(hash);
    }
  }
}

const SLOT = 4;
const PREFIX = 2;
const EXACT = 3;
/** A text's length, in two halves, before its characters. */
const HEAD = 2;
// Eight bits an entry at least, since at most half of the slots is taken: one look in eight is for nothing.
const SLOTS_A_WORD = 8;
const LEAST_SLOTS = SLOTS_A_WORD;

// Hashes of keys while tables are made; making is synchronous, so one will do.
const SCRATCH = new PrefixHashes();

function spread(hash: number): number {
  return Math.imul(hash ^ (hash >>> 15), 0x9e3779b1) >>> 8;
}
