import { cidrContains, parseIp } from '#lib';
import {
  type AlternativeIr,
  type ConditionIr,
  type Field,
  HTTP_FIELDS,
  type PolicyIr,
  type RuleIr,
} from './ir.ts';
import { textMatches } from './pattern.ts';
import type { Question } from './question.ts';

/** The text of a question's field as conditions see it; undefined where absent, and for address and port. */
export function fieldText(field: Field, question: Question): string | undefined {
  switch (field) {
    case 'principal':
    case 'namespace':
    case 'serviceAccount':
      return question.source.id?.text;
    case 'method':
      return question.request?.method;
    case 'host':
      return question.request?.host.toLowerCase();
    case 'path':
      return question.request?.path;
    case 'sni':
      return question.connection.sni;
    case 'ip':
    case 'port':
      return undefined;
  }
}

/** Whether a condition holds, by looking at each of its patterns. Throws if the address is no address. */
export function conditionHolds(condition: ConditionIr, question: Question): boolean {
  const matched = condition.patterns.some((pattern) => {
    if (pattern.kind === 'port') return pattern.port === question.destination.port;
    if (pattern.kind === 'block') {
      const ip = parseIp(question.source.ip);
      if (ip === undefined) throw new Error('the source address is not an IP address');
      return cidrContains(pattern.block, ip);
    }
    const value = fieldText(condition.field, question);
    return value !== undefined && textMatches(pattern, value);
  });
  return matched !== condition.negated;
}

/** A rule as it reads for the kind of traffic at hand; undefined where it is void for it. */
export function ruleFor(
  rule: RuleIr,
  action: PolicyIr['action'],
  traffic: 'http' | 'tcp',
): RuleIr | undefined {
  if (traffic === 'http') return rule;
  const all = [...rule.sources.flat(), ...rule.operations.flat(), ...rule.when];
  if (!all.some((condition) => HTTP_FIELDS.has(condition.field))) return rule;
  // SECURITY: on a TCP connection nobody can tell the method or path. As in Istio such an ALLOW rule
  // allows nothing, and such a DENY rule denies whatever its other conditions match.
  if (action === 'ALLOW') return undefined;
  return {
    sources: rule.sources.map(withoutHttp),
    operations: rule.operations.map(withoutHttp),
    when: withoutHttp(rule.when),
  };
}

/** Whether any condition of the policies reads the source address. */
export function readsAddress(policies: readonly PolicyIr[]): boolean {
  return policies.some((policy) =>
    policy.rules.some((rule) =>
      [...rule.sources.flat(), ...rule.operations.flat(), ...rule.when].some(
        (condition) => condition.field === 'ip',
      ),
    ),
  );
}

function withoutHttp(alternative: AlternativeIr): AlternativeIr {
  return alternative.filter((condition) => !HTTP_FIELDS.has(condition.field));
}
