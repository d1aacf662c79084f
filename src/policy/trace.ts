import { conditionHolds } from './condition.ts';
import { type Field, fieldWords } from './field.ts';
import type { AlternativeIr, ConditionIr, RuleIr } from './ir.ts';
import type { Question } from './question.ts';
import { failedSentence, shownValue } from './sentence.ts';

/**
 * What became of one condition of one rule. `at` and `alternative` say where it stands (`from[1]` is
 * the second source), `index` its place there; `sentence` says it in words, e.g. "method `GET` is one
 * of `GET`, `HEAD`".
 */
export type TracedCondition = {
  readonly at: 'from' | 'to' | 'when';
  readonly alternative: number;
  readonly index: number;
  readonly field: Field;
  readonly negated: boolean;
  readonly holds: boolean;
  readonly sentence: string;
};

/** Every condition of a rule held against a question, in the order in which they are written. */
export function traceRule(rule: RuleIr, question: Question): readonly TracedCondition[] {
  const trace = (at: TracedCondition['at'], alternatives: readonly AlternativeIr[]) =>
    alternatives.flatMap((alternative, number) =>
      alternative.map((condition, index) => ({
        at,
        alternative: number,
        index,
        field: condition.field,
        negated: condition.negated,
        ...outcome(condition, question),
      })),
    );
  return [
    ...trace('from', rule.sources),
    ...trace('to', rule.operations),
    ...trace('when', [rule.when]),
  ];
}

function outcome(
  condition: ConditionIr,
  question: Question,
): { readonly holds: boolean; readonly sentence: string } {
  const holds = conditionHolds(condition, question);
  const sentence = holds ? heldSentence(condition, question) : failedSentence(condition, question);
  return { holds, sentence };
}

function heldSentence(condition: ConditionIr, question: Question): string {
  const what = fieldWords(condition.field);
  const value = shownValue(condition.field, question);
  if (value === undefined) return `there is no ${what} that could be one of the excluded`;
  const written = [...new Set(condition.patterns.map((pattern) => `\`${pattern.text}\``))];
  const shown = written.slice(0, MOST_LISTED).join(', ');
  const more = written.length - MOST_LISTED;
  const verb = condition.negated ? 'is none of the excluded' : 'is one of';
  return `${what} \`${value}\` ${verb} ${shown}${more > 0 ? ` and ${more} more` : ''}`;
}

const MOST_LISTED = 5;
