import type { Matcher } from './matcher.ts';

/** No rule matched. */
export const NO_MATCH = 0x3fffffff;

/**
 * A decision tree or a part of one within a `TreeCode`. `least` is the lowest ordinal in it, so that
 * a search skips what cannot better its find. `form` and `place` say what it is and where.
 */
export type Node = { readonly least: number; readonly form: number; readonly place: number };

/** By policy, 1 for those that are gone; and the policy of each ordinal. */
export type Gone = { readonly is: Uint8Array; readonly policyOf: Int32Array };

/** Written trees, searched after `matcher.match`. */
export class TreeCode {
  readonly #matcher: Matcher;
  readonly #slots: Int32Array;
  readonly #checks: Int32Array;
  readonly #conditions: Int32Array;
  #gone: Gone | undefined;

  constructor(matcher: Matcher, written: Written) {
    this.#matcher = matcher;
    this.#slots = written.slots;
    this.#checks = written.checks;
    this.#conditions = written.conditions;
  }

  /** The lowest ordinal in a tree whose clause holds, or `NO_MATCH`; those of policies that are gone do not count. */
  search({ least, form, place }: Node, gone?: Gone): number {
    if (least === NO_MATCH) return NO_MATCH;
    this.#gone = gone;
    return this.#search(form, place, least, NO_MATCH);
  }

  /** The lowest ordinal below `best` in a node that may hold one, or `best`. */
  #search(form: number, place: number, least: number, best: number): number {
    if (form === LEAF) return this.#isAlive(least) && this.#checksHold(place) ? least : best;
    if (form === CHAIN) return this.#searchChain(place, best);
    const slots = this.#slots;
    const bits = form & BITS;
    const mask = (1 << bits) - 1;
    const matched = this.#matcher.matched(form >> FIELD_SHIFT);
    let found = best;
    for (let i = 0; i < matched.count; i++) {
      const pattern = matched.at(i);
      let index = slotOf(pattern, bits);
      for (let slot = place + index * SLOT; ; slot = place + index * SLOT) {
        const key = at(slots, slot);
        if (key === 0) break;
        if (key === pattern + 1) {
          found = this.#searchAt(slot + 1, found);
          break;
        }
        index = (index + 1) & mask;
      }
    }
    return (form & HAS_REST) === 0 ? found : this.#searchAt(place - NODE, found);
  }

  /** Searches the node whose three numbers are at `slot`, unless it cannot better `best`. */
  #searchAt(slot: number, best: number): number {
    const slots = this.#slots;
    const least = at(slots, slot);
    return least >= best
      ? best
      : this.#search(at(slots, slot + 1), at(slots, slot + 2), least, best);
  }

  #searchChain(place: number, best: number): number {
    const slots = this.#slots;
    const end = place + 1 + at(slots, place);
    for (let i = place + 1; i < end; i += 2) {
      const ordinal = at(slots, i);
      if (ordinal >= best) return best;
      if (this.#isAlive(ordinal) && this.#checksHold(at(slots, i + 1))) return ordinal;
    }
    return best;
  }

  #isAlive(ordinal: number): boolean {
    const gone = this.#gone;
    return gone === undefined || gone.is[gone.policyOf[ordinal] ?? 0] !== 1;
  }

  #checksHold(place: number): boolean {
    const checks = this.#checks;
    const end = place + 1 + at(checks, place);
    for (let i = place + 1; i < end; i++) if (!this.#holds(at(checks, i))) return false;
    const alternatives = at(checks, end);
    if (alternatives === 0) return true;
    for (let i = end + 1; i <= end + alternatives; i++) {
      if (this.#checksHold(at(checks, i))) return true;
    }
    return false;
  }

  #holds(condition: number): boolean {
    if (condition >= 0) return this.#matcher.isMatched(condition);
    const place = ~condition;
    const kind = at(this.#conditions, place);
    if (kind === FEW_POSITIVE || kind === FEW_NEGATED) {
      return this.#anyOfFew(place + 1) === (kind === FEW_POSITIVE);
    }
    return this.#anyOfMany(place + 1) === (kind === MANY_POSITIVE);
  }

  #anyOfFew(place: number): boolean {
    const conditions = this.#conditions;
    const end = place + 1 + at(conditions, place);
    for (let i = place + 1; i < end; i++) {
      if (this.#matcher.isMatched(at(conditions, i))) return true;
    }
    return false;
  }

  /** The few patterns that match are looked up among the many asked for. */
  #anyOfMany(place: number): boolean {
    const conditions = this.#conditions;
    const matched = this.#matcher.matched(at(conditions, place));
    const bits = at(conditions, place + 1);
    const mask = (1 << bits) - 1;
    for (let i = 0; i < matched.count; i++) {
      const wanted = matched.at(i) + 1;
      for (let index = slotOf(wanted - 1, bits); ; index = (index + 1) & mask) {
        const key = at(conditions, place + 2 + index);
        if (key === wanted) return true;
        if (key === 0) break;
      }
    }
    return false;
  }
}

/** The numbers of all trees of a program, as `CodeWriter` lays them out. */
export type Written = {
  readonly slots: Int32Array;
  readonly checks: Int32Array;
  readonly conditions: Int32Array;
};

// The layout, shared with the writer. Forms of a node. An inner node's is its field number, whether it has a rest, and its table's bits.
export const LEAF = -1;
export const CHAIN = -2;
const BITS = 0xff;
export const HAS_REST = 0x100;
export const FIELD_SHIFT = 9;

// Numbers of a node, and of a slot: the pattern's number plus one, 0 where free, before the node.
const NODE = 3;
export const SLOT = 4;

export const FEW_POSITIVE = 0;
export const FEW_NEGATED = 1;
export const MANY_POSITIVE = 2;
export const MANY_NEGATED = 3;

/** Knuth's multiplicative hash: consecutive numbers, which is what patterns have, spread evenly. */
export function slotOf(pattern: number, bits: number): number {
  return Math.imul(pattern, 0x9e3779b1) >>> (32 - bits);
}

/** A number of the code. INVARIANT: the writer's places are within bounds, so the fallback never counts. */
function at(code: Int32Array, place: number): number {
  return code[place] ?? NO_MATCH;
}
