import { claimPathOf } from './field.ts';
import type {
  AlternativeIr,
  ConditionIr,
  ExceptionIr,
  PolicyIr,
  PolicyOptions,
  RuleIr,
} from './ir.ts';
import { decideNaively } from './naive.ts';
import { compileProgram, type Program } from './program.ts';
import type { Decision, Question } from './question.ts';

/**
 * A program of the policies as they read if each request came with whatever user's token they ask for. A call that
 * they deny and that it allows lacks nothing but a token, which is what tells a 401 from a 403. Undefined where no
 * policy asks for one. `previous` as for `compileProgram`.
 * SECURITY: it says what a caller is told, never what it may; no verdict is taken from it.
 */
export function compileForSomeUser(
  policies: readonly PolicyIr[],
  options: PolicyOptions,
  previous?: Program,
): Program | undefined {
  if (!policies.some(readsUser)) return undefined;
  return compileProgram(forSomeUser(policies), options, previous);
}

/** The same for one question, by reading every rule. */
export function decideForSomeUser(
  policies: readonly PolicyIr[],
  options: PolicyOptions,
  question: Question,
): Decision {
  return decideNaively(forSomeUser(policies), options, question);
}

function forSomeUser(policies: readonly PolicyIr[]): readonly PolicyIr[] {
  return policies.flatMap((policy) => {
    if (policy.dryRun || (policy.action !== 'ALLOW' && policy.action !== 'DENY')) return [];
    const known = SUPPOSED.get(policy);
    if (known !== undefined) return known;
    const supposed = suppose(policy);
    SUPPOSED.set(policy, supposed);
    return supposed;
  });
}

// The same object for the same policy, by which a changed set is compiled in part only.
const SUPPOSED = new WeakMap<PolicyIr, PolicyIr>();

function suppose(policy: PolicyIr): PolicyIr {
  if (!readsUser(policy)) return policy;
  if (policy.action === 'ALLOW') return { ...policy, rules: policy.rules.map(satisfied) };
  const exceptions = policy.exceptions?.map(
    (exception): ExceptionIr => ({ ...exception, rules: exception.rules.map(satisfied) }),
  );
  return { ...policy, rules: policy.rules.flatMap(unmatched), exceptions };
}

/** An ALLOW rule or an exception whose conditions on the user hold. */
function satisfied(rule: RuleIr): RuleIr {
  return { ...rule, sources: rule.sources.map(withoutUser), when: withoutUser(rule.when) };
}

/** What is left of a DENY rule where no condition on the user holds. */
function unmatched(rule: RuleIr): readonly RuleIr[] {
  if (rule.when.some(isOfUser)) return [];
  const sources = rule.sources.filter((source) => !source.some(isOfUser));
  // No source at all would mean any.
  if (sources.length === 0 && rule.sources.length > 0) return [];
  return [{ ...rule, sources }];
}

function readsUser({ rules, exceptions = [] }: PolicyIr): boolean {
  return rules.some(asksUser) || exceptions.some((exception) => exception.rules.some(asksUser));
}

function asksUser({ sources, when }: RuleIr): boolean {
  return when.some(isOfUser) || sources.some((source) => source.some(isOfUser));
}

function withoutUser(alternative: AlternativeIr): AlternativeIr {
  return alternative.filter((condition) => !isOfUser(condition));
}

function isOfUser({ field }: ConditionIr): boolean {
  return field === 'requestPrincipal' || claimPathOf(field) !== undefined;
}
