import type { Facts } from './facts.ts';
import { factText } from './facts.ts';
import type { AlternativeIr, ConditionIr, Pattern } from './ir.ts';
import { textMatches } from './pattern.ts';
import { createPatternIndex, type PatternIndex } from './pattern-index.ts';

/** A condition ready to be checked against the facts at a leaf of the tree. */
export type Check = {
  readonly condition: ConditionIr;
  /** Where there are too many patterns to look at one by one. */
  readonly index: PatternIndex<true> | undefined;
};

// Below this, comparing one by one is faster than the hash and the walks of an index.
const FEW_PATTERNS = 6;

/** The checks of conditions, cheapest kinds first, so that most mismatches cost one comparison. */
export function createChecks(conditions: AlternativeIr): readonly Check[] {
  return conditions
    .map((condition) => ({ condition, index: indexOf(condition) }))
    .sort((a, b) => weight(a) - weight(b));
}

/** Whether all of the checks hold. */
export function allChecksHold(checks: readonly Check[], facts: Facts): boolean {
  for (const check of checks) if (!checkHolds(check, facts)) return false;
  return true;
}

const found: true[] = [];

function checkHolds({ condition, index }: Check, facts: Facts): boolean {
  if (index !== undefined) {
    found.length = 0;
    index.collect(facts, found);
    return found.length > 0 !== condition.negated;
  }
  const text = factText(condition.field, facts);
  for (const pattern of condition.patterns) {
    if (patternHolds(pattern, text, facts)) return !condition.negated;
  }
  return condition.negated;
}

function patternHolds(pattern: Pattern, text: string | undefined, facts: Facts): boolean {
  if (pattern.kind === 'port') return pattern.port === facts.port;
  // Blocks are always indexed: the facts hold the address in the form the index reads.
  return text !== undefined && textMatches(pattern, text);
}

function indexOf(condition: ConditionIr): PatternIndex<true> | undefined {
  if (condition.field !== 'ip' && condition.patterns.length <= FEW_PATTERNS) return undefined;
  const index = createPatternIndex<true>(condition.field);
  for (const pattern of condition.patterns) index.at(pattern, () => true);
  return index;
}

function weight({ condition, index }: Check): number {
  return (index === undefined ? 0 : 10) + condition.patterns.length;
}
