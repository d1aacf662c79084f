// policy: a question about one call in, a decision out. Pure, total, and deny wherever in doubt.
export { type Claims, normalizeClaims } from './claims.ts';
export { type ExplainOptions, explain } from './explain.ts';
export type {
  ConsideredPolicy,
  ConsideredRule,
  ExplainedWorkload,
  Explanation,
  SmallestChange,
} from './explanation.ts';
export {
  claimPathOf,
  type Field,
  fieldOfList,
  fieldWords,
  headerNameOf,
  parseConditionKey,
} from './field.ts';
export type {
  AlternativeIr,
  ConditionIr,
  ExceptionIr,
  Pattern,
  PolicyAction,
  PolicyIr,
  PolicyOptions,
  PolicyOrigin,
  RuleIr,
  TextPattern,
} from './ir.ts';
export { decideNaively } from './naive.ts';
export {
  type AuthoredCondition,
  headerText,
  type PatternScope,
  parseCondition,
  textMatches,
} from './pattern.ts';
export { compileProgram, decide, type Program, type ProgramReads } from './program.ts';
export type {
  Consultation,
  Decision,
  Question,
  ReasonCode,
  RequestFacts,
  RequestHeaders,
} from './question.ts';
export { compileForSomeUser, decideForSomeUser } from './some-user.ts';
export type { TracedCondition } from './trace.ts';
