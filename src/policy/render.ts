import { authoredList, conditionKey } from './field.ts';
import type { AlternativeIr, ConditionIr, PolicyIr, RuleIr } from './ir.ts';

/** The AuthorizationPolicy resource of a policy as YAML, in Istio's field names. */
export function renderPolicy(policy: PolicyIr): string {
  const { labels, annotations, matchLabels, targets } = policy.origin;
  const lines = [
    'apiVersion: security.istio.io/v1',
    'kind: AuthorizationPolicy',
    'metadata:',
    `  name: ${scalar(policy.name)}`,
    `  namespace: ${scalar(policy.namespace)}`,
    ...mapping('labels', labels, '  '),
    ...mapping('annotations', annotations, '  '),
    'spec:',
    ...(matchLabels === undefined
      ? []
      : ['  selector:', ...mapping('matchLabels', matchLabels, '    ')]),
    ...(targets.length === 0 ? [] : ['  targetRefs:']),
    ...targets.flatMap((target) => [
      `    - kind: ${scalar(target.kind)}`,
      `      name: ${scalar(target.name)}`,
    ]),
    `  action: ${policy.action}`,
    ...(policy.provider === undefined
      ? []
      : ['  provider:', `    name: ${scalar(policy.provider)}`]),
    ...(policy.rules.length === 0 ? [] : ['  rules:']),
    ...policy.rules.flatMap(renderRule),
  ];
  return `${lines.join('\n')}\n`;
}

/** What changed from one text to another: lines with ` `, `-` or `+` before them, three of context. */
export function renderDiff(before: string, after: string): string {
  const old = linesOf(before);
  const now = linesOf(after);
  let start = 0;
  while (start < old.length && start < now.length && old[start] === now[start]) start++;
  let end = 0;
  const most = Math.min(old.length, now.length) - start;
  while (end < most && old[old.length - 1 - end] === now[now.length - 1 - end]) end++;
  const kept = old.slice(Math.max(0, start - 3), start);
  const after3 = old.slice(old.length - end, old.length - end + 3);
  return [
    ...kept.map((line) => ` ${line}`),
    ...old.slice(start, old.length - end).map((line) => `-${line}`),
    ...now.slice(start, now.length - end).map((line) => `+${line}`),
    ...after3.map((line) => ` ${line}`),
  ].join('\n');
}

function linesOf(text: string): readonly string[] {
  return text === '' ? [] : text.trimEnd().split('\n');
}

function renderRule(rule: RuleIr): string[] {
  const parts = [
    ...alternatives('from', 'source', rule.sources),
    ...alternatives('to', 'operation', rule.operations),
    ...when(rule.when),
  ];
  if (parts.length === 0) return ['    - {}'];
  return parts.map((line, index) => (index === 0 ? `    - ${line}` : `      ${line}`));
}

function alternatives(list: string, item: string, all: readonly AlternativeIr[]): string[] {
  if (all.length === 0) return [];
  return [
    `${list}:`,
    ...all.flatMap((conditions) => [
      `  - ${item}:`,
      ...conditions.map((condition) => `      ${authoredField(condition)}: ${values(condition)}`),
    ]),
  ];
}

function when(conditions: AlternativeIr): string[] {
  if (conditions.length === 0) return [];
  return [
    'when:',
    ...conditions.flatMap((condition) => [
      `  - key: ${scalar(conditionKey(condition.field) ?? condition.field)}`,
      `    ${condition.negated ? 'notValues' : 'values'}: ${values(condition)}`,
    ]),
  ];
}

function authoredField({ field, negated }: ConditionIr): string {
  return authoredList(field, negated) ?? field;
}

function values(condition: ConditionIr): string {
  const texts = condition.patterns.map((pattern) => JSON.stringify(pattern.text));
  return `[${texts.join(', ')}]`;
}

function mapping(
  name: string,
  entries: Readonly<Record<string, string>>,
  indent: string,
): string[] {
  const pairs = Object.entries(entries);
  if (pairs.length === 0) return [];
  return [
    `${indent}${name}:`,
    ...pairs.map(([key, value]) => `${indent}  ${scalar(key)}: ${scalar(value)}`),
  ];
}

/** Plain where YAML surely reads it as that string, else in JSON's quotes, which YAML 1.2 reads. */
function scalar(text: string): string {
  const plain = /^[A-Za-z][A-Za-z0-9._/-]*$/.test(text);
  const word = /^(?:true|false|null|yes|no|on|off|y|n)$/i.test(text);
  return plain && !word ? text : JSON.stringify(text);
}
