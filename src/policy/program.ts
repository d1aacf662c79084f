import { ruleFor } from './condition.ts';
import type { AlternativeIr, PolicyIr, PolicyOptions, RuleIr } from './ir.ts';
import { Matcher } from './matcher.ts';
import type { Decision, Question } from './question.ts';
import { type Clause, writeTree } from './tree.ts';
import { NO_MATCH, type Node } from './tree-code.ts';
import { CodeWriter } from './tree-writer.ts';

/** Compiled policies of one workload; opaque, made by `compileProgram`, asked through `decide`. */
export type Program = {
  /** How many rules went in, dry-run ones included. */
  readonly ruleCount: number;
  /** Throws where `decide` denies with `cannot_decide`; call that instead. */
  readonly evaluate: (question: Question) => Decision;
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

/** Compiles the policies that apply to a workload, in the order in which they shall be reported. */
export function compileProgram(policies: readonly PolicyIr[], options: PolicyOptions): Program {
  const enforced = policies.filter((policy) => !policy.dryRun);
  const matcher = new Matcher();
  const writer = new CodeWriter(matcher);
  const write = (clauses: readonly Clause[]) => writeTree(clauses, matcher, writer);
  const http = compileSide(enforced, 'http', { options, write });
  const tcp = compileSide(enforced, 'tcp', { options, write });
  const trials = policies
    .filter((policy) => policy.dryRun)
    .map((policy) => compileTrial(policy, write));
  const code = writer.finish();
  return {
    ruleCount: policies.reduce((sum, policy) => sum + policy.rules.length, 0),
    evaluate(question) {
      matcher.match(question);
      const isTcp = question.request === undefined;
      const side = isTcp ? tcp : http;
      const denied = code.search(side.deny.tree);
      const allowed = denied === NO_MATCH ? code.search(side.allow.tree) : NO_MATCH;
      const decision = outcome(side, denied, allowed);
      if (trials.length === 0) return decision;
      const dryRun = trials.map((trial) => {
        const matched = code.search(isTcp ? trial.tcp : trial.http) !== NO_MATCH;
        return { policy: trial.policy, verdict: trialVerdict(trial.action, matched, decision) };
      });
      return { ...decision, dryRun };
    },
  };
}

const NO_DRY_RUN: Decision['dryRun'] = Object.freeze([]);

/** The answer where there is nothing to answer with. */
export const CANNOT_DECIDE: Decision = decision('deny', 'cannot_decide');

type Action = PolicyIr['action'];
type Traffic = 'http' | 'tcp';
type Write = (clauses: readonly Clause[]) => Node;
/** `decisions` are by ordinal. */
type Ruleset = { readonly tree: Node; readonly decisions: readonly Decision[] };
type Side = { readonly deny: Ruleset; readonly allow: Ruleset; readonly otherwise: Decision };
type Trial = {
  readonly policy: string;
  readonly action: Action;
  readonly http: Node;
  readonly tcp: Node;
};

function compileSide(
  policies: readonly PolicyIr[],
  traffic: Traffic,
  { options, write }: { readonly options: PolicyOptions; readonly write: Write },
): Side {
  const closed = policies.some((policy) => policy.action === 'ALLOW');
  const byDefault =
    options.defaultAction === 'allow'
      ? decision('allow', 'allowed_by_default')
      : decision('deny', 'default_deny');
  return {
    deny: compileRuleset(ofAction(policies, 'DENY'), traffic, write),
    allow: compileRuleset(ofAction(policies, 'ALLOW'), traffic, write),
    otherwise: closed ? decision('deny', 'no_policy_allows') : byDefault,
  };
}

/** All rules of policies, numbered in order; a decision for each is made here, not per question. */
function compileRuleset(policies: readonly PolicyIr[], traffic: Traffic, write: Write): Ruleset {
  const clauses: Clause[] = [];
  const decisions: Decision[] = [];
  for (const policy of policies) {
    for (const [index, rule] of policy.rules.entries()) {
      const applied = ruleFor(rule, policy.action, traffic);
      if (applied !== undefined) clauses.push(...clausesOf(applied, decisions.length));
      decisions.push(
        policy.action === 'DENY'
          ? decision('deny', 'policy_denied', policy.id, index)
          : decision('allow', 'allowed_by_policy', policy.id, index),
      );
    }
  }
  return { tree: write(clauses), decisions };
}

function compileTrial(policy: PolicyIr, write: Write): Trial {
  const tree = (traffic: Traffic) => compileRuleset([policy], traffic, write).tree;
  return { policy: policy.id, action: policy.action, http: tree('http'), tcp: tree('tcp') };
}

function ofAction(policies: readonly PolicyIr[], action: Action): readonly PolicyIr[] {
  return policies.filter((policy) => policy.action === action);
}

// Sources times operations become clauses of their own up to here; real rules have one or two of each.
const MAX_COMBINATIONS = 64;

function clausesOf(rule: RuleIr, ordinal: number): readonly Clause[] {
  const sources = rule.sources.length === 0 ? NOTHING_ASKED : rule.sources;
  const operations = rule.operations.length === 0 ? NOTHING_ASKED : rule.operations;
  if (sources.length * operations.length > MAX_COMBINATIONS) {
    return sources.map((source) => ({
      ordinal,
      conditions: [...source, ...rule.when],
      anyOf: operations,
    }));
  }
  return sources.flatMap((source) =>
    operations.map((operation) => ({
      ordinal,
      conditions: [...source, ...operation, ...rule.when],
      anyOf: [],
    })),
  );
}

const NOTHING_ASKED: readonly AlternativeIr[] = [[]];

function outcome(side: Side, denied: number, allowed: number): Decision {
  if (denied !== NO_MATCH) return side.deny.decisions[denied] ?? CANNOT_DECIDE;
  if (allowed !== NO_MATCH) return side.allow.decisions[allowed] ?? CANNOT_DECIDE;
  return side.otherwise;
}

/** The verdict were this policy enforced too, given the verdict without it. */
function trialVerdict(action: Action, matched: boolean, without: Decision): 'allow' | 'deny' {
  if (without.reason === 'policy_denied') return 'deny';
  if (action === 'DENY') return matched ? 'deny' : without.verdict;
  // An ALLOW policy closes the workload, so what the default allowed would no longer pass.
  return matched || without.reason === 'allowed_by_policy' ? 'allow' : 'deny';
}

function decision(
  verdict: Decision['verdict'],
  reason: Decision['reason'],
  policy?: string,
  rule?: number,
): Decision {
  return Object.freeze({ verdict, reason, policy, rule, dryRun: NO_DRY_RUN });
}
