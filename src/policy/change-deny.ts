import type { Step } from './change.ts';
import { exactly, isCaller, replaceRule } from './change-allow.ts';
import { type Field, fieldWords } from './field.ts';
import type { AlternativeIr, ConditionIr, PolicyIr, RuleIr } from './ir.ts';
import { ruleMatches } from './naive.ts';
import type { Question } from './question.ts';
import { callerWords, shownValue } from './sentence.ts';

/**
 * A DENY policy that no longer denies the question, narrowed as little as will do: the caller taken
 * out of a list, or excluded, or else this path or port excluded, or the rule dropped. `after` is
 * undefined where only deleting the policy remains, since a DENY policy without rules is refused.
 */
export function narrowPolicy(policy: PolicyIr, question: Question): Step {
  const said: string[] = [];
  let after: PolicyIr | undefined = policy;
  for (let index = policy.rules.length - 1; index >= 0 && after !== undefined; index--) {
    const rule = policy.rules[index];
    if (rule === undefined || !ruleMatches(rule, 'DENY', question)) continue;
    const narrowed = narrowRule(rule, policy, question);
    if (narrowed !== undefined) {
      said.unshift(`${narrowed.words} rule ${index}`);
      after = replaceRule(after, index, () => narrowed.rule);
      continue;
    }
    said.unshift(`drop rule ${index}`);
    after = after.rules.length === 1 ? undefined : dropRule(after, index);
  }
  const sentence =
    after === undefined
      ? `delete \`${policy.id}\`, which denies nothing but this`
      : `${said.join(' and ')} of \`${policy.id}\``;
  return { kind: 'narrow_deny', sentence, before: policy, after };
}

type Narrowed = { readonly rule: RuleIr; readonly words: string };

function narrowRule(rule: RuleIr, policy: PolicyIr, question: Question): Narrowed | undefined {
  const caller = callerWords(question);
  const field = question.request === undefined ? ('port' as const) : ('path' as const);
  const excluded = `exclude ${fieldWords(field)} \`${shownValue(field, question)}\` from`;
  const tries: readonly (() => Narrowed | undefined)[] = [
    () => worded(withoutCaller(rule, question), `take ${caller} out of`),
    () => worded(exceptCaller(rule, policy, question), `exclude ${caller} from`),
    () => worded(exceptOperation(field, rule, policy, question), excluded),
  ];
  for (const attempt of tries) {
    const narrowed = attempt();
    if (narrowed !== undefined && !ruleMatches(narrowed.rule, 'DENY', question)) return narrowed;
  }
  return undefined;
}

function worded(rule: RuleIr | undefined, words: string): Narrowed | undefined {
  return rule === undefined ? undefined : { rule, words };
}

/** Without the caller in lists that name it and somebody else. */
function withoutCaller(rule: RuleIr, question: Question): RuleIr | undefined {
  let changed = false;
  const sources = rule.sources.map((source) =>
    source.map((condition) => {
      if (condition.negated) return condition;
      const patterns = condition.patterns.filter((pattern) => !isCaller(pattern, question));
      if (patterns.length === 0 || patterns.length === condition.patterns.length) return condition;
      changed = true;
      return { ...condition, patterns };
    }),
  );
  return changed ? { ...rule, sources } : undefined;
}

/** With the caller excluded from every source, unless a source names just the caller. */
function exceptCaller(rule: RuleIr, policy: PolicyIr, question: Question): RuleIr | undefined {
  const sources: readonly AlternativeIr[] = rule.sources.length === 0 ? [[]] : rule.sources;
  const named = sources.flat().filter((condition) => !condition.negated);
  if (named.some(({ patterns }) => patterns.some((one) => isCaller(one, question)))) {
    return undefined;
  }
  const changed = sources.map((source) => {
    // Istio refuses a source that has both principals and service accounts.
    const accounts = source.some((condition) => condition.field === 'serviceAccount');
    const field = accounts ? 'serviceAccount' : 'principal';
    return excluding(source, valueOf(field, policy, question));
  });
  return { ...rule, sources: changed };
}

/** With the question's path or port excluded from every operation, unless an operation names just that. */
function exceptOperation(
  field: 'path' | 'port',
  rule: RuleIr,
  policy: PolicyIr,
  question: Question,
): RuleIr | undefined {
  const operations: readonly AlternativeIr[] =
    rule.operations.length === 0 ? [[]] : rule.operations;
  const value = shownValue(field, question);
  const isNamed = operations
    .flat()
    .some(
      (condition) =>
        condition.field === field &&
        !condition.negated &&
        condition.patterns.some((pattern) => pattern.text === value),
    );
  if (isNamed) return undefined;
  const except = valueOf(field, policy, question);
  return { ...rule, operations: operations.map((operation) => excluding(operation, except)) };
}

function valueOf(field: Field, policy: PolicyIr, question: Question): ConditionIr | undefined {
  const value = shownValue(field, question);
  return value === undefined ? undefined : exactly(field, value, policy, question);
}

function excluding(alternative: AlternativeIr, except: ConditionIr | undefined): AlternativeIr {
  if (except === undefined) return alternative;
  const { field, patterns } = except;
  const at = alternative.findIndex((condition) => condition.field === field && condition.negated);
  if (at < 0) return [...alternative, { field, negated: true, patterns }];
  return alternative.map((condition, index) =>
    index === at ? { ...condition, patterns: [...condition.patterns, ...patterns] } : condition,
  );
}

function dropRule(policy: PolicyIr, index: number): PolicyIr {
  return { ...policy, rules: policy.rules.filter((_, i) => i !== index) };
}
