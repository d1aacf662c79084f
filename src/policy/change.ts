import { extendRule, newPolicy } from './change-allow.ts';
import { narrowPolicy } from './change-deny.ts';
import type { ExplainedWorkload, SmallestChange } from './explanation.ts';
import type { PolicyIr, PolicyOptions } from './ir.ts';
import { decideNaively, exceptionFor, ruleMatches } from './naive.ts';
import { nearestRule } from './nearest.ts';
import type { Question } from './question.ts';
import { renderDiff, renderPolicy } from './render.ts';
import { callerWords, failedSentence } from './sentence.ts';

/** One denied question and the policies that denied it. */
export type Denied = {
  readonly policies: readonly PolicyIr[];
  readonly options: PolicyOptions & { readonly workload?: ExplainedWorkload };
  readonly question: Question;
};

/** One step of a change: a policy replaced, added (`before` undefined) or deleted (`after` undefined). */
export type Step = {
  readonly kind: 'add_policy' | 'extend_rule' | 'narrow_deny';
  readonly sentence: string;
  readonly before: PolicyIr | undefined;
  readonly after: PolicyIr | undefined;
};

/**
 * The smallest change that turns a denial into an allowance: DENY policies in the way are narrowed,
 * then one ALLOW rule is extended or a policy for just this call added. INVARIANT: what is proposed
 * was tried; if the call would still be denied, nothing is proposed.
 */
export function smallestChange(denied: Denied): SmallestChange {
  if (denied.question.source.id === undefined) {
    // SECURITY: a policy cannot name a caller without identity, so allowing it would allow anybody.
    const sentence = `${callerWords(denied.question)} cannot be told from any other: run it behind a sidecar, then allow its identity`;
    return { kind: 'none', sentence };
  }
  const steps: Step[] = [];
  let policies = denied.policies;
  for (const policy of denied.policies) {
    if (!denies(policy, denied.question)) continue;
    const step = narrowPolicy(policy, denied.question);
    steps.push(step);
    policies = applied(policies, step);
  }
  if (decideNaively(policies, denied.options, denied.question).verdict === 'deny') {
    const step = allowStep({ ...denied, policies });
    steps.push(step);
    policies = applied(policies, step);
  }
  const { verdict } = decideNaively(policies, denied.options, denied.question);
  if (verdict === 'deny') return { kind: 'none', sentence: 'no change of one policy allows it' };
  return described(steps);
}

function denies(policy: PolicyIr, question: Question): boolean {
  if (policy.action !== 'DENY' || policy.dryRun) return false;
  if (exceptionFor(policy, question) !== undefined) return false;
  return policy.rules.some((rule) => ruleMatches(rule, 'DENY', question));
}

/** Extends the nearest rule if one list lacks one value; else a new policy is smaller and widens nothing. */
function allowStep(denied: Denied): Step {
  const near = nearestRule(denied.policies, denied.question);
  const extended = near === undefined ? undefined : extendRule(near, denied.question);
  if (extended !== undefined) return extended;
  const step = newPolicy(denied);
  if (near === undefined) return step;
  const failed = near.failed.map((condition) => failedSentence(condition, denied.question));
  const nearest = `the nearest is rule ${near.index} of \`${near.policy.id}\`: ${failed.join('; ')}`;
  return { ...step, sentence: `${step.sentence}; ${nearest}` };
}

function applied(policies: readonly PolicyIr[], step: Step): readonly PolicyIr[] {
  const { before, after } = step;
  if (before === undefined) return after === undefined ? policies : [...policies, after];
  return policies.flatMap((policy) => (policy === before ? (after ?? []) : policy));
}

function described(steps: readonly Step[]): SmallestChange {
  const [first] = steps;
  if (first === undefined) return { kind: 'none', sentence: 'nothing has to change' };
  const policy = (first.before ?? first.after)?.id;
  const yaml = steps.flatMap(({ after }) => (after === undefined ? [] : renderPolicy(after)));
  const diff = steps.map(stepDiff);
  return {
    kind: first.kind,
    sentence: steps.map((step) => step.sentence).join(', and then '),
    ...(policy === undefined ? {} : { policy }),
    ...(yaml.length === 0 ? {} : { yaml: yaml.join('---\n') }),
    diff: diff.join('\n'),
  };
}

function stepDiff({ before, after }: Step): string {
  return renderDiff(
    before === undefined ? '' : renderPolicy(before),
    after === undefined ? '' : renderPolicy(after),
  );
}
