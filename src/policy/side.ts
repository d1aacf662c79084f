import type { PolicyAction, PolicyIr, PolicyOptions } from './ir.ts';
import { Matcher } from './matcher.ts';
import type { Consultation, Decision } from './question.ts';
import { compileRuleset, type Places, type Ruleset, type Traffic, type Write } from './ruleset.ts';
import { type Clause, writeTree } from './tree.ts';
import { NO_MATCH, type TreeCode } from './tree-code.ts';
import { CodeWriter } from './tree-writer.ts';

/** Policies compiled as one: the patterns of all of them, and the trees of both kinds of traffic. */
export type Parts = {
  readonly matcher: Matcher;
  readonly code: TreeCode;
  readonly http: Side;
  readonly tcp: Side;
  readonly standing: Places;
};

/** Compiles policies from nothing. */
export function compileParts(policies: readonly PolicyIr[], options: PolicyOptions): Parts {
  const matcher = new Matcher();
  const writer = new CodeWriter(matcher);
  const write = (clauses: readonly Clause[]) => writeTree(clauses, matcher, writer);
  const standing = new Map(policies.map((policy, place) => [policy, place] as const));
  const http = compileSide(policies, 'http', { options, write, standing });
  const tcp = withDecisionsOf(http, compileSide(policies, 'tcp', { options, write, standing }));
  const code = writer.finish();
  matcher.seal();
  return { matcher, code, http, tcp, standing };
}

const NONE: readonly never[] = Object.freeze([]);

/** The answer where there is nothing to answer with. */
export const CANNOT_DECIDE: Decision = decision('deny', 'cannot_decide');

/** Both kinds of traffic number rules alike, so one decision for each rule is enough. */
function withDecisionsOf(http: Side, tcp: Side): Side {
  const { denials, allowances, deny, allow } = http;
  return {
    ...tcp,
    denials,
    allowances,
    deny: { ...tcp.deny, places: deny.places, policyOf: deny.policyOf },
    allow: { ...tcp.allow, places: allow.places, policyOf: allow.policyOf },
  };
}

/** The policies of one kind of traffic, compiled. The decisions are by ordinal, made here once. */
export type Side = {
  readonly deny: Ruleset;
  readonly denials: readonly Decision[];
  readonly allow: Ruleset;
  readonly allowances: readonly Decision[];
  readonly otherwise: Decision;
  readonly audit: Ruleset | undefined;
  readonly customs: readonly { readonly provider: string; readonly rules: Ruleset }[];
  readonly trials: readonly Trial[];
  /** There is more to a decision than its verdict. */
  readonly hasMore: boolean;
};

type Trial = {
  readonly policy: string;
  readonly action: PolicyAction;
  readonly rules: Ruleset;
};

function compileSide(
  policies: readonly PolicyIr[],
  traffic: Traffic,
  how: { readonly options: PolicyOptions; readonly write: Write; readonly standing: Places },
): Side {
  const enforced = policies.filter((policy) => !policy.dryRun);
  const rulesOf = (action: PolicyAction) =>
    compileRuleset(
      enforced.filter((policy) => policy.action === action),
      traffic,
      how,
    );
  const deny = rulesOf('DENY');
  const allow = rulesOf('ALLOW');
  const providers = new Set(enforced.flatMap(({ provider }) => provider ?? []));
  const customs = [...providers].map((provider) => {
    const own = enforced.filter((policy) => policy.provider === provider);
    return { provider, rules: compileRuleset(own, traffic, how) };
  });
  const trials = policies
    .filter((policy) => policy.dryRun)
    .map((policy) => ({
      policy: policy.id,
      action: policy.action,
      rules: compileRuleset([policy], traffic, how),
    }));
  const isAudited = enforced.some((policy) => policy.action === 'AUDIT');
  return {
    deny,
    denials: deny.places.map((at) => decision('deny', 'policy_denied', at.policy, at.rule)),
    allow,
    allowances: allow.places.map((at) =>
      decision('allow', 'allowed_by_policy', at.policy, at.rule),
    ),
    otherwise: otherwise(enforced, how.options),
    audit: isAudited ? rulesOf('AUDIT') : undefined,
    customs,
    trials,
    hasMore: isAudited || customs.length > 0 || trials.length > 0 || deny.excepted.length > 0,
  };
}

/** The decision where no rule of enforced policies matches. */
export function otherwise(enforced: readonly PolicyIr[], options: PolicyOptions): Decision {
  if (enforced.some((policy) => policy.action === 'ALLOW')) {
    return decision('deny', 'no_policy_allows');
  }
  return options.defaultAction === 'allow'
    ? decision('allow', 'allowed_by_default')
    : decision('deny', 'default_deny');
}

/** The decision on the question that was matched last. */
export function evaluateSide(side: Side, code: TreeCode): Decision {
  if (side.hasMore) return evaluateMore(side, code);
  const denied = code.search(side.deny.tree);
  if (denied !== NO_MATCH) return side.denials[denied] ?? CANNOT_DECIDE;
  return allowed(side, code);
}

function allowed(side: Side, code: TreeCode): Decision {
  const found = code.search(side.allow.tree);
  return found === NO_MATCH ? side.otherwise : (side.allowances[found] ?? CANNOT_DECIDE);
}

/** With audits, providers, exceptions and trials: rarer than verdicts, and made anew each time. */
function evaluateMore(side: Side, code: TreeCode): Decision {
  const denied = searchDeny(side.deny, code);
  const decided =
    denied.ordinal === NO_MATCH
      ? allowed(side, code)
      : (side.denials[denied.ordinal] ?? CANNOT_DECIDE);
  const audit = side.audit && side.audit.places[code.search(side.audit.tree)]?.policy;
  const consult = side.customs.length === 0 ? NONE : consultations(side, code);
  const dryRun = side.trials.map((trial) => {
    const matched = searchDeny(trial.rules, code).ordinal !== NO_MATCH;
    return { policy: trial.policy, verdict: trialVerdict(trial.action, matched, decided) };
  });
  return { ...decided, audit, exception: denied.exception, consult, dryRun };
}

/** The first rule that matches and that no exception waives, and the first exception that did waive one. */
function searchDeny(
  rules: Ruleset,
  code: TreeCode,
): { readonly ordinal: number; readonly exception: string | undefined } {
  let ordinal = code.search(rules.tree);
  let exception: string | undefined;
  for (const policy of rules.excepted) {
    const found = code.search(policy.tree);
    if (found >= ordinal) continue;
    const waived = code.search(policy.exceptions);
    if (waived === NO_MATCH) ordinal = found;
    else exception ??= policy.ids[waived];
  }
  return { ordinal, exception };
}

function consultations(side: Side, code: TreeCode): readonly Consultation[] {
  const found: Consultation[] = [];
  for (const { provider, rules } of side.customs) {
    const at = code.search(rules.tree);
    if (at === NO_MATCH) continue;
    // SECURITY: a place that is not there could only be a fault of ours; it must not skip the provider.
    const { policy, rule } = rules.places[at] ?? UNKNOWN_PLACE;
    found.push({ provider, policy, rule });
  }
  return found;
}

/** The verdict were this policy enforced too, given the verdict without it. */
function trialVerdict(action: PolicyAction, matched: boolean, without: Decision): 'allow' | 'deny' {
  if (without.reason === 'policy_denied') return 'deny';
  if (action === 'DENY') return matched ? 'deny' : without.verdict;
  // An ALLOW policy closes the workload, so what the default allowed would no longer pass.
  return matched || without.reason === 'allowed_by_policy' ? 'allow' : 'deny';
}

const UNKNOWN_PLACE = { policy: '', rule: -1 };

function decision(
  verdict: Decision['verdict'],
  reason: Decision['reason'],
  policy?: string,
  rule?: number,
): Decision {
  const more = { audit: undefined, exception: undefined, consult: NONE, dryRun: NONE };
  return Object.freeze({ verdict, reason, policy, rule, ...more });
}
