import { parseIp } from '#lib';
import { conditionHolds, readsAddress, ruleFor } from './condition.ts';
import type { AlternativeIr, PolicyIr, PolicyOptions, RuleIr } from './ir.ts';
import type { Decision, Question } from './question.ts';

/**
 * Decides by reading every rule in order. It is the meaning of the language: the compiled program
 * must agree with it on every question, and `explain` is built on it.
 */
export function decideNaively(
  policies: readonly PolicyIr[],
  options: PolicyOptions,
  question: Question,
): Decision {
  if (readsAddress(policies) && parseIp(question.source.ip) === undefined) {
    return { ...deny('cannot_decide'), dryRun: [] };
  }
  const enforced = policies.filter((policy) => !policy.dryRun);
  const dryRun = policies
    .filter((policy) => policy.dryRun)
    .map((policy) => ({
      policy: policy.id,
      verdict: verdictOf([...enforced, policy], options, question).verdict,
    }));
  return { ...verdictOf(enforced, options, question), dryRun };
}

/** Whether a rule of a policy matches the question. */
export function ruleMatches(rule: RuleIr, action: PolicyIr['action'], question: Question): boolean {
  const applied = ruleFor(rule, action, question.request === undefined ? 'tcp' : 'http');
  if (applied === undefined) return false;
  return (
    anyHolds(applied.sources, question) &&
    anyHolds(applied.operations, question) &&
    allHold(applied.when, question)
  );
}

type Outcome = Omit<Decision, 'dryRun'>;

function verdictOf(
  policies: readonly PolicyIr[],
  options: PolicyOptions,
  question: Question,
): Outcome {
  const denied = firstMatch(policies, 'DENY', question);
  if (denied !== undefined) return { verdict: 'deny', reason: 'policy_denied', ...denied };
  const allowed = firstMatch(policies, 'ALLOW', question);
  if (allowed !== undefined) return { verdict: 'allow', reason: 'allowed_by_policy', ...allowed };
  if (policies.some((policy) => policy.action === 'ALLOW')) return deny('no_policy_allows');
  if (options.defaultAction !== 'allow') return deny('default_deny');
  return { verdict: 'allow', reason: 'allowed_by_default', policy: undefined, rule: undefined };
}

function firstMatch(
  policies: readonly PolicyIr[],
  action: PolicyIr['action'],
  question: Question,
): { readonly policy: string; readonly rule: number } | undefined {
  for (const policy of policies) {
    if (policy.action !== action) continue;
    const rule = policy.rules.findIndex((rule) => ruleMatches(rule, action, question));
    if (rule >= 0) return { policy: policy.id, rule };
  }
  return undefined;
}

function anyHolds(alternatives: readonly AlternativeIr[], question: Question): boolean {
  return (
    alternatives.length === 0 || alternatives.some((alternative) => allHold(alternative, question))
  );
}

function allHold(alternative: AlternativeIr, question: Question): boolean {
  return alternative.every((condition) => conditionHolds(condition, question));
}

function deny(reason: Decision['reason']): Outcome {
  return { verdict: 'deny', reason, policy: undefined, rule: undefined };
}
