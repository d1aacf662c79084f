/**
 * A Bloom filter over terms: says of a term that it is not there, or that it may be. Five probes a term; its length says
 * how many bits it has, so that filters of both kinds are read alike.
 */
const PROBES = 5;
/** Mistaken about one time in a hundred. */
export const BITS_OF_A_WORD = 10;
/**
 * Mistaken about one time in two thousand: what is looked for in every block and is in one or two of them, as a trace is,
 * is not worth reading some blocks in vain, each of which costs as much as asking all filters.
 */
export const BITS_OF_AN_ID = 20;
const MIN_BYTES = 16;

/** The filter of distinct terms, with so many bits for each. */
export function encodeBloom(terms: ReadonlySet<string>, bitsPerTerm: number): Buffer {
  const bytes = Buffer.alloc(Math.max(MIN_BYTES, Math.ceil((terms.size * bitsPerTerm) / 8)));
  const bits = bytes.length * 8;
  for (const term of terms) {
    let { at, step } = hashOf(term);
    for (let probe = 0; probe < PROBES; probe++) {
      const bit = at % bits;
      bytes[bit >>> 3] = (bytes[bit >>> 3] ?? 0) | (1 << (bit & 7));
      at = (at + step) >>> 0;
      step = (step + probe) >>> 0;
    }
  }
  return bytes;
}

/** Whether the term may have been put in; a filter without bytes knows nothing. */
export function mayHold(filter: Uint8Array, term: string): boolean {
  const bits = filter.length * 8;
  if (bits === 0) return true;
  let { at, step } = hashOf(term);
  for (let probe = 0; probe < PROBES; probe++) {
    const bit = at % bits;
    if (((filter[bit >>> 3] ?? 0) & (1 << (bit & 7))) === 0) return false;
    at = (at + step) >>> 0;
    step = (step + probe) >>> 0;
  }
  return true;
}

/** Two hashes of a term, FNV-1a with two offsets: speed counts here, and a hostile term costs a needless look. */
function hashOf(term: string): { at: number; step: number } {
  let a = 0x811c9dc5;
  let b = 0x01000193;
  for (let i = 0; i < term.length; i++) {
    const unit = term.charCodeAt(i);
    a = Math.imul(a ^ unit, 0x01000193);
    b = Math.imul(b ^ unit, 0x85ebca6b);
  }
  a ^= a >>> 15;
  b ^= b >>> 13;
  return { at: a >>> 0, step: (b | 1) >>> 0 };
}
