import type { AlternativeIr, ConditionIr } from './ir.ts';
import type { Matcher } from './matcher.ts';
import type { Clause } from './tree.ts';
import {
  CHAIN,
  FEW_NEGATED,
  FEW_POSITIVE,
  FIELD_SHIFT,
  HAS_REST,
  LEAF,
  MANY_NEGATED,
  MANY_POSITIVE,
  NO_MATCH,
  type Node,
  SLOT,
  slotOf,
  TreeCode,
} from './tree-code.ts';

/** An inner node to write: `edges` lead from pattern numbers to nodes, `rest` to clauses without the field. */
export type InnerNode = {
  readonly field: number;
  readonly edges: ReadonlyMap<number, Node>;
  readonly rest: Node | undefined;
};

/**
 * Writes decision trees as flat numbers, so that a search touches few cache lines however large the
 * policy. A node lies in the slot that leads to it, as the three numbers of `Node`.
 */
export class CodeWriter {
  readonly #matcher: Matcher;
  readonly #slots: number[] = [];
  readonly #checks: number[] = [];
  readonly #conditions: number[] = [];
  readonly #known = new Map<string, number>();

  constructor(matcher: Matcher) {
    this.#matcher = matcher;
  }

  /** Writes the clauses of one leaf. */
  leaf(clauses: readonly Clause[]): Node {
    const [first, ...more] = clauses.toSorted((a, b) => a.ordinal - b.ordinal);
    if (first === undefined) return { least: NO_MATCH, form: CHAIN, place: this.#append([0]) };
    if (more.length === 0) {
      return { least: first.ordinal, form: LEAF, place: this.#checksOf(first) };
    }
    const chain = [first, ...more].flatMap((clause) => [clause.ordinal, this.#checksOf(clause)]);
    const place = this.#append([chain.length, ...chain]);
    return { least: first.ordinal, form: CHAIN, place };
  }

  /** Writes an inner node: where there is a rest, its three numbers, then a table of edges. */
  inner({ field, edges, rest }: InnerNode): Node {
    const bits = tableBits(edges.size);
    const table = Array.from({ length: SLOT << bits }, () => 0);
    let least = rest?.least ?? NO_MATCH;
    for (const [pattern, node] of edges) {
      let slot = slotOf(pattern, bits) * SLOT;
      while (table[slot] !== 0) slot = (slot + SLOT) % table.length;
      table[slot] = pattern + 1;
      table[slot + 1] = node.least;
      table[slot + 2] = node.form;
      table[slot + 3] = node.place;
      least = Math.min(least, node.least);
    }
    const before = rest === undefined ? [] : [rest.least, rest.form, rest.place];
    const place = this.#append([...before, ...table]) + before.length;
    const form = (field << FIELD_SHIFT) | (rest === undefined ? 0 : HAS_REST) | bits;
    return { least, form, place };
  }

  /** All that was written, ready to be searched. */
  finish(): TreeCode {
    return new TreeCode(this.#matcher, {
      slots: Int32Array.from(this.#slots),
      checks: Int32Array.from(this.#checks),
      conditions: Int32Array.from(this.#conditions),
    });
  }

  #append(numbers: readonly number[]): number {
    const place = this.#slots.length;
    for (const number of numbers) this.#slots.push(number);
    return place;
  }

  /** The checks of a clause: count and conditions, then how many alternatives and their places. */
  #checksOf(clause: Clause): number {
    const anyOf = clause.anyOf.map((conditions) => this.#list(conditions, []));
    return this.#list(clause.conditions, anyOf);
  }

  #list(conditions: AlternativeIr, anyOf: readonly number[]): number {
    // Single patterns have the higher numbers here and are the cheaper checks, so they come first.
    const numbers = conditions.map((one) => this.#condition(one)).sort((a, b) => b - a);
    const run = [numbers.length, ...numbers, anyOf.length, ...anyOf];
    return this.#once(this.#checks, 'checks', run);
  }

  /** A pattern's number where that is all that is asked for, else the complement of a condition's place. */
  #condition({ field, negated, patterns }: ConditionIr): number {
    const numbers = [...new Set(patterns.map((pattern) => this.#matcher.numberOf(field, pattern)))];
    const [first, ...more] = numbers;
    if (first !== undefined && more.length === 0 && !negated) return first;
    const few = numbers.length <= FEW;
    const run = few
      ? [negated ? FEW_NEGATED : FEW_POSITIVE, numbers.length, ...numbers]
      : [
          negated ? MANY_NEGATED : MANY_POSITIVE,
          this.#matcher.fieldNumber(field),
          ...numberTable(numbers),
        ];
    return ~this.#once(this.#conditions, 'condition', run);
  }

  /** Writes equal runs once, so that what most rules share stays in the cache. */
  #once(into: number[], kind: string, run: readonly number[]): number {
    const key = `${kind} ${run.join(' ')}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const place = into.length;
    for (const number of run) into.push(number);
    this.#known.set(key, place);
    return place;
  }
}

// Up to here a condition's patterns are looked at one by one.
const FEW = 8;

/** The bits of a hash table of which at most two thirds are taken. */
function tableBits(entries: number): number {
  let bits = 1;
  while (1 << bits < entries * 1.5) bits++;
  return bits;
}

/** A set of numbers: its bits, then each number plus one, 0 where free. */
function numberTable(numbers: readonly number[]): number[] {
  const bits = tableBits(numbers.length);
  const table = Array.from({ length: 1 << bits }, () => 0);
  for (const number of numbers) {
    let slot = slotOf(number, bits);
    while (table[slot] !== 0) slot = (slot + 1) % table.length;
    table[slot] = number + 1;
  }
  return [bits, ...table];
}
