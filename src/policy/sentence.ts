import { claimText } from './claims.ts';
import { addressText, fieldTexts } from './condition.ts';
import { type Field, fieldWords, isAddressField } from './field.ts';
import type { ConditionIr } from './ir.ts';
import type { Question } from './question.ts';

/** Why a condition does not hold for a question, e.g. "path `/admin` is not one of `/api/*`". */
export function failedSentence(condition: ConditionIr, question: Question): string {
  const values = listed(condition.patterns.map((pattern) => pattern.text));
  const what = fieldWords(condition.field);
  const value = shownValue(condition.field, question);
  if (value === undefined)
    return `${absentWords(condition.field)}, and ${what} must be one of ${values}`;
  const verb = condition.negated ? 'is one of the excluded' : 'is not one of';
  return `${what} \`${value}\` ${verb} ${values}`;
}

/** The value of a field as a policy's author would write it; undefined where absent. */
export function shownValue(field: Field, question: Question): string | undefined {
  const { id } = question.source;
  if (isAddressField(field)) return addressText(field, question);
  if (field === 'attestation') return question.source.attestation;
  if (field === 'time') return new Date(question.nowMs).toISOString();
  if (field === 'requestPrincipal') return requestPrincipalOf(question);
  if (field === 'port') return String(question.destination.port);
  if (field === 'principal') return id?.text.slice('spiffe://'.length);
  if (field === 'namespace') return id?.namespace ?? id?.text;
  if (field === 'serviceAccount' && id?.namespace !== undefined) {
    return `${id.namespace}/${id.serviceAccount ?? ''}`;
  }
  const texts = fieldTexts(field, question);
  return texts.length === 0 ? undefined : texts.join(', ');
}

/** The caller in words. */
export function callerWords(question: Question): string {
  const { id } = question.source;
  return id === undefined ? 'a caller without identity' : `\`${id.text}\``;
}

function requestPrincipalOf({ request }: Question): string | undefined {
  const issuer = claimText(request?.claims, 'iss');
  const subject = claimText(request?.claims, 'sub');
  return issuer === undefined || subject === undefined ? undefined : `${issuer}/${subject}`;
}

const MOST_LISTED = 5;

function listed(values: readonly string[]): string {
  const unique = [...new Set(values)];
  const shown = unique.slice(0, MOST_LISTED).map((value) => `\`${value}\``);
  const more = unique.length - shown.length;
  return more > 0 ? `${shown.join(', ')} and ${more} more` : shown.join(', ');
}

function absentWords(field: Field): string {
  switch (field) {
    case 'principal':
    case 'namespace':
    case 'serviceAccount':
      return 'the caller has no identity';
    case 'sni':
      return 'the connection names no server';
    case 'requestPrincipal':
      return 'the request carries no token';
    case 'attestation':
      return 'how the caller was attested is not known';
    default:
      if (field.startsWith('header:')) return `the request has no ${fieldWords(field)}`;
      if (field.startsWith('claim:')) return `the request's token has no ${fieldWords(field)}`;
      return `the connection has no ${fieldWords(field)}`;
  }
}
