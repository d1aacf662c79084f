import type { Denied, Step } from './change.ts';
import { type Field, fieldWords } from './field.ts';
import type { AlternativeIr, ConditionIr, Pattern, PolicyIr, RuleIr } from './ir.ts';
import type { NearRule } from './nearest.ts';
import { parseCondition } from './pattern.ts';
import type { Question } from './question.ts';
import { callerWords, shownValue } from './sentence.ts';

/** The nearest rule with the one missing value in its one failing list; undefined if more would have to change. */
export function extendRule(near: NearRule, question: Question): Step | undefined {
  const [failed, ...more] = near.failed;
  if (failed === undefined || more.length > 0 || failed.negated) return undefined;
  // A namespace or a network is more than this caller, so naming the caller in a policy is smaller.
  if (!EXTENDABLE.has(failed.field)) return undefined;
  if (failed.field === 'serviceAccount' && failed.patterns.length >= MOST_ACCOUNTS)
    return undefined;
  const value = shownValue(failed.field, question);
  const added =
    value === undefined ? undefined : exactly(failed.field, value, near.policy, question);
  if (value === undefined || added === undefined) return undefined;
  const extended = { ...failed, patterns: [...failed.patterns, ...added.patterns] };
  const after = replaceRule(near.policy, near.index, (rule) => replaced(rule, failed, extended));
  const what = `add ${fieldWords(failed.field)} \`${value}\` to rule ${near.index} of \`${near.policy.id}\``;
  const widens = !isCallersOwn(near, question) && !CALLER_FIELDS.has(failed.field);
  const sentence = widens ? `${what}, which allows it to all callers of that rule` : what;
  return { kind: 'extend_rule', sentence, before: near.policy, after };
}

// The others are more than this caller (its namespace, a network), or not the caller's to have: what
// a token or a header says, when the call came.
const EXTENDABLE: ReadonlySet<Field> = new Set<Field>([
  'principal',
  'serviceAccount',
  'method',
  'host',
  'path',
  'port',
  'sni',
]);

// Istio's bound on `serviceAccounts`, which validation keeps.
const MOST_ACCOUNTS = 16;

/** A new ALLOW policy for just this caller and this operation. */
export function newPolicy(denied: Denied): Step {
  const { question } = denied;
  const workload = denied.options.workload ?? { namespace: 'default', service: 'workload' };
  const caller = question.source.id?.serviceAccount ?? 'caller';
  const name = `allow-${caller}-to-${workload.service}`.toLowerCase().slice(0, 63);
  const id = `${workload.namespace}/${unusedName(name, workload.namespace, denied.policies)}`;
  const fields: readonly Field[] = question.request === undefined ? ['port'] : ['method', 'path'];
  const scope = { namespace: workload.namespace };
  const after: PolicyIr = {
    id,
    namespace: workload.namespace,
    name: id.slice(workload.namespace.length + 1),
    action: 'ALLOW',
    dryRun: false,
    rules: [
      {
        sources: [conditions(['principal'], scope, question)],
        operations: [conditions(fields, scope, question)],
        when: [],
      },
    ],
    origin: {
      labels: {},
      annotations: {},
      matchLabels: { app: workload.service },
      targets: [],
    },
  };
  const sentence = `add a policy that lets ${callerWords(question)} ${operationWords(question)}`;
  return { kind: 'add_policy', sentence, before: undefined, after };
}

/** Whether a pattern names the question's caller and nobody else. */
export function isCaller(pattern: Pattern, question: Question): boolean {
  const { id } = question.source;
  if (pattern.kind === 'serviceAccount') {
    return pattern.namespace === id?.namespace && pattern.account === id.serviceAccount;
  }
  return pattern.kind === 'exact' && pattern.value === id?.text;
}

/** A policy with one of its rules replaced. */
export function replaceRule(
  policy: PolicyIr,
  index: number,
  change: (rule: RuleIr) => RuleIr,
): PolicyIr {
  return {
    ...policy,
    rules: policy.rules.map((rule, i) => (i === index ? change(rule) : rule)),
  };
}

/** The condition that `field` is exactly `value`, as the author of `policy` would write it. */
export function exactly(
  field: Field,
  value: string,
  policy: { readonly namespace: string },
  question: Question,
): ConditionIr | undefined {
  const parsed = parseCondition(
    { field, negated: false, values: [value] },
    { trustDomain: question.source.id?.trustDomain ?? '', namespace: policy.namespace },
  );
  return parsed.ok ? parsed.value : undefined;
}

function conditions(
  fields: readonly Field[],
  scope: { readonly namespace: string },
  question: Question,
): AlternativeIr {
  return fields.flatMap((field) => {
    const value = shownValue(field, question);
    return (value === undefined ? undefined : exactly(field, value, scope, question)) ?? [];
  });
}

function replaced(rule: RuleIr, from: ConditionIr, to: ConditionIr): RuleIr {
  const swap = (all: AlternativeIr) =>
    all.map((condition) => (condition === from ? to : condition));
  return {
    sources: rule.sources.map(swap),
    operations: rule.operations.map(swap),
    when: swap(rule.when),
  };
}

const CALLER_FIELDS: ReadonlySet<Field> = new Set(['principal', 'serviceAccount']);

/** Whether a rule is for the question's caller alone, so that extending it widens nothing else. */
function isCallersOwn(near: NearRule, question: Question): boolean {
  const sources = near.policy.rules[near.index]?.sources ?? [];
  const isOwn = ({ field, negated, patterns }: ConditionIr) =>
    CALLER_FIELDS.has(field) && !negated && patterns.every((one) => isCaller(one, question));
  return sources.length > 0 && sources.every((source) => source.some(isOwn));
}

function operationWords({ request, destination }: Question): string {
  return request === undefined
    ? `connect to port ${destination.port}`
    : `call \`${request.method} ${request.path}\``;
}

function unusedName(name: string, namespace: string, policies: readonly PolicyIr[]): string {
  const used = new Set(policies.map((policy) => policy.id));
  if (!used.has(`${namespace}/${name}`)) return name;
  const numbers = Array.from({ length: used.size + 1 }, (_, i) => `${name.slice(0, 58)}-${i + 2}`);
  return numbers.find((candidate) => !used.has(`${namespace}/${candidate}`)) ?? name;
}
