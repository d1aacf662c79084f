import { conditionHolds, ruleFor, unreadable } from './condition.ts';
import type { AlternativeIr, PolicyAction, PolicyIr, PolicyOptions, RuleIr } from './ir.ts';
import type { Consultation, Decision, Question } from './question.ts';

/**
 * Decides by reading every rule in order. It is the meaning of the language: the compiled program
 * must agree with it on every question, and `explain` is built on it.
 */
export function decideNaively(
  policies: readonly PolicyIr[],
  options: PolicyOptions,
  question: Question,
): Decision {
  if (unreadable(policies, question) !== undefined) return { ...deny('cannot_decide'), ...NOTHING };
  const enforced = policies.filter((policy) => !policy.dryRun);
  const dryRun = policies
    .filter((policy) => policy.dryRun)
    .map((policy) => ({
      policy: policy.id,
      verdict: verdictOf([...enforced, policy], options, question).verdict,
    }));
  return {
    ...verdictOf(enforced, options, question),
    audit: firstMatch(enforced, 'AUDIT', question)?.policy,
    consult: consultations(enforced, question),
    exception: firstException(enforced, question),
    dryRun,
  };
}

/** Whether a rule of a policy matches the question. */
export function ruleMatches(rule: RuleIr, action: PolicyAction, question: Question): boolean {
  const applied = ruleFor(rule, action, question.request === undefined ? 'tcp' : 'http');
  if (applied === undefined) return false;
  return (
    anyHolds(applied.sources, question) &&
    anyHolds(applied.operations, question) &&
    allHold(applied.when, question)
  );
}

/** The first exception that keeps a DENY policy from applying to the question. */
export function exceptionFor(policy: PolicyIr, question: Question): string | undefined {
  // As for ALLOW: an exception that asks for a path excepts no TCP connection.
  return policy.exceptions?.find(
    ({ expiresAt, rules }) =>
      question.nowMs < expiresAt && rules.some((rule) => ruleMatches(rule, 'ALLOW', question)),
  )?.id;
}

type Outcome = Pick<Decision, 'verdict' | 'reason' | 'policy' | 'rule'>;
type Match = { readonly policy: string; readonly rule: number };

const NOTHING = { audit: undefined, exception: undefined, consult: [], dryRun: [] };

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
  action: PolicyAction,
  question: Question,
): Match | undefined {
  for (const policy of policies) {
    if (policy.action !== action) continue;
    const rule = policy.rules.findIndex((rule) => ruleMatches(rule, action, question));
    if (rule < 0 || exceptionFor(policy, question) !== undefined) continue;
    return { policy: policy.id, rule };
  }
  return undefined;
}

/** Each provider once, by the first of its policies that matches. */
function consultations(policies: readonly PolicyIr[], question: Question): readonly Consultation[] {
  const providers = new Set(policies.flatMap(({ provider }) => provider ?? []));
  return [...providers].flatMap((provider) => {
    const own = policies.filter((policy) => policy.provider === provider);
    const found = firstMatch(own, 'CUSTOM', question);
    return found === undefined ? [] : [{ provider, ...found }];
  });
}

/** Of the DENY policies before the one that decides, the first that an exception kept from it. */
function firstException(policies: readonly PolicyIr[], question: Question): string | undefined {
  for (const policy of policies) {
    if (policy.action !== 'DENY') continue;
    if (!policy.rules.some((rule) => ruleMatches(rule, 'DENY', question))) continue;
    return exceptionFor(policy, question);
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
