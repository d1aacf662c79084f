import type { Field } from './field.ts';
import type { AlternativeIr, ConditionIr } from './ir.ts';
import type { Matcher } from './matcher.ts';
import type { Node } from './tree-code.ts';
import type { CodeWriter } from './tree-writer.ts';

/** Conditions that must all hold for the rule with number `ordinal` to match. */
export type Clause = {
  readonly ordinal: number;
  readonly conditions: AlternativeIr;
  /** Where a rule has too many combinations of source and operation: one of these must hold too. */
  readonly anyOf: readonly AlternativeIr[];
};

/**
 * Writes the decision tree of clauses. An inner node splits by the patterns
 * of one field, and a search goes on only under those that match; a leaf holds the few clauses that
 * no field tells apart any more.
 */
export function writeTree(clauses: readonly Clause[], matcher: Matcher, code: CodeWriter): Node {
  const left = PLACEMENTS_PER_CLAUSE * clauses.length + FREE_PLACEMENTS;
  return build(clauses, { left, fields: fieldsOf(clauses), matcher, code });
}

/** The fields that clauses could be split by, those that tell most apart in practice first. */
function fieldsOf(clauses: readonly Clause[]): readonly Field[] {
  const fields = new Set<Field>();
  for (const { conditions } of clauses) {
    for (const { field, negated } of conditions) if (!negated) fields.add(field);
  }
  const rank = (field: Field) => {
    const at = SPLIT_FIELDS.indexOf(field);
    return at < 0 ? SPLIT_FIELDS.length : at;
  };
  return [...fields].sort((a, b) => rank(a) - rank(b));
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
  'requestPrincipal',
  'path',
  'host',
  'namespace',
  'method',
  'port',
  'sni',
  'ip',
];

/** What the tree is made with, and how many placements are left. */
type Building = {
  left: number;
  readonly fields: readonly Field[];
  readonly matcher: Matcher;
  readonly code: CodeWriter;
};

function build(clauses: readonly Clause[], building: Building): Node {
  const split = clauses.length <= SMALL_LEAF ? undefined : bestSplit(clauses, building);
  if (split === undefined) return building.code.leaf(clauses);
  building.left -= split.placements;
  const children = new Map<number, Clause[]>();
  for (const clause of split.covered) place(clause, split.field, building.matcher, children);
  const edges = new Map<number, Node>();
  for (const [pattern, below] of children) edges.set(pattern, build(below, building));
  const rest = split.rest.length === 0 ? undefined : build(split.rest, building);
  const field = building.matcher.fieldNumber(split.field);
  return building.code.inner({ field, edges, rest });
}

/** Puts a clause under each pattern of its condition on `field`, without that condition. */
function place(
  clause: Clause,
  field: Field,
  matcher: Matcher,
  children: Map<number, Clause[]>,
): void {
  const at = splitCondition(clause, field);
  if (at === undefined) return;
  const left = { ...clause, conditions: clause.conditions.filter((other) => other !== at) };
  const numbers = at.patterns.map((pattern) => matcher.numberOf(field, pattern));
  for (const number of new Set(numbers)) {
    const child = children.get(number);
    if (child === undefined) children.set(number, [left]);
    else child.push(left);
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

function bestSplit(clauses: readonly Clause[], building: Building): Split | undefined {
  let best: Split | undefined;
  for (const field of building.fields) {
    const split = splitBy(clauses, field, building.matcher);
    if (split.covered.length === 0 || split.placements > building.left) continue;
    if (split.cost < (best?.cost ?? clauses.length * WORTHWHILE)) best = split;
  }
  return best;
}

function splitBy(clauses: readonly Clause[], field: Field, matcher: Matcher): Split {
  const sizes = new Map<number, number>();
  const covered: Clause[] = [];
  const rest: Clause[] = [];
  let placements = 0;
  let largest = 0;
  for (const clause of clauses) {
    const condition = splitCondition(clause, field);
    (condition === undefined ? rest : covered).push(clause);
    for (const pattern of condition?.patterns ?? []) {
      const number = matcher.numberOf(field, pattern);
      const size = (sizes.get(number) ?? 0) + 1;
      sizes.set(number, size);
      largest = Math.max(largest, size);
      placements++;
    }
  }
  return { field, covered, rest, placements, cost: rest.length + largest };
}

function splitCondition(clause: Clause, field: Field): ConditionIr | undefined {
  return clause.conditions.find((condition) => condition.field === field && !condition.negated);
}
