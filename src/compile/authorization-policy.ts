import type { TrustDomain } from '#identity';
import { fail, ok, type Result } from '#lib';
import {
  type AlternativeIr,
  type ConditionIr,
  type Field,
  type PatternScope,
  type PolicyIr,
  parseCondition,
  type RuleIr,
} from '#policy';
import {
  type AuthorizationPolicyResource,
  type AuthorizationRule,
  isDryRun,
  ROOT_NAMESPACE,
} from '#resource';
import { compareText } from './input.ts';
import { labelsMatch, type SelectedWorkload } from './selection.ts';

/** What `compilePolicies` reads: policies of any namespace; those of others than these two are left out. */
export type PolicyInput = {
  readonly policies: readonly AuthorizationPolicyResource[];
  readonly workload: SelectedWorkload;
  readonly trustDomain: TrustDomain;
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
  for (const policy of input.policies.toSorted(compareOrder)) {
    if (!selects(policy, input.workload)) continue;
    const found = compilePolicy(policy, input.trustDomain);
    if (found.ok) compiled.push(found.value);
    else problems.push(...found.error);
  }
  return problems.length > 0 ? fail(problems) : ok(compiled);
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

function compilePolicy(
  policy: AuthorizationPolicyResource,
  trustDomain: TrustDomain,
): Result<PolicyIr, readonly string[]> {
  const { name, namespace, labels = {}, annotations = {} } = policy.metadata;
  const id = `${namespace}/${name}`;
  const { action } = policy.spec;
  if (action !== 'ALLOW' && action !== 'DENY') return fail([`${id}: unknown action \`${action}\``]);
  const problems: string[] = [];
  const report = (rule: number) => (problem: string) => {
    problems.push(`AuthorizationPolicy ${id}: rule ${rule}: ${problem}`);
  };
  const scope = { trustDomain, namespace };
  const rules = policy.spec.rules.map((rule, index) => compileRule(rule, scope, report(index)));
  if (problems.length > 0) return fail(problems);
  const dryRun = isDryRun(policy.metadata);
  const matchLabels = policy.spec.selector?.matchLabels;
  const targets = policy.spec.targetRefs ?? [];
  const origin = { labels, annotations, matchLabels, targets };
  return ok({ id, namespace, name, action, dryRun, rules, origin });
}

const SOURCE_FIELDS: Readonly<Record<string, Field>> = {
  principals: 'principal',
  namespaces: 'namespace',
  serviceAccounts: 'serviceAccount',
  ipBlocks: 'ip',
};

const OPERATION_FIELDS: Readonly<Record<string, Field>> = {
  methods: 'method',
  paths: 'path',
  hosts: 'host',
  ports: 'port',
};

type Report = (problem: string) => void;

function compileRule(rule: AuthorizationRule, scope: PatternScope, report: Report): RuleIr {
  for (const key of Object.keys(rule)) {
    if (key !== 'from' && key !== 'to') report(`\`${key}\` is not supported by this version`);
  }
  const sources = (rule.from ?? []).map(({ source }) =>
    compileFields(source, { fields: SOURCE_FIELDS, scope, report }),
  );
  const operations = (rule.to ?? []).map(({ operation }) =>
    compileFields(operation, { fields: OPERATION_FIELDS, scope, report }),
  );
  return { sources, operations, when: [] };
}

/** `principals` and `notPrincipals` and so on; a field that is not in the table is an error. */
function compileFields(
  authored: Readonly<Record<string, readonly string[] | undefined>>,
  options: {
    readonly fields: Readonly<Record<string, Field>>;
    readonly scope: PatternScope;
    readonly report: Report;
  },
): AlternativeIr {
  const conditions: ConditionIr[] = [];
  for (const [key, values] of Object.entries(authored)) {
    if (values === undefined || values.length === 0) continue;
    const negated = key.startsWith('not');
    const positive = negated ? key.charAt(3).toLowerCase() + key.slice(4) : key;
    const field = Object.hasOwn(options.fields, positive) ? options.fields[positive] : undefined;
    if (field === undefined) {
      // SECURITY: a condition left out of an ALLOW rule would allow more than its author wrote.
      options.report(`\`${key}\` is not supported by this version`);
      continue;
    }
    const parsed = parseCondition({ field, negated, values }, options.scope);
    if (parsed.ok) conditions.push(parsed.value);
    else options.report(`${key}: ${parsed.error}`);
  }
  return conditions;
}
