import { NumberList } from './number-list.ts';
import type { PrefixHashes } from './prefix-table.ts';
import { isSegmentCode, type PathTemplate } from './template.ts';

/**
 * Numbers under path templates, found by walking a path once, segment by segment: from each place reached, on to the
 * place of the segment itself and to that of `{*}`. Literal segments of all places lie in one flat table, so that
 * neither the number of templates nor their likeness counts.
 */
export class TemplateIndex {
  /** By place: where `{*}` leads to, and the number of the template that ends there, plus one; 0 is none. */
  readonly #stars: number[] = [0];
  readonly #ends: number[] = [0];
  readonly #tails: (readonly Tail[] | undefined)[] = [undefined];
  readonly #segments: string[] = [''];
  /** Four numbers a slot: the segment's hash, its place in `#segments`, from where, and where to; 0 there is free. */
  #slots = new Int32Array(8 * SLOT);
  #edges = 0;
  /** The segment under way, one object for all. */
  readonly #segment: Segment = { codes: new Uint16Array(0), from: 0, end: 0, hash: 0 };
  #here = new NumberList();
  #next = new NumberList();

  /** The number under a template, made by `create` where there is none. */
  at(template: PathTemplate, create: () => number): number {
    let place = 0;
    for (const segment of template.head) {
      place = segment === undefined ? this.#starOf(place) : this.#literalOf(place, segment);
    }
    const { tail } = template;
    if (tail === undefined) {
      const known = this.#ends[place] ?? 0;
      if (known > 0) return known - 1;
      const number = create();
      this.#ends[place] = number + 1;
      return number;
    }
    const tails = this.#tails[place] ?? [];
    const known = tails.find(({ text }) => text === tail);
    if (known !== undefined) return known.number;
    const number = create();
    this.#tails[place] = [...tails, { text: tail, number }];
    return number;
  }

  /** Appends the numbers of all templates that match all of `path`; `hashes` are begun for it. */
  collect(path: string, hashes: PrefixHashes, out: NumberList): void {
    const { length } = path;
    hashes.upTo(length);
    const { codes } = hashes;
    this.#here.count = 0;
    this.#here.push(0);
    for (let at = 0; this.#here.count > 0; ) {
      const isEnd = at === length;
      for (let i = 0; i < this.#here.count; i++) {
        const place = this.#here.at(i);
        const end = this.#ends[place] ?? 0;
        if (isEnd && end > 0) out.push(end - 1);
        const tails = isEnd ? undefined : this.#tails[place];
        if (tails !== undefined) collectTails(tails, { path, codes, at }, out);
      }
      if (isEnd || codes[at] !== SLASH) return;
      at = this.#step(codes, at + 1, length);
    }
  }

  /** Goes on from all places by the segment that begins at `from`; where it ends. */
  #step(codes: Uint16Array, from: number, length: number): number {
    let end = from;
    let hash = 0;
    let isPlain = true;
    for (; end < length && codes[end] !== SLASH; end++) {
      const code = codes[end] ?? 0;
      hash = hashStep(hash, code);
      if (!isSegmentCode(code)) isPlain = false;
    }
    const segment = this.#segment;
    segment.codes = codes;
    segment.from = from;
    segment.end = end;
    segment.hash = hash;
    const here = this.#here;
    const next = this.#next;
    next.count = 0;
    for (let i = 0; i < here.count; i++) {
      const place = here.at(i);
      const literal = this.#slots[this.#find(place, segment) + TO] ?? 0;
      if (literal > 0) next.push(literal);
      const star = this.#stars[place] ?? 0;
      if (star > 0 && isPlain && end > from) next.push(star);
    }
    this.#here = next;
    this.#next = here;
    return end;
  }

  #starOf(place: number): number {
    const known = this.#stars[place] ?? 0;
    if (known > 0) return known;
    const made = this.#newPlace();
    this.#stars[place] = made;
    return made;
  }

  #literalOf(place: number, text: string): number {
    const codes = Uint16Array.from({ length: text.length }, (_, i) => text.charCodeAt(i));
    const segment = { codes, from: 0, end: text.length, hash: codes.reduce(hashStep, 0) };
    const slot = this.#find(place, segment);
    const known = this.#slots[slot + TO] ?? 0;
    if (known > 0) return known;
    // INVARIANT: at most half of the slots is taken, so that a search ends soon, and ends at all.
    if ((this.#edges + 1) * SLOT * 2 > this.#slots.length) {
      this.#grow();
      return this.#literalOf(place, text);
    }
    this.#edges++;
    const made = this.#newPlace();
    this.#slots[slot] = segment.hash;
    this.#slots[slot + TEXT] = this.#segments.push(text) - 1;
    this.#slots[slot + FROM] = place;
    this.#slots[slot + TO] = made;
    return made;
  }

  #newPlace(): number {
    this.#stars.push(0);
    this.#tails.push(undefined);
    return this.#ends.push(0) - 1;
  }

  /** The slot of the edge that a segment makes from a place, or a free one. */
  #find(place: number, segment: Segment): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    for (let slot = slotOf(place, segment.hash) & mask; ; slot = (slot + SLOT) & mask) {
      if (slots[slot + TO] === 0) return slot;
      if (slots[slot] !== segment.hash || slots[slot + FROM] !== place) continue;
      if (isText(this.#segments[slots[slot + TEXT] ?? 0] ?? '', segment)) return slot;
    }
  }

  #grow(): void {
    const old = this.#slots;
    this.#slots = new Int32Array(old.length * 2);
    const mask = this.#slots.length - 1;
    for (let from = 0; from < old.length; from += SLOT) {
      if (old[from + TO] === 0) continue;
      let slot = slotOf(old[from + FROM] ?? 0, old[from] ?? 0) & mask;
      while (this.#slots[slot + TO] !== 0) slot = (slot + SLOT) & mask;
      this.#slots.set(old.subarray(from, from + SLOT), slot);
    }
  }
}

/** What `{**}` is followed by, and the template's number. */
type Tail = { readonly text: string; readonly number: number };

/** The characters of `codes` from `from` up to `end`. */
type Segment = { codes: Uint16Array; from: number; end: number; hash: number };

const SLOT = 4;
const TEXT = 1;
const FROM = 2;
const TO = 3;
const SLASH = 47;

function collectTails(
  tails: readonly Tail[],
  path: { readonly path: string; readonly codes: Uint16Array; readonly at: number },
  out: NumberList,
): void {
  const { at, codes } = path;
  // Up to here the rest is what `{**}` may stand for; looked at once for all.
  let plain = at + 1;
  while (plain < path.path.length && isRestCode(codes[plain] ?? 0)) plain++;
  for (let i = 0; i < tails.length; i++) {
    const tail = tails[i];
    if (tail === undefined) continue;
    const end = path.path.length - tail.text.length;
    if (end >= at + 1 && plain >= end && path.path.endsWith(tail.text)) out.push(tail.number);
  }
}

function isRestCode(code: number): boolean {
  return code === SLASH || isSegmentCode(code);
}

function isText(text: string, { codes, from, end }: Segment): boolean {
  if (text.length !== end - from) return false;
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) !== codes[from + i]) return false;
  return true;
}

/** FNV-1a's step. */
function hashStep(hash: number, code: number): number {
  return Math.imul(hash ^ code, 0x01000193) | 0;
}

function slotOf(place: number, hash: number): number {
  const mixed = Math.imul(hash ^ (hash >>> 15) ^ Math.imul(place, 0x85ebca6b), 0x9e3779b1);
  return (mixed >>> 8) * SLOT;
}
