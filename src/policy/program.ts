import { DecisionCache, isCacheable } from './decision-cache.ts';
import { allNeeds, type Needs } from './facts.ts';
import type { PolicyIr, PolicyOptions } from './ir.ts';
import { evaluateOverlay, type Overlay, overlayOf } from './overlay.ts';
import type { Decision, Question } from './question.ts';
import { CANNOT_DECIDE, compileParts, evaluateSide, type Parts } from './side.ts';

/** Compiled policies of one workload; opaque, made by `compileProgram`, asked through `decide`. */
export type Program = {
  /** How many rules went in, dry-run ones included. */
  readonly ruleCount: number;
  /** What questions have to hold besides what every question does; the rest may be left out. */
  readonly reads: ProgramReads;
  /** Throws where `decide` denies with `cannot_decide`; call that instead. */
  readonly evaluate: (question: Question) => Decision;
};

/** What some rule of a program reads. */
export type ProgramReads = {
  readonly headers: boolean;
  readonly claims: boolean;
  readonly remoteIp: boolean;
  readonly destinationIp: boolean;
  /** The verdict may change by the clock alone, at a full minute or at the end of an exception. */
  readonly time: boolean;
};

/**
 * The verdict on a question, in time that does not depend on the number of rules. Total: without a
 * program, or if evaluating fails, the answer is a denial with `cannot_decide`.
 */
export function decide(program: Program | undefined, question: Question): Decision {
  if (program === undefined) return CANNOT_DECIDE;
  try {
    return program.evaluate(question);
  } catch {
    // SECURITY: a question that breaks the evaluator must be denied, not waved through.
    return CANNOT_DECIDE;
  }
}

/**
 * Compiles the policies that apply to a workload, in the order in which they shall be reported. Where
 * `previous` was compiled of nearly the same ones, which are recognised by identity, only those that
 * changed are compiled.
 */
export function compileProgram(
  policies: readonly PolicyIr[],
  options: PolicyOptions,
  previous?: Program,
): Program {
  const before = previous && MADE_OF.get(previous);
  if (previous !== undefined && before !== undefined && isMadeOf(before, policies, options)) {
    return previous;
  }
  const overlay = before && overlayOf(before, policies, options);
  return overlay === undefined
    ? wholeProgram(policies, options)
    : overlaidProgram(policies, options, overlay);
}

/** What a program was made of: `base` compiled as one to `parts`, and the policies that count. */
export type Made = {
  readonly base: readonly PolicyIr[];
  readonly parts: Parts;
  readonly policies: readonly PolicyIr[];
  readonly options: PolicyOptions;
};

const MADE_OF = new WeakMap<Program, Made>();

function wholeProgram(policies: readonly PolicyIr[], options: PolicyOptions): Program {
  const parts = compileParts(policies, options);
  const { matcher, code, http, tcp } = parts;
  const program: Program = {
    ruleCount: countRules(policies),
    reads: readsOf(matcher.needs),
    evaluate: remembered(matcher.needs, (question) => {
      matcher.match(question);
      return evaluateSide(question.request === undefined ? tcp : http, code);
    }),
  };
  MADE_OF.set(program, { base: policies, parts, policies, options });
  return program;
}

function overlaidProgram(
  policies: readonly PolicyIr[],
  options: PolicyOptions,
  overlay: Overlay,
): Program {
  const { base, added } = overlay;
  const needs = allNeeds(base.matcher.needs, added.matcher.needs);
  const program: Program = {
    ruleCount: countRules(policies),
    reads: readsOf(needs),
    evaluate: remembered(needs, (question) => evaluateOverlay(overlay, question)),
  };
  MADE_OF.set(program, { base: overlay.basePolicies, parts: base, policies, options });
  return program;
}

/** Decisions that depend on little are remembered, by a cache of this program's own. */
function remembered(needs: Needs, evaluate: Program['evaluate']): Program['evaluate'] {
  if (!isCacheable(needs)) return evaluate;
  const cache = new DecisionCache(needs, evaluate);
  return (question) => cache.decide(question);
}

function countRules(policies: readonly PolicyIr[]): number {
  return policies.reduce((sum, policy) => sum + policy.rules.length, 0);
}

function readsOf(needs: Needs): ProgramReads {
  const { headers, claims, time, remoteAddress, destinationAddress } = needs;
  return { headers, claims, remoteIp: remoteAddress, destinationIp: destinationAddress, time };
}

function isMadeOf(made: Made, policies: readonly PolicyIr[], options: PolicyOptions): boolean {
  return (
    made.options.defaultAction === options.defaultAction &&
    made.policies.length === policies.length &&
    made.policies.every((policy, i) => policy === policies[i])
  );
}
