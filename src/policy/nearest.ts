import { conditionHolds, ruleFor } from './condition.ts';
import type { AlternativeIr, ConditionIr, PolicyIr, RuleIr } from './ir.ts';
import type { Question } from './question.ts';

/** An ALLOW rule that does not match, and the conditions in its way. */
export type NearRule = {
  readonly policy: PolicyIr;
  readonly index: number;
  readonly failed: readonly ConditionIr[];
};

/** The conditions that fail in the nearest source, the nearest operation and `when`; none if the rule matches. */
export function failures(rule: RuleIr, question: Question): readonly ConditionIr[] {
  return [
    ...fewestFailed(rule.sources, question),
    ...fewestFailed(rule.operations, question),
    ...failedOf(rule.when, question),
  ];
}

/** The enforced ALLOW rule with the fewest failing conditions, the first of several. */
export function nearestRule(
  policies: readonly PolicyIr[],
  question: Question,
): NearRule | undefined {
  const traffic = question.request === undefined ? 'tcp' : 'http';
  let nearest: NearRule | undefined;
  for (const policy of policies) {
    if (policy.action !== 'ALLOW' || policy.dryRun) continue;
    for (const [index, rule] of policy.rules.entries()) {
      const applied = ruleFor(rule, 'ALLOW', traffic);
      if (applied === undefined) continue;
      const failed = failures(applied, question);
      if (nearest === undefined || failed.length < nearest.failed.length) {
        nearest = { policy, index, failed };
      }
    }
  }
  return nearest;
}

function fewestFailed(
  alternatives: readonly AlternativeIr[],
  question: Question,
): readonly ConditionIr[] {
  let fewest: readonly ConditionIr[] | undefined;
  for (const alternative of alternatives) {
    const failed = failedOf(alternative, question);
    if (fewest === undefined || failed.length < fewest.length) fewest = failed;
  }
  return fewest ?? [];
}

function failedOf(alternative: AlternativeIr, question: Question): readonly ConditionIr[] {
  return alternative.filter((condition) => !conditionHolds(condition, question));
}
