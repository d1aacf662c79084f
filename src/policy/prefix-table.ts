import type { NumberList } from './number-list.ts';

/**
 * Rolling hashes of the beginnings of one text: entry `n` is the hash of its first `n` characters.
 * Computed as far as asked for, once a text, into memory that is reused for the next.
 */
export class PrefixHashes {
  #text = '';
  #known = 0;
  #hashes = new Int32Array(256);

  /** Begins with another text. */
  reset(text: string): void {
    this.#text = text;
    this.#known = 0;
  }

  /** The hashes up to `length`, which is at most the text's; valid until the next reset. */
  upTo(length: number): Int32Array {
    if (length > this.#known) this.#extend(length);
    return this.#hashes;
  }

  #extend(length: number): void {
    if (length >= this.#hashes.length) {
      const larger = new Int32Array(length * 2);
      larger.set(this.#hashes);
      this.#hashes = larger;
    }
    const hashes = this.#hashes;
    let hash = hashes[this.#known] ?? 0;
    for (let i = this.#known; i < length; i++) {
      hash = nextHash(hash, this.#text.charCodeAt(i));
      hashes[i + 1] = hash;
    }
    this.#known = length;
  }
}

/**
 * Numbers under texts that shall be found as the beginning of another text, or as all of it. One
 * probe of a flat table for each length that some entry has, so neither the number of entries nor
 * their likeness counts.
 * SECURITY: only policies add entries, so nobody can make a table slow by choosing texts that collide.
 */
export class PrefixTable {
  readonly #texts: string[] = [];
  /** Four numbers a slot: hash, place in `#texts` plus one, and the two values plus one; 0 is none. */
  #slots = new Int32Array(8 * SLOT);
  #lengths: number[] = [];
  #longestExact = -1;

  /** The number under the prefix `key`, made by `create` where there is none. */
  prefixAt(key: string, create: () => number): number {
    if (!this.#lengths.includes(key.length)) {
      this.#lengths = [...this.#lengths, key.length].sort((a, b) => a - b);
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
    for (let i = 0; i < lengths.length; i++) {
      const length = lengths[i] ?? 0;
      if (length > text.length) break;
      this.#push(this.#find(text, length, hashes.upTo(length)[length] ?? 0) + PREFIX, out);
    }
    const { length } = text;
    if (length > this.#longestExact) return;
    this.#push(this.#find(text, length, hashes.upTo(length)[length] ?? 0) + EXACT, out);
  }

  #push(place: number, out: NumberList): void {
    const value = this.#slots[place] ?? 0;
    if (value > 0) out.push(value - 1);
  }

  #valueAt(place: number, create: () => number): number {
    const known = this.#slots[place] ?? 0;
    if (known > 0) return known - 1;
    const value = create();
    this.#slots[place] = value + 1;
    return value;
  }

  /** The slot of the entry that is the first `length` characters of `text`, or a free one. */
  #find(text: string, length: number, hash: number): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    for (let slot = (spread(hash) * SLOT) & mask; ; slot = (slot + SLOT) & mask) {
      const entry = slots[slot + 1] ?? 0;
      if (entry === 0) return slot;
      if (slots[slot] !== hash) continue;
      const candidate = this.#texts[entry - 1] ?? '';
      if (candidate.length === length && text.startsWith(candidate)) return slot;
    }
  }

  #slotOf(key: string): number {
    const hash = hashOf(key);
    const slot = this.#find(key, key.length, hash);
    if (this.#slots[slot + 1] !== 0) return slot;
    // INVARIANT: at most half of the slots is taken, so that a search ends soon, and ends at all.
    if ((this.#texts.length + 1) * SLOT * 2 > this.#slots.length) {
      this.#grow();
      return this.#slotOf(key);
    }
    this.#slots[slot] = hash;
    this.#slots[slot + 1] = this.#texts.push(key);
    return slot;
  }

  #grow(): void {
    const old = this.#slots;
    this.#slots = new Int32Array(old.length * 2);
    for (let from = 0; from < old.length; from += SLOT) {
      const entry = old[from + 1] ?? 0;
      if (entry === 0) continue;
      const text = this.#texts[entry - 1] ?? '';
      this.#slots.set(
        old.subarray(from, from + SLOT),
        this.#find(text, text.length, old[from] ?? 0),
      );
    }
  }
}

const SLOT = 4;
const PREFIX = 2;
const EXACT = 3;

function hashOf(text: string): number {
  let hash = 0;
  for (let i = 0; i < text.length; i++) hash = nextHash(hash, text.charCodeAt(i));
  return hash;
}

// FNV-1a's step, a character at a time; `spread` mixes its weak low bits before they choose a slot.
function nextHash(hash: number, code: number): number {
  return Math.imul(hash ^ code, 0x01000193) | 0;
}

function spread(hash: number): number {
  return Math.imul(hash ^ (hash >>> 15), 0x9e3779b1) >>> 8;
}
