import type { Result } from '#lib';
import {
  type AlternativeIr,
  type AuthoredCondition,
  type ConditionIr,
  type PatternScope,
  parseCondition,
} from '#policy';

/** Takes one problem of a rule. */
export type Report = (problem: string) => void;

/**
 * Conditions by what their authors wrote, so that equal ones of one compilation are one object: rules by the
 * thousand name the same callers and methods, and would otherwise be most of what a large policy holds.
 */
export class ConditionTable {
  readonly #conditions = new Map<string, Result<ConditionIr, string>>();
  readonly #lists = new Map<string, readonly AlternativeIr[]>();

  /**
   * As `parseCondition`; `scope` differs by its namespace alone within one table. `at` tells the alternatives of
   * one rule apart: a change that is proposed for one of them must not reach the others.
   */
  parse(authored: AuthoredCondition, scope: PatternScope, at: number): Result<ConditionIr, string> {
    const { field, negated, values } = authored;
    const key = JSON.stringify([field, negated, scope.namespace, at, values]);
    const known = this.#conditions.get(key);
    if (known !== undefined) return known;
    const parsed = parseCondition(authored, scope);
    this.#conditions.set(key, parsed);
    return parsed;
  }

  /** The one list of alternatives that was made of `authored`; made anew while it has problems to report. */
  alternatives(
    authored: unknown,
    scope: PatternScope,
    report: Report,
    make: (report: Report) => readonly AlternativeIr[],
  ): readonly AlternativeIr[] {
    const key = `${scope.namespace} ${JSON.stringify(authored)}`;
    const known = this.#lists.get(key);
    if (known !== undefined) return known;
    let isWhole = true;
    const made = make((problem) => {
      isWhole = false;
      report(problem);
    });
    // SECURITY: a list that lacks a condition would let another policy pass without it.
    if (isWhole) this.#lists.set(key, made);
    return made;
  }
}
