import { ruleFor } from './condition.ts';
import type { AlternativeIr, ExceptionIr, PolicyAction, PolicyIr, RuleIr } from './ir.ts';
import type { Clause } from './tree.ts';
import type { Node } from './tree-code.ts';

/** HTTP and TCP read rules differently, so each has trees of its own. */
export type Traffic = 'http' | 'tcp';

/** Writes clauses as a tree of the program under way. */
export type Write = (clauses: readonly Clause[]) => Node;

/** A rule by where it stands; `at` is its policy's place among all that were compiled together. */
export type RulePlace = { readonly policy: string; readonly rule: number; readonly at: number };

/** Where each policy stands among all that are compiled together. */
export type Places = ReadonlyMap<PolicyIr, number>;

/** The rules of some policies, to be searched for the first that matches. */
export type Ruleset = {
  readonly tree: Node;
  /** The rule of each ordinal. */
  readonly places: readonly RulePlace[];
  /** The place of the policy of each ordinal. */
  readonly policyOf: Int32Array;
  /** Policies with exceptions, searched by themselves; their ordinals are of the same numbering. */
  readonly excepted: readonly Excepted[];
};

/** A DENY policy and the calls it leaves alone; `ids` are by ordinal of `exceptions`. */
export type Excepted = {
  readonly tree: Node;
  readonly exceptions: Node;
  readonly ids: readonly string[];
};

/** All rules of policies, numbered in order. */
export function compileRuleset(
  policies: readonly PolicyIr[],
  traffic: Traffic,
  { write, standing }: { readonly write: Write; readonly standing: Places },
): Ruleset {
  const clauses: Clause[] = [];
  const places: RulePlace[] = [];
  const excepted: Excepted[] = [];
  for (const policy of policies) {
    const own: Clause[] = [];
    for (const [index, rule] of policy.rules.entries()) {
      own.push(...clausesFor(rule, policy.action, traffic, places.length));
      places.push({ policy: policy.id, rule: index, at: standing.get(policy) ?? -1 });
    }
    const { exceptions = [] } = policy;
    if (exceptions.length === 0) for (const clause of own) clauses.push(clause);
    else excepted.push(compileExcepted(own, exceptions, traffic, write));
  }
  const policyOf = Int32Array.from(places, ({ at }) => at);
  return { tree: write(clauses), places, policyOf, excepted };
}

function compileExcepted(
  own: readonly Clause[],
  exceptions: readonly ExceptionIr[],
  traffic: Traffic,
  write: Write,
): Excepted {
  const clauses = exceptions.flatMap(({ rules, expiresAt }, ordinal) =>
    rules.flatMap((rule) => {
      const when = [...rule.when, until(expiresAt)];
      return clausesFor({ ...rule, when }, 'ALLOW', traffic, ordinal);
    }),
  );
  return { tree: write(own), exceptions: write(clauses), ids: exceptions.map(({ id }) => id) };
}

/** INVARIANT: an exception is a rule that holds until its end and, whatever happens, no longer. */
function until(expiresAt: number): RuleIr['when'][number] {
  const window = { kind: 'between', fromMs: Number.NEGATIVE_INFINITY, untilMs: expiresAt } as const;
  const pattern = { kind: 'window', text: `until ${expiresAt}`, window } as const;
  return { field: 'time', negated: false, patterns: [pattern] };
}

function clausesFor(
  rule: RuleIr,
  action: PolicyAction,
  traffic: Traffic,
  ordinal: number,
): readonly Clause[] {
  const applied = ruleFor(rule, action, traffic);
  return applied === undefined ? [] : clausesOf(applied, ordinal);
}

// Sources times operations become clauses of their own up to here; real rules have one or two of each.
const MAX_COMBINATIONS = 64;

function clausesOf(rule: RuleIr, ordinal: number): readonly Clause[] {
  const sources = rule.sources.length === 0 ? NOTHING_ASKED : rule.sources;
  const operations = rule.operations.length === 0 ? NOTHING_ASKED : rule.operations;
  if (sources.length * operations.length > MAX_COMBINATIONS) {
    return sources.map((source) => ({
      ordinal,
      conditions: [...source, ...rule.when],
      anyOf: operations,
    }));
  }
  return sources.flatMap((source) =>
    operations.map((operation) => ({
      ordinal,
      conditions: [...source, ...operation, ...rule.when],
      anyOf: [],
    })),
  );
}

const NOTHING_ASKED: readonly AlternativeIr[] = [[]];
