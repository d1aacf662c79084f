import type { Explanation, TracedCondition } from '#policy';
import type { AuthorizationPolicyResource } from '#resource';
import type { ResourceSets } from './input.ts';

/** How much of the policies a number of answered questions exercised. */
export type PolicyCoverage = {
  readonly rules: Covered;
  /** Each condition counts twice: once held, once failed. */
  readonly conditions: Covered;
  readonly policies: readonly CoveredPolicy[];
};

/** Of `all`, `covered` were exercised. */
export type Covered = { readonly covered: number; readonly all: number };

/** One policy: which of its rules no question matched, and which conditions never held or never failed. */
export type CoveredPolicy = {
  readonly policy: string;
  readonly rules: Covered;
  readonly conditions: Covered;
  readonly unmatchedRules: readonly number[];
  /** Sentences, e.g. "rule 0, from[0]: principal never failed". */
  readonly gaps: readonly string[];
};

type Seen = { held: boolean; failed: boolean; readonly field: string };

/** Measures what the explanations of some questions exercised of every AuthorizationPolicy in the sets. */
export function measureCoverage(
  sets: ResourceSets,
  explanations: readonly Explanation[],
): PolicyCoverage {
  const matched = new Set<string>();
  const conditions = new Map<string, Map<string, Seen>>();
  for (const { considered } of explanations) {
    for (const { policy, rules } of considered) {
      for (const rule of rules) {
        if (rule.matched) matched.add(`${policy} ${rule.rule}`);
        const of = conditions.get(policy) ?? new Map<string, Seen>();
        conditions.set(policy, of);
        for (const condition of rule.conditions) note(of, rule.rule, condition);
      }
    }
  }
  const policies = policiesOf(sets).map((policy) => {
    const id = `${policy.metadata.namespace}/${policy.metadata.name}`;
    return coveredPolicy(policy, matched, conditions.get(id) ?? new Map());
  });
  const total = (of: 'rules' | 'conditions'): Covered => ({
    covered: policies.reduce((sum, policy) => sum + policy[of].covered, 0),
    all: policies.reduce((sum, policy) => sum + policy[of].all, 0),
  });
  return { rules: total('rules'), conditions: total('conditions'), policies };
}

function note(of: Map<string, Seen>, rule: number, condition: TracedCondition): void {
  const place = condition.at === 'when' ? 'when' : `${condition.at}[${condition.alternative}]`;
  const key = `rule ${rule}, ${place}.${condition.index}`;
  const seen = of.get(key) ?? { held: false, failed: false, field: wordsOf(condition) };
  if (condition.holds) seen.held = true;
  else seen.failed = true;
  of.set(key, seen);
}

function wordsOf({ negated, field }: TracedCondition): string {
  return negated ? `not ${field}` : field;
}

function policiesOf(sets: ResourceSets): readonly AuthorizationPolicyResource[] {
  return [...sets.values()].flatMap(({ resources }) =>
    resources.filter((resource) => resource.kind === 'AuthorizationPolicy'),
  );
}

function coveredPolicy(
  { metadata, spec }: AuthorizationPolicyResource,
  matched: ReadonlySet<string>,
  seen: ReadonlyMap<string, Seen>,
): CoveredPolicy {
  const policy = `${metadata.namespace}/${metadata.name}`;
  const unmatchedRules = spec.rules.flatMap((_, rule) =>
    matched.has(`${policy} ${rule}`) ? [] : [rule],
  );
  const all = [...seen].flatMap(([key, { field, held, failed }]) => {
    const where = `${key.slice(0, key.lastIndexOf('.'))}: ${field}`;
    return [
      { covered: held, gap: `${where} never held` },
      { covered: failed, gap: `${where} never failed` },
    ];
  });
  const gaps = all.filter(({ covered }) => !covered).map(({ gap }) => gap);
  // What no question was about has conditions too; they are counted as written.
  const written = seen.size === 0 ? 2 * writtenConditions(spec.rules) : all.length;
  return {
    policy,
    rules: { covered: spec.rules.length - unmatchedRules.length, all: spec.rules.length },
    conditions: { covered: all.length - gaps.length, all: written },
    unmatchedRules,
    gaps: seen.size === 0 && spec.rules.length > 0 ? ['no case is about a workload of it'] : gaps,
  };
}

function writtenConditions(rules: AuthorizationPolicyResource['spec']['rules']): number {
  return rules.reduce((sum, rule) => {
    const alternatives: object[] = [
      ...(rule.from ?? []).map(({ source }) => source),
      ...(rule.to ?? []).map(({ operation }) => operation),
    ];
    const fields = alternatives.reduce((own, one) => own + Object.keys(one).length, 0);
    return sum + fields + (rule.when?.length ?? 0);
  }, 0);
}
