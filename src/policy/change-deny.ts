import type { Step } from './change.ts';
import { exactly, replaceRule } from './change-allow.ts';
import type { AlternativeIr, ConditionIr, Field, PolicyIr, RuleIr } from './ir.ts';
import { ruleMatches } from './naive.ts';
import type { Question } from './question.ts';
import { callerWords, FIELD_WORDS, shownValue } from './sentence.ts';

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
  const field = question.request === undefined ? 'port' : 'path';
  const excluded = `exclude ${FIELD_WORDS[field]} \`${shownValue(field, question)}\` from`;
  const tries: readonly (() => Narrowed | undefined)[] = [
    () => worded(withoutCaller(rule, question), `take ${caller} out of`),
    () => worded(exceptFor('principal', rule, policy, question), `exclude ${caller} from`),
    () => worded(exceptFor(field, rule, policy, question), excluded),
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

/** Without the caller in lists of principals that name it and somebody else. */
function withoutCaller(rule: RuleIr, question: Question): RuleIr | undefined {
  let changed = false;
  const sources = rule.sources.map((source) =>
    source.map((condition) => {
      if (!names(condition, 'principal', question)) return condition;
      const patterns = condition.patterns.filter((pattern) => !isExactly(pattern, question));
      if (patterns.length === 0) return condition;
      changed = true;
      return { ...condition, patterns };
    }),
  );
  return changed ? { ...rule, sources } : undefined;
}

/** With the question's own value of `field` excluded, unless an alternative names just that value. */
function exceptFor(
  field: Field,
  rule: RuleIr,
  policy: PolicyIr,
  question: Question,
): RuleIr | undefined {
  const value = shownValue(field, question);
  const except = value === undefined ? undefined : exactly(field, value, policy, question);
  if (except === undefined) return undefined;
  const part = field === 'principal' ? 'sources' : 'operations';
  const all: readonly AlternativeIr[] = rule[part].length === 0 ? [[]] : rule[part];
  if (all.flat().some((condition) => names(condition, field, question))) return undefined;
  return { ...rule, [part]: all.map((alternative) => excluding(alternative, except)) };
}

function excluding(alternative: AlternativeIr, except: ConditionIr): AlternativeIr {
  const { field, patterns } = except;
  const at = alternative.findIndex((condition) => condition.field === field && condition.negated);
  if (at < 0) return [...alternative, { field, negated: true, patterns }];
  return alternative.map((condition, index) =>
    index === at ? { ...condition, patterns: [...condition.patterns, ...patterns] } : condition,
  );
}

function names(condition: ConditionIr, field: Field, question: Question): boolean {
  if (condition.field !== field || condition.negated) return false;
  const value = shownValue(field, question);
  return condition.patterns.some(
    (pattern) => isExactly(pattern, question) || pattern.text === value,
  );
}

function isExactly(pattern: ConditionIr['patterns'][number], question: Question): boolean {
  return pattern.kind === 'exact' && pattern.value === question.source.id?.text;
}

function dropRule(policy: PolicyIr, index: number): PolicyIr {
  return { ...policy, rules: policy.rules.filter((_, i) => i !== index) };
}
