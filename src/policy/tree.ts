import { allChecksHold, type Check, createChecks } from './check-set.ts';
import type { Facts } from './facts.ts';
import type { AlternativeIr, ConditionIr, Field } from './ir.ts';
import { createPatternIndex, type PatternIndex, patternKey } from './pattern-index.ts';

/** Conditions that must all hold for the rule with number `ordinal` to match. */
export type Clause = {
  readonly ordinal: number;
  readonly conditions: AlternativeIr;
  /** Where a rule has too many combinations of source and operation: one of these must hold too. */
  readonly anyOf: readonly AlternativeIr[];
};

/**
 * A decision tree over clauses. An inner node splits by the patterns of one field: what matches is
 * found by index, and only clauses under matching patterns are looked at. A leaf holds the few that
 * no field tells apart any more.
 */
export type Tree = {
  /** The lowest ordinal below this node, so that a search skips what cannot better its find. */
  readonly least: number;
  readonly leaves: readonly LeafClause[];
  readonly index: PatternIndex<Tree> | undefined;
  /** Clauses without a condition on the field this node splits by. */
  readonly rest: Tree | undefined;
};

type LeafClause = {
  readonly ordinal: number;
  readonly checks: readonly Check[];
  readonly anyOf: readonly (readonly Check[])[];
};

/** No rule matched. */
export const NO_MATCH = 0x3fffffff;

/** Builds the tree of all clauses. */
export function createTree(clauses: readonly Clause[]): Tree {
  return build(clauses, { left: PLACEMENTS_PER_CLAUSE * clauses.length + FREE_PLACEMENTS });
}

/** The lowest ordinal below `best` whose clause holds, or `best`. `stack` is scratch space. */
export function searchTree(tree: Tree, facts: Facts, best: number, stack: Tree[]): number {
  if (tree.least >= best) return best;
  if (tree.index === undefined) return searchLeaves(tree.leaves, facts, best);
  let least = best;
  const base = stack.length;
  tree.index.collect(facts, stack);
  // The stack grows and shrinks above `top` while children are searched; below it stays.
  const top = stack.length;
  for (let i = base; i < top; i++) {
    const child = stack[i];
    if (child !== undefined) least = searchTree(child, facts, least, stack);
  }
  stack.length = base;
  return tree.rest === undefined ? least : searchTree(tree.rest, facts, least, stack);
}

// A clause stands once under each of its patterns, so lists in several fields multiply. The bound
// keeps memory linear in the policy; past it, leaves grow instead.
const PLACEMENTS_PER_CLAUSE = 64;
const FREE_PLACEMENTS = 100_000;
const SMALL_LEAF = 2;
// A split that leaves more than this part of the clauses together is not worth its lookup.
const WORTHWHILE = 0.8;
const SPLIT_FIELDS: readonly Field[] = [
  'principal',
  'serviceAccount',
  'path',
  'host',
  'namespace',
  'method',
  'port',
  'sni',
  'ip',
];

function searchLeaves(leaves: readonly LeafClause[], facts: Facts, best: number): number {
  for (const leaf of leaves) {
    if (leaf.ordinal >= best) return best;
    if (allChecksHold(leaf.checks, facts) && anyHolds(leaf.anyOf, facts)) return leaf.ordinal;
  }
  return best;
}

function anyHolds(alternatives: readonly (readonly Check[])[], facts: Facts): boolean {
  if (alternatives.length === 0) return true;
  for (const checks of alternatives) if (allChecksHold(checks, facts)) return true;
  return false;
}

type Budget = { left: number };

function build(clauses: readonly Clause[], budget: Budget): Tree {
  const least = clauses.reduce((least, clause) => Math.min(least, clause.ordinal), NO_MATCH);
  const split = clauses.length <= SMALL_LEAF ? undefined : bestSplit(clauses, budget);
  if (split === undefined) {
    return { least, leaves: leavesOf(clauses), index: undefined, rest: undefined };
  }
  budget.left -= split.placements;
  const children = new Map<string, { readonly clauses: Clause[]; readonly at: ConditionIr }>();
  for (const clause of split.covered) place(clause, split.field, children);
  const index = createPatternIndex<Tree>(split.field);
  for (const [key, child] of children) {
    const pattern = child.at.patterns.find((pattern) => patternKey(pattern) === key);
    const tree = build(child.clauses, budget);
    if (pattern !== undefined) index.at(pattern, () => tree);
  }
  const rest = split.rest.length === 0 ? undefined : build(split.rest, budget);
  return { least, leaves: [], index, rest };
}

/** Puts a clause under each pattern of its condition on `field`, without that condition. */
function place(
  clause: Clause,
  field: Field,
  children: Map<string, { readonly clauses: Clause[]; readonly at: ConditionIr }>,
): void {
  const at = splitCondition(clause, field);
  if (at === undefined) return;
  const left = { ...clause, conditions: clause.conditions.filter((other) => other !== at) };
  for (const key of new Set(at.patterns.map(patternKey))) {
    const child = children.get(key);
    if (child === undefined) children.set(key, { clauses: [left], at });
    else child.clauses.push(left);
  }
}

type Split = {
  readonly field: Field;
  readonly covered: readonly Clause[];
  readonly rest: readonly Clause[];
  readonly placements: number;
  /** Clauses that may have to be looked at after the split. */
  readonly cost: number;
};

function bestSplit(clauses: readonly Clause[], budget: Budget): Split | undefined {
  let best: Split | undefined;
  for (const field of SPLIT_FIELDS) {
    const split = splitBy(clauses, field);
    if (split.covered.length === 0 || split.placements > budget.left) continue;
    if (split.cost < (best?.cost ?? clauses.length * WORTHWHILE)) best = split;
  }
  return best;
}

function splitBy(clauses: readonly Clause[], field: Field): Split {
  const sizes = new Map<string, number>();
  const covered: Clause[] = [];
  const rest: Clause[] = [];
  let placements = 0;
  let largest = 0;
  for (const clause of clauses) {
    const condition = splitCondition(clause, field);
    (condition === undefined ? rest : covered).push(clause);
    for (const pattern of condition?.patterns ?? []) {
      const size = (sizes.get(patternKey(pattern)) ?? 0) + 1;
      sizes.set(patternKey(pattern), size);
      largest = Math.max(largest, size);
      placements++;
    }
  }
  return { field, covered, rest, placements, cost: rest.length + largest };
}

function splitCondition(clause: Clause, field: Field): ConditionIr | undefined {
  return clause.conditions.find((condition) => condition.field === field && !condition.negated);
}

function leavesOf(clauses: readonly Clause[]): readonly LeafClause[] {
  return clauses
    .toSorted((a, b) => a.ordinal - b.ordinal)
    .map(({ ordinal, conditions, anyOf }) => ({
      ordinal,
      checks: createChecks(conditions),
      anyOf: anyOf.map(createChecks),
    }));
}
