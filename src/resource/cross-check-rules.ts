import { type AuthorizationPolicyResource, isDryRun } from './authorization-policy.ts';
import type { ReportAt } from './cross-check-selection.ts';
import type { Problem } from './diagnostic.ts';
import { DEFAULT_TRUST_DOMAIN } from './mesh.ts';
import { ROOT_NAMESPACE } from './metadata.ts';
import type { PolicyExceptionResource } from './policy-exception.ts';
import type { Resource } from './resource.ts';
import {
  contradiction,
  isContradiction,
  isElsewhere,
  ruleCovers,
  selectionCovers,
} from './rule-coverage.ts';

/** What rules are held against. */
export type RuleWorld = {
  /** The enforced DENY policies that may apply to every workload that a policy applies to. */
  readonly denials: (policy: AuthorizationPolicyResource) => readonly AuthorizationPolicyResource[];
  readonly policies: ReadonlyMap<string, AuthorizationPolicyResource>;
  /** The mesh's trust domain, undefined if it has several names. */
  readonly domain: string | undefined;
  /** Undefined where no Mesh is at hand, and then nothing can be said. */
  readonly providers: ReadonlySet<string> | undefined;
};

// Comparing every rule with every DENY rule is for people's policies; generated ones by the
// thousand are left alone.
const MOST_COMPARED = 2_000_000;

/** Collects what rules are held against. */
export function createRuleWorld(resources: readonly Resource[]): RuleWorld {
  const policies = resources.filter((resource) => resource.kind === 'AuthorizationPolicy');
  const mesh = resources.find((resource) => resource.kind === 'Mesh');
  const denials = policies.filter(
    ({ spec, metadata }) => spec.action === 'DENY' && !isDryRun(metadata),
  );
  return {
    domain:
      (mesh?.spec.trustDomainAliases ?? []).length > 0
        ? undefined
        : (mesh?.spec.trustDomain ?? DEFAULT_TRUST_DOMAIN),
    denials: heldAgainst(policies, denials),
    policies: new Map(
      policies.map((policy) => [`${policy.metadata.namespace}/${policy.metadata.name}`, policy]),
    ),
    providers: mesh && new Set((mesh.spec.extensionProviders ?? []).map(({ name }) => name)),
  };
}

/**
 * DENY policies by where they can matter: in their namespace, or everywhere if they are the root's, for the workloads
 * of one label `app`, which most select by, or for any.
 */
function heldAgainst(
  policies: readonly AuthorizationPolicyResource[],
  denials: readonly AuthorizationPolicyResource[],
): RuleWorld['denials'] {
  const places = Map.groupBy(denials, placeOf);
  const reach = new Map<string, readonly AuthorizationPolicyResource[]>();
  const held = (policy: AuthorizationPolicyResource) => {
    const place = placeOf(policy);
    const known = reach.get(place);
    if (known !== undefined) return known;
    const { app = '', namespace } = partsOf(policy);
    const wider = [`${ROOT_NAMESPACE}/`, `${ROOT_NAMESPACE}/${app}`, `${namespace}/`, place];
    const found = [...new Set(wider)].flatMap((one) => places.get(one) ?? []);
    reach.set(place, found);
    return found;
  };
  const rulesOf = ({ spec }: AuthorizationPolicyResource) => spec.rules.length;
  let compared = 0;
  for (const policy of policies) {
    compared += rulesOf(policy) * held(policy).reduce((sum, one) => sum + rulesOf(one), 0);
    if (compared > MOST_COMPARED) return () => [];
  }
  return held;
}

function placeOf(policy: AuthorizationPolicyResource): string {
  const { app = '', namespace } = partsOf(policy);
  return `${namespace}/${app}`;
}

function partsOf({ metadata, spec }: AuthorizationPolicyResource) {
  const app = spec.targetRefs === undefined ? spec.selector?.matchLabels['app'] : undefined;
  return { namespace: metadata.namespace, app };
}

/** Finds rules of one policy that do nothing, or more than their author may mean. */
export function checkRules(
  world: RuleWorld,
  policy: AuthorizationPolicyResource,
  report: ReportAt,
): void {
  checkProvider(world, policy, report);
  for (const [i, rule] of policy.spec.rules.entries()) {
    const at = ['spec', 'rules', i];
    for (const [j, { source }] of (rule.from ?? []).entries()) {
      const field = contradiction(source as Readonly<Record<string, readonly string[]>>);
      if (field !== undefined) {
        report('warning', [...at, 'from', j, 'source', field], excluded(field));
      }
      if (isElsewhere(source)) {
        report('warning', [...at, 'from', j, 'source', 'namespaces'], ELSEWHERE);
      }
      checkWildcards(policy, source, (path, problem) =>
        report('warning', [...at, 'from', j, 'source', ...path], problem),
      );
    }
    for (const [j, { operation }] of (rule.to ?? []).entries()) {
      const field = contradiction(operation as Readonly<Record<string, readonly string[]>>);
      if (field === undefined) continue;
      report('warning', [...at, 'to', j, 'operation', field], excluded(field));
    }
    for (const [j, condition] of (rule.when ?? []).entries()) {
      if (isContradiction(condition))
        report('warning', [...at, 'when', j, 'values'], excluded('values'));
    }
    const covering = coveringDenial(world, policy, i);
    if (covering !== undefined) report('warning', at, covering);
  }
}

/** An exception has to have something that it excepts from. */
export function checkException(
  world: RuleWorld,
  { metadata, spec }: PolicyExceptionResource,
  report: ReportAt,
): void {
  // Without any policy the resources are a part of something larger, and nothing can be said.
  if (world.policies.size === 0) return;
  const policy = world.policies.get(`${metadata.namespace}/${spec.policy}`);
  if (policy?.spec.action === 'DENY') return;
  report('error', ['spec', 'policy'], {
    code: 'no_such_policy',
    message: `the namespace \`${metadata.namespace}\` has no DENY policy \`${spec.policy}\``,
    help: 'an exception names a DENY AuthorizationPolicy of its own namespace',
  });
}

function checkProvider(
  { providers }: RuleWorld,
  { spec }: AuthorizationPolicyResource,
  report: ReportAt,
): void {
  const name = spec.provider?.name;
  if (name === undefined || providers === undefined || providers.has(name)) return;
  const known = [...providers].map((one) => `\`${one}\``).join(', ');
  report('error', ['spec', 'provider', 'name'], {
    code: 'unknown_provider',
    message: `the Mesh has no extension provider \`${name}\`, so every call that matches is refused`,
    help: known === '' ? 'add it to `extensionProviders` of the Mesh' : `there are ${known}`,
  });
}

const ELSEWHERE: Problem = {
  code: 'never_matches',
  message:
    'each of `principals` is of another namespace than `namespaces`, so the rule matches nobody',
  help: 'remove one of the two, or name callers of the namespaces',
};

function excluded(field: string): Problem {
  return {
    code: 'never_matches',
    message: `each of \`${field}\` is excluded again, so the rule matches nobody`,
    help: 'remove what is in both lists from one of them',
  };
}

/** A DENY rule, of another policy or an earlier one of the same, that leaves nothing to a rule. */
function coveringDenial(
  world: RuleWorld,
  policy: AuthorizationPolicyResource,
  index: number,
): Problem | undefined {
  const { action } = policy.spec;
  const rule = policy.spec.rules[index];
  if (rule === undefined || (action !== 'ALLOW' && action !== 'DENY')) return undefined;
  for (const denial of world.denials(policy)) {
    if (!selectionCovers(denial, policy, ROOT_NAMESPACE)) continue;
    const isSame = denial === policy;
    const at = denial.spec.rules.findIndex(
      (other, i) =>
        (!isSame || i < index) &&
        ruleCovers(other, rule, world.domain) &&
        // Of two that cover each other, the first by name stays.
        (action === 'ALLOW' ||
          isSame ||
          !ruleCovers(rule, other, world.domain) ||
          denial.metadata.name < policy.metadata.name),
    );
    if (at < 0) continue;
    const where = `rule ${at} of \`${denial.metadata.namespace}/${denial.metadata.name}\``;
    return action === 'ALLOW'
      ? {
          code: 'allow_dead',
          message: `this rule allows nothing: ${where} denies all that it matches`,
          help: 'remove the rule, or narrow the DENY policy',
        }
      : {
          code: 'deny_shadowed',
          message: `this rule denies nothing more: ${where} denies all that it matches`,
          help: 'remove one of the two',
        };
  }
  return undefined;
}

/** Outside the root namespace, a wildcard in an ALLOW rule that reaches beyond the author's own namespace. */
function checkWildcards(
  policy: AuthorizationPolicyResource,
  source: { readonly principals?: readonly string[]; readonly namespaces?: readonly string[] },
  report: (path: readonly (string | number)[], problem: Problem) => void,
): void {
  const { namespace } = policy.metadata;
  if (policy.spec.action !== 'ALLOW' || namespace === ROOT_NAMESPACE) return;
  const isOwn = (value: string) => /^[^/*]+\/ns\/([^/*]+)\//.exec(value)?.[1] === namespace;
  for (const field of ['principals', 'namespaces'] as const) {
    for (const [k, value] of (source[field] ?? []).entries()) {
      // A bare star is a decision; a pattern that also fits others is easily an accident.
      if (!value.includes('*') || value === '*' || isOwn(value)) continue;
      report([field, k], {
        code: 'wide_wildcard',
        message: `\`${value.slice(0, 60)}\` also fits callers of other namespaces than \`${namespace}\``,
        help: 'name the callers, or the namespaces one by one',
      });
    }
  }
}
