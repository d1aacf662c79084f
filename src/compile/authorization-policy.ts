import type { TrustDomain } from '#identity';
import { fail, ok, type Result } from '#lib';
import {
  type AlternativeIr,
  type ConditionIr,
  type ExceptionIr,
  fieldOfList,
  type PatternScope,
  type PolicyIr,
  parseConditionKey,
  type RuleIr,
} from '#policy';
import {
  type AuthorizationPolicyResource,
  type AuthorizationRule,
  isDryRun,
  type MeshResource,
  type PolicyExceptionResource,
  ROOT_NAMESPACE,
  type RuleCondition,
} from '#resource';
import { ConditionTable, type Report } from './condition-table.ts';
import { compareText, type ResourceSets, resourcesOf } from './input.ts';
import { labelsMatch, type SelectedWorkload } from './selection.ts';

/** The policies that apply to a workload under whole sets, with all that they depend on there. */
export function policiesFor(
  sets: ResourceSets,
  workload: SelectedWorkload,
  trustDomain: TrustDomain,
): Result<readonly PolicyIr[], readonly string[]> {
  const namespaces = new Set([ROOT_NAMESPACE, workload.namespace]);
  const policies = [...namespaces].flatMap((namespace) =>
    resourcesOf(sets, namespace, 'AuthorizationPolicy'),
  );
  const exceptions = [...namespaces].flatMap((namespace) =>
    resourcesOf(sets, namespace, 'PolicyException'),
  );
  const mesh = resourcesOf(sets, ROOT_NAMESPACE, 'Mesh')[0];
  return compilePolicies({ policies, exceptions, workload, trustDomain, mesh });
}

/** What `compilePolicies` reads: policies of any namespace; those of others than these two are left out. */
export type PolicyInput = {
  readonly policies: readonly AuthorizationPolicyResource[];
  readonly exceptions?: readonly PolicyExceptionResource[] | undefined;
  readonly workload: SelectedWorkload;
  readonly trustDomain: TrustDomain;
  /** For the trust domain's other names and the providers; undefined means there are none. */
  readonly mesh: MeshResource | undefined;
};

/**
 * The policies that apply to a workload, normalised: those of the root namespace first, then those
 * of its own, each by name. One that this version cannot enforce to the letter is an error, never
 * enforced in part.
 */
export function compilePolicies(
  input: PolicyInput,
): Result<readonly PolicyIr[], readonly string[]> {
  const problems: string[] = [];
  const compiled: PolicyIr[] = [];
  const policies = isInOrder(input.policies)
    ? input.policies
    : input.policies.toSorted(compareOrder);
  const table = new ConditionTable();
  const domains = [input.trustDomain, ...(input.mesh?.spec.trustDomainAliases ?? [])].join(' ');
  for (const policy of policies) {
    if (!selects(policy, input.workload)) continue;
    const found = compiledOnce(policy, { ...input, table }, domains);
    const whole = found.ok ? withExceptions(found.value, input) : found;
    if (whole.ok) compiled.push(whole.value);
    else problems.push(...whole.error);
  }
  return problems.length > 0 ? fail(problems) : ok(compiled);
}

function isInOrder(policies: readonly AuthorizationPolicyResource[]): boolean {
  return policies.every((policy, i) => {
    const before = policies[i - 1];
    return before === undefined || compareOrder(before, policy) <= 0;
  });
}

function compareOrder(a: AuthorizationPolicyResource, b: AuthorizationPolicyResource): number {
  const root = (policy: AuthorizationPolicyResource) =>
    policy.metadata.namespace === ROOT_NAMESPACE ? 0 : 1;
  return root(a) - root(b) || compareText(a.metadata.name, b.metadata.name);
}

/** Root policies reach every namespace by selector; a target names a Service of the policy's own namespace. */
function selects(policy: AuthorizationPolicyResource, workload: SelectedWorkload): boolean {
  const { namespace } = policy.metadata;
  if (namespace !== workload.namespace && namespace !== ROOT_NAMESPACE) return false;
  const targets = policy.spec.targetRefs ?? [];
  if (targets.length === 0) return labelsMatch(policy.spec.selector?.matchLabels, workload.labels);
  return targets.some(
    (target) =>
      target.kind === 'Service' &&
      target.name === workload.service &&
      namespace === workload.namespace,
  );
}

// Sets share the resources that did not change, so each is compiled once: what else it depends on is
// the trust domain with its names.
const COMPILED = new WeakMap<
  AuthorizationPolicyResource,
  { readonly domains: string; readonly result: Result<PolicyIr, readonly string[]> }
>();

type CompileScope = Pick<PolicyInput, 'trustDomain' | 'mesh'> & { readonly table: ConditionTable };

function compiledOnce(
  policy: AuthorizationPolicyResource,
  scope: CompileScope,
  domains: string,
): Result<PolicyIr, readonly string[]> {
  const known = COMPILED.get(policy);
  if (known?.domains === domains) return known.result;
  const result = compilePolicy(policy, scope);
  COMPILED.set(policy, { domains, result });
  return result;
}

/**
 * A DENY policy with the exceptions that name it.
 * SECURITY: they are of its own namespace, so a namespace excepts nobody from the root's guardrails.
 */
function withExceptions(
  policy: PolicyIr,
  { exceptions = [], trustDomain, mesh }: PolicyInput,
): Result<PolicyIr, readonly string[]> {
  const { namespace, name, action } = policy;
  const own = exceptions.filter(
    ({ metadata, spec }) => metadata.namespace === namespace && spec.policy === name,
  );
  if (own.length === 0 || action !== 'DENY') return ok(policy);
  const problems: string[] = [];
  const trustDomainAliases = mesh?.spec.trustDomainAliases;
  const scope = { trustDomain, trustDomainAliases, namespace, table: new ConditionTable() };
  const compiled = own.map(({ metadata, spec }): ExceptionIr => {
    const id = `${namespace}/${metadata.name}`;
    const report = (problem: string) => problems.push(`PolicyException ${id}: ${problem}`);
    const expiresAt = Date.parse(spec.expiresAt);
    if (Number.isNaN(expiresAt)) report(`expiresAt: \`${spec.expiresAt}\` is no instant`);
    const rules = spec.rules.map((rule) => compileRule(rule, scope, report));
    return { id, expiresAt, rules };
  });
  return problems.length > 0 ? fail(problems) : ok({ ...policy, exceptions: compiled });
}

function compilePolicy(
  policy: AuthorizationPolicyResource,
  { trustDomain, mesh, table }: CompileScope,
): Result<PolicyIr, readonly string[]> {
  const { name, namespace, labels = {}, annotations = {} } = policy.metadata;
  const id = `${namespace}/${name}`;
  const { action } = policy.spec;
  const provider = policy.spec.provider?.name;
  const problems: string[] = [];
  if (!ACTIONS.has(action)) problems.push(`${id}: unknown action \`${action}\``);
  if ((action === 'CUSTOM') !== (provider !== undefined)) {
    problems.push(`${id}: a provider belongs to CUSTOM, and to nothing else`);
  }
  const report = (rule: number) => (problem: string) => {
    problems.push(`AuthorizationPolicy ${id}: rule ${rule}: ${problem}`);
  };
  const trustDomainAliases = mesh?.spec.trustDomainAliases;
  const scope = { trustDomain, trustDomainAliases, namespace, table };
  const rules = policy.spec.rules.map((rule, index) => compileRule(rule, scope, report(index)));
  if (problems.length > 0) return fail(problems);
  const dryRun = isDryRun(policy.metadata);
  if (dryRun && action !== 'ALLOW' && action !== 'DENY') {
    return fail([`${id}: only ALLOW and DENY can be in dry-run`]);
  }
  const matchLabels = policy.spec.selector?.matchLabels;
  const targets = policy.spec.targetRefs ?? [];
  const origin = { labels, annotations, matchLabels, targets };
  return ok({ id, namespace, name, action, provider, dryRun, rules, origin });
}

const ACTIONS: ReadonlySet<string> = new Set(['ALLOW', 'DENY', 'AUDIT', 'CUSTOM']);
const SOURCE_LISTS = new Set([
  'principals',
  'requestPrincipals',
  'namespaces',
  'serviceAccounts',
  'ipBlocks',
  'remoteIpBlocks',
]);
const OPERATION_LISTS = new Set(['methods', 'paths', 'hosts', 'ports']);

/** What a rule is relative to, and where its conditions are kept. */
export type RuleScope = PatternScope & { readonly table: ConditionTable };

/** One rule, normalised; what of it cannot be enforced is reported. */
export function compileRule(rule: AuthorizationRule, scope: RuleScope, report: Report): RuleIr {
  for (const key of Object.keys(rule)) {
    if (key !== 'from' && key !== 'to' && key !== 'when') {
      report(`\`${key}\` is not supported by this version`);
    }
  }
  const { from = [], to = [] } = rule;
  const sources = scope.table.alternatives(from, scope, report, (report) =>
    from.map(({ source }, at) => compileLists(source, { lists: SOURCE_LISTS, scope, at, report })),
  );
  const operations = scope.table.alternatives(to, scope, report, (report) =>
    to.map(({ operation }, at) =>
      compileLists(operation, { lists: OPERATION_LISTS, scope, at, report }),
    ),
  );
  const when = rule.when?.flatMap((one, at) => compileWhen(one, { scope, at, report }));
  return { sources, operations, when: when ?? NO_CONDITIONS };
}

const NO_CONDITIONS: AlternativeIr = Object.freeze([]);

/** `principals` and `notPrincipals` and so on; a list that is not among `lists` is an error. */
function compileLists(
  authored: Readonly<Record<string, readonly string[] | undefined>>,
  options: {
    readonly lists: ReadonlySet<string>;
    readonly scope: RuleScope;
    /** Which of the rule's alternatives it is. */
    readonly at: number;
    readonly report: Report;
  },
): AlternativeIr {
  const conditions: ConditionIr[] = [];
  for (const [key, values] of Object.entries(authored)) {
    if (values === undefined || values.length === 0) continue;
    const read = fieldOfList(key);
    const positive = read?.negated === true ? key.charAt(3).toLowerCase() + key.slice(4) : key;
    if (read === undefined || !options.lists.has(positive)) {
      // SECURITY: a condition left out of an ALLOW rule would allow more than its author wrote.
      options.report(`\`${key}\` is not supported by this version`);
      continue;
    }
    const parsed = options.scope.table.parse({ ...read, values }, options.scope, options.at);
    if (parsed.ok) conditions.push(parsed.value);
    else options.report(`${key}: ${parsed.error}`);
  }
  // Lists that grew one by one have room to spare, which rules by the thousand would keep.
  return conditions.slice();
}

function compileWhen(
  { key, values = [], notValues = [] }: RuleCondition,
  {
    scope,
    at,
    report,
  }: { readonly scope: RuleScope; readonly at: number; readonly report: Report },
): AlternativeIr {
  const field = parseConditionKey(key);
  if (!field.ok) {
    report(field.error);
    return [];
  }
  if (values.length + notValues.length === 0) report(`${key}: neither values nor notValues`);
  const conditions: ConditionIr[] = [];
  for (const [negated, list] of [
    [false, values],
    [true, notValues],
  ] as const) {
    if (list.length === 0) continue;
    const parsed = scope.table.parse({ field: field.value, negated, values: list }, scope, at);
    if (parsed.ok) conditions.push(parsed.value);
    else report(`${key}: ${parsed.error}`);
  }
  return conditions;
}
