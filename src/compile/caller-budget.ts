import type { TrustDomain } from '#identity';
import { fail, ok, parseDuration, type Result } from '#lib';
import { compileProgram, type PolicyIr } from '#policy';
import type { MeshResource, ServiceResource } from '#resource';
import type { CallerBudget } from '#snapshot';
import { compileRule } from './authorization-policy.ts';
import { ConditionTable } from './condition-table.ts';

/** What a budget depends on besides its Service. */
export type BudgetScope = {
  readonly trustDomain: TrustDomain;
  readonly mesh: MeshResource | undefined;
};

/**
 * What callers may spend on a service, undefined where it does not say. What requests cost is told by a program like
 * that of policies, so its rules mean what they mean there: each item is a policy, and the first that matches counts.
 */
export function compileCallerBudget(
  service: ServiceResource,
  { trustDomain, mesh }: BudgetScope,
): Result<CallerBudget | undefined, readonly string[]> {
  const { callerBudget: written } = service.spec;
  if (written === undefined) return ok(undefined);
  const trustDomainAliases = mesh?.spec.trustDomainAliases;
  const domains = [trustDomain, ...(trustDomainAliases ?? [])].join(' ');
  const known = COMPILED.get(service);
  if (known?.domains === domains) return ok(known.budget);
  const { namespace, name } = service.metadata;
  const problems: string[] = [];
  const report = (problem: string) => {
    problems.push(`Service ${namespace}/${name}: callerBudget: ${problem}`);
  };
  const per = parseDuration(written.per);
  if (!per.ok) report(`per: ${per.error}`);
  const table = new ConditionTable();
  const scope = { trustDomain, trustDomainAliases, namespace, table };
  const items = written.costs.map(({ rules }, item): PolicyIr => {
    const compiled = rules.map((rule) => compileRule(rule, scope, report));
    return { ...ITEM, id: `${item}`, namespace, name: `${item}`, rules: compiled };
  });
  if (!per.ok || problems.length > 0) return fail(problems);
  const budget: CallerBudget = {
    units: written.units,
    perMs: per.value,
    defaultCost: written.defaultCost,
    costs: new Map(written.costs.map(({ cost }, item) => [`${item}`, cost])),
    program: compileProgram(items, { defaultAction: 'deny' }),
  };
  COMPILED.set(service, { domains, budget });
  return ok(budget);
}

const ITEM = {
  action: 'ALLOW',
  dryRun: false,
  origin: { labels: {}, annotations: {}, matchLabels: undefined, targets: [] },
} as const;

// Sets share the resources that did not change, so each is compiled once.
const COMPILED = new WeakMap<
  ServiceResource,
  { readonly domains: string; readonly budget: CallerBudget }
>();
