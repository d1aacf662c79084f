import { attestationRank } from '#identity';
import { cidrContains, parseIp, windowHolds } from '#lib';
import { claimText, collectClaim } from './claims.ts';
import { claimPathOf, type Field, headerNameOf, isAddressField, isHttpField } from './field.ts';
import type { AlternativeIr, ConditionIr, Pattern, PolicyAction, PolicyIr, RuleIr } from './ir.ts';
import { textMatches } from './pattern.ts';
import { localIdOf, type Question } from './question.ts';

/** The texts of a question's field as conditions see them: none where absent, several of headers and claims. */
export function fieldTexts(field: Field, question: Question): readonly string[] {
  const header = headerNameOf(field);
  const claim = claimPathOf(field);
  const into: string[] = [];
  if (header !== undefined) question.request?.headers?.collect(header, into);
  else if (claim !== undefined) collectClaim(question.request?.claims, claim, into);
  else {
    const text = plainText(field, question);
    if (text !== undefined) into.push(text);
  }
  return into;
}

/** Whether a condition holds, by looking at each of its patterns. Throws if the address is no address. */
export function conditionHolds(condition: ConditionIr, question: Question): boolean {
  const matched = condition.patterns.some((one) => patternHolds(one, condition.field, question));
  return matched !== condition.negated;
}

/** Why a question cannot be judged by policies: what some rule reads and nobody could; undefined if all is there. */
export function unreadable(policies: readonly PolicyIr[], question: Question): string | undefined {
  for (const field of fieldsRead(policies)) {
    if (isAddressField(field)) {
      const text = addressText(field, question);
      if (text === undefined || parseIp(text) === undefined) {
        return `the ${field === 'destinationIp' ? 'destination' : 'source'} address is not an IP address`;
      }
    }
    const { request } = question;
    if (headerNameOf(field) !== undefined && request !== undefined && request.headers === undefined)
      return 'the headers of the request are not known';
  }
  return undefined;
}

/** A rule as it reads for the kind of traffic at hand; undefined where it is void for it. */
export function ruleFor(
  rule: RuleIr,
  action: PolicyAction,
  traffic: 'http' | 'tcp',
): RuleIr | undefined {
  if (traffic === 'http') return rule;
  if (!conditionsOf(rule).some((condition) => isHttpField(condition.field))) return rule;
  // SECURITY: on a TCP connection nobody can tell the method or path. As in Istio such an ALLOW rule
  // allows nothing, and any other one denies or asks about whatever its other conditions match.
  if (action === 'ALLOW') return undefined;
  return {
    sources: rule.sources.map(withoutHttp),
    operations: rule.operations.map(withoutHttp),
    when: withoutHttp(rule.when),
  };
}

/** All conditions of a rule, wherever they stand. */
export function conditionsOf(rule: RuleIr): readonly ConditionIr[] {
  return [...rule.sources.flat(), ...rule.operations.flat(), ...rule.when];
}

/** The address that a field is, as text. */
export function addressText(field: Field, question: Question): string | undefined {
  if (field === 'ip') return question.source.ip;
  return field === 'remoteIp' ? question.source.remoteIp : question.destination.ip;
}

function fieldsRead(policies: readonly PolicyIr[]): ReadonlySet<Field> {
  const fields = new Set<Field>();
  for (const { rules, exceptions = [] } of policies) {
    for (const rule of [...rules, ...exceptions.flatMap((exception) => exception.rules)]) {
      for (const condition of conditionsOf(rule)) fields.add(condition.field);
    }
  }
  return fields;
}

function patternHolds(pattern: Pattern, field: Field, question: Question): boolean {
  switch (pattern.kind) {
    case 'port':
      return pattern.port === question.destination.port;
    case 'block': {
      const ip = parseIp(addressText(field, question) ?? '');
      if (ip === undefined) throw new Error('an address is not an IP address');
      return cidrContains(pattern.block, ip);
    }
    case 'issuerSubject': {
      const claims = question.request?.claims;
      const issuer = claimText(claims, 'iss');
      const subject = claimText(claims, 'sub');
      if (issuer === undefined || subject === undefined) return false;
      return textMatches(pattern.issuer, issuer) && textMatches(pattern.subject, subject);
    }
    case 'strength':
      return attestationRank(question.source.attestation ?? '') >= pattern.rank;
    case 'window':
      return windowHolds(pattern.window, question.nowMs);
    default:
      return fieldTexts(field, question).some((text) => textMatches(pattern, text));
  }
}

function plainText(field: Field, question: Question): string | undefined {
  switch (field) {
    case 'principal':
      return question.source.id?.text;
    case 'namespace':
    case 'serviceAccount':
      return localIdOf(question);
    case 'method':
      return question.request?.method;
    case 'host':
      return question.request?.host.toLowerCase();
    case 'path':
      return question.request?.path;
    case 'sni':
      return question.connection.sni;
    default:
      return undefined;
  }
}

function withoutHttp(alternative: AlternativeIr): AlternativeIr {
  return alternative.filter((condition) => !isHttpField(condition.field));
}
