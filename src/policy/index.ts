// policy: a question about one call in, a decision out. Pure, total, and deny wherever in doubt.
export { type ExplainOptions, explain } from './explain.ts';
export type {
  ConsideredPolicy,
  ConsideredRule,
  ExplainedWorkload,
  Explanation,
  SmallestChange,
} from './explanation.ts';
export type {
  AlternativeIr,
  ConditionIr,
  Field,
  Pattern,
  PolicyIr,
  PolicyOptions,
  PolicyOrigin,
  RuleIr,
} from './ir.ts';
export { decideNaively } from './naive.ts';
export {
  type AuthoredCondition,
  type PatternScope,
  parseCondition,
  textMatches,
} from './pattern.ts';
export { compileProgram, decide, type Program } from './program.ts';
export type { Decision, Question, ReasonCode } from './question.ts';
export type { TracedCondition } from './trace.ts';
