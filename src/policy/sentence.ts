import { fieldText } from './condition.ts';
import type { ConditionIr, Field } from './ir.ts';
import type { Question } from './question.ts';

/** The field in words, as sentences name it. */
export const FIELD_WORDS: Readonly<Record<Field, string>> = {
  principal: 'principal',
  namespace: 'namespace',
  serviceAccount: 'service account',
  ip: 'source address',
  method: 'method',
  host: 'host',
  path: 'path',
  port: 'port',
  sni: 'server name',
};

/** Why a condition does not hold for a question, e.g. "path `/admin` is not one of `/api/*`". */
export function failedSentence(condition: ConditionIr, question: Question): string {
  const values = listed(condition.patterns.map((pattern) => pattern.text));
  const what = FIELD_WORDS[condition.field];
  const value = shownValue(condition.field, question);
  if (value === undefined)
    return `${absentWords(condition.field)}, and ${what} must be one of ${values}`;
  const verb = condition.negated ? 'is one of the excluded' : 'is not one of';
  return `${what} \`${value}\` ${verb} ${values}`;
}

/** The value of a field as a policy's author would write it; undefined where absent. */
export function shownValue(field: Field, question: Question): string | undefined {
  const { id } = question.source;
  if (field === 'ip') return question.source.ip;
  if (field === 'port') return String(question.destination.port);
  if (field === 'principal') return id?.text.slice('spiffe://'.length);
  if (field === 'namespace') return id?.namespace ?? id?.text;
  if (field === 'serviceAccount' && id?.namespace !== undefined) {
    return `${id.namespace}/${id.serviceAccount ?? ''}`;
  }
  return fieldText(field, question);
}

/** The caller in words. */
export function callerWords(question: Question): string {
  const { id } = question.source;
  return id === undefined ? 'a caller without identity' : `\`${id.text}\``;
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
    default:
      return `the connection has no ${FIELD_WORDS[field]}`;
  }
}
