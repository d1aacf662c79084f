import { smallestChange } from './change.ts';
import { ruleFor, unreadable } from './condition.ts';
import type {
  ConsideredPolicy,
  ConsideredRule,
  ExplainedWorkload,
  Explanation,
} from './explanation.ts';
import type { PolicyIr, PolicyOptions, RuleIr } from './ir.ts';
import { decideNaively } from './naive.ts';
import { failures } from './nearest.ts';
import type { Question } from './question.ts';
import { failedSentence } from './sentence.ts';
import { traceRule } from './trace.ts';

/** The mesh's options and, for words and resources, the workload called. */
export type ExplainOptions = PolicyOptions & { readonly workload?: ExplainedWorkload };

/**
 * Why a question is decided as it is: what became of each rule of each policy, and where the answer
 * is no, the smallest change that would make it yes. For people, so clear rather than fast.
 */
export function explain(
  policies: readonly PolicyIr[],
  options: ExplainOptions,
  question: Question,
): Explanation {
  const decision = decideNaively(policies, options, question);
  if (decision.reason === 'cannot_decide') {
    const sentence = `no policy can help: ${unreadable(policies, question)}`;
    return { decision, considered: [], smallestChange: { kind: 'none', sentence } };
  }
  return {
    decision,
    considered: policies.map((policy) => consider(policy, question)),
    smallestChange:
      decision.verdict === 'allow' ? undefined : smallestChange({ policies, options, question }),
  };
}

function consider(policy: PolicyIr, question: Question): ConsideredPolicy {
  const rules = policy.rules.map((rule, index) => considerRule(policy, rule, index, question));
  return {
    policy: policy.id,
    action: policy.action,
    dryRun: policy.dryRun,
    matched: rules.some((rule) => rule.matched),
    rules,
  };
}

function considerRule(
  policy: PolicyIr,
  rule: RuleIr,
  index: number,
  question: Question,
): ConsideredRule {
  const applied = ruleFor(rule, policy.action, question.request === undefined ? 'tcp' : 'http');
  if (applied === undefined) {
    const failed = [
      'the rule asks for what only an HTTP request has, and a TCP connection has none of it',
    ];
    return { rule: index, matched: false, failed, conditions: [] };
  }
  const failed = failures(applied, question).map((condition) =>
    failedSentence(condition, question),
  );
  const conditions = traceRule(applied, question);
  return { rule: index, matched: failed.length === 0, failed, conditions };
}
