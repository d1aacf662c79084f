import { addNeed, createFacts, createNeeds, type Needs, readFacts } from './facts.ts';
import type { Field } from './field.ts';
import type { Pattern } from './ir.ts';
import { NumberList } from './number-list.ts';
import { createPatternIndex, type PatternIndex } from './pattern-index.ts';
import { patternKey } from './pattern-key.ts';
import type { Question } from './question.ts';

/**
 * All different patterns of a program, numbered. A question is matched against all of them at once,
 * through one index a field; what follows reads only numbers.
 */
export class Matcher {
  readonly #facts = createFacts();
  #numbers = new Map<string, number>();
  readonly #fields: FieldMatches[] = [];
  #stamps = new Int32Array(64);
  #stamp = 0;
  #count = 0;
  /** What the patterns read. */
  readonly needs: Needs = createNeeds();

  /** The number of a pattern of a field, the same for equal patterns. */
  numberOf(field: Field, pattern: Pattern): number {
    const key = `${field} ${patternKey(pattern)}`;
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    const number = this.#count++;
    this.#numbers.set(key, number);
    const at = this.#fields[this.fieldNumber(field)];
    at?.index.at(pattern, () => number);
    if (this.#count > this.#stamps.length) this.#stamps = new Int32Array(this.#count * 2);
    return number;
  }

  /** No more patterns come: what only numbering them needs is let go. */
  seal(): void {
    this.#numbers = new Map();
  }

  /** The place of a field in `matched`. */
  fieldNumber(field: Field): number {
    const found = this.#fields.findIndex((known) => known.field === field);
    if (found >= 0) return found;
    addNeed(this.needs, field);
    return (
      this.#fields.push({ field, index: createPatternIndex(field), matched: new NumberList() }) - 1
    );
  }

  /** Matches a question; what `matched` and `isMatched` say is about it from then on. Throws on what it needs and cannot read. */
  match(question: Question): void {
    readFacts(question, this.needs, this.#facts);
    this.#nextStamp();
    const fields = this.#fields;
    for (let i = 0; i < fields.length; i++) {
      const field = fields[i];
      if (field === undefined) continue;
      const { matched } = field;
      matched.count = 0;
      field.index.collect(this.#facts, matched);
      for (let k = 0; k < matched.count; k++) this.#stamps[matched.at(k)] = this.#stamp;
    }
  }

  /** The numbers of a field's patterns that match, some perhaps twice. */
  matched(fieldNumber: number): NumberList {
    return this.#fields[fieldNumber]?.matched ?? NONE;
  }

  /** Whether the pattern with this number matches. */
  isMatched(number: number): boolean {
    return this.#stamps[number] === this.#stamp;
  }

  #nextStamp(): void {
    if (this.#stamp === 0x7fffffff) {
      this.#stamps.fill(0);
      this.#stamp = 0;
    }
    this.#stamp++;
  }
}

type FieldMatches = {
  readonly field: Field;
  readonly index: PatternIndex;
  readonly matched: NumberList;
};

const NONE = new NumberList();
