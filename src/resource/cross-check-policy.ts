import { parseSpiffeId } from '#identity';
import { trafficOf } from '#lib';
import { isHttpKey } from './authorization-condition.ts';
import { HTTP_FIELDS, type RuleOperation } from './authorization-operation.ts';
import type { AuthorizationPolicyResource, AuthorizationRule } from './authorization-policy.ts';
import { checkSelection, type ReportAt } from './cross-check-selection.ts';
import { checkTokens } from './cross-check-tokens.ts';
import type { Problem } from './diagnostic.ts';
import { splitAccount } from './names.ts';
import { nearest } from './nearest.ts';
import type { ServiceResource } from './service.ts';
import { selectedServices, type World } from './world.ts';

/** Checks what a policy speaks of against what there is. */
export function checkPolicyAgainst(
  world: World,
  policy: AuthorizationPolicyResource,
  report: ReportAt,
): void {
  checkSelection(world, policy, report);
  checkTargets(world, policy, report);
  checkHttpFields(world, policy, report);
  checkPorts(world, policy, report);
  checkTokens(world, policy, report);
  // Without any account the policies are a part of something larger, and nothing can be said.
  if (world.accounts.size > 0) checkSources(world, policy, report);
}

function checkTargets(world: World, policy: AuthorizationPolicyResource, report: ReportAt): void {
  if (world.services.length === 0) return;
  const { namespace } = policy.metadata;
  const own = world.servicesOf.get(namespace);
  for (const [i, { name }] of (policy.spec.targetRefs ?? []).entries()) {
    if (own?.has(name) === true) continue;
    const guess = nearest(name, [...(own?.keys() ?? [])]);
    report('warning', ['spec', 'targetRefs', i, 'name'], {
      code: 'no_workload_selected',
      message: `the namespace \`${namespace}\` has no Service \`${name}\``,
      help:
        guess === undefined ? 'add the Service, or correct the name' : `did you mean \`${guess}\`?`,
    });
  }
}

/**
 * Istio drops HTTP conditions on TCP ports, which turns a narrow DENY into a wide one and an ALLOW
 * into nothing. An error where the policy is for TCP workloads only or names them; a warning where
 * it is for a whole namespace that has some among others.
 */
function checkHttpFields(
  world: World,
  policy: AuthorizationPolicyResource,
  report: ReportAt,
): void {
  const services = selectedServices(world, policy.metadata.namespace, policy.spec);
  if (services.every(({ spec }) => spec.ports.every((port) => trafficOf(port.protocol) === 'http')))
    return;
  const isForAll =
    policy.spec.targetRefs === undefined &&
    Object.keys(policy.spec.selector?.matchLabels ?? {}).length === 0;
  for (const [i, rule] of policy.spec.rules.entries()) {
    for (const [j, { operation }] of (rule.to ?? []).entries()) {
      const fields = HTTP_FIELDS.filter((field) => operation[field] !== undefined);
      const tcpOnly = services.filter((service) => judgesTcpOnly(service, operation));
      if (tcpOnly.length === 0) continue;
      const severity = isForAll && tcpOnly.length < services.length ? 'warning' : 'error';
      for (const field of fields) {
        report(
          severity,
          ['spec', 'rules', i, 'to', j, 'operation', field],
          httpOnTcp(field, tcpOnly),
        );
      }
    }
    // Callers' tokens and headers belong to a request too. Which port is meant, only `to` says.
    if (rule.to !== undefined) continue;
    const tcpOnly = services.filter((service) => judgesTcpOnly(service, {}));
    if (tcpOnly.length === 0) continue;
    const severity = isForAll && tcpOnly.length < services.length ? 'warning' : 'error';
    for (const path of httpPathsOf(rule)) {
      report(severity, ['spec', 'rules', i, ...path.at], httpOnTcp(path.field, tcpOnly));
    }
  }
}

/** A port that no workload of the policy has; in Istio `ports` are the workload's, here the Service's. */
function checkPorts(world: World, policy: AuthorizationPolicyResource, report: ReportAt): void {
  const ports = selectedServices(world, policy.metadata.namespace, policy.spec).flatMap(
    ({ spec }) => spec.ports,
  );
  if (ports.length === 0) return;
  for (const [i, rule] of policy.spec.rules.entries()) {
    for (const [j, { operation }] of (rule.to ?? []).entries()) {
      for (const [k, value] of (operation.ports ?? []).entries()) {
        if (ports.some(({ port }) => String(port) === value)) continue;
        const meant = ports.find(({ targetPort }) => String(targetPort) === value);
        report('warning', ['spec', 'rules', i, 'to', j, 'operation', 'ports', k], {
          code: 'never_matches',
          message: `no service that the policy is for has the port ${value}`,
          help:
            meant === undefined
              ? `they have ${[...new Set(ports.map(({ port }) => port))].slice(0, 8).join(', ')}`
              : `write ${meant.port}, the port that callers use; ${value} is the application's`,
        });
      }
    }
  }
}

type HttpPath = { readonly at: readonly (string | number)[]; readonly field: string };

/** Where a rule asks for a token or a header. */
function httpPathsOf(rule: AuthorizationRule): readonly HttpPath[] {
  const tokens = (rule.from ?? []).flatMap(({ source }, j) =>
    (['requestPrincipals', 'notRequestPrincipals'] as const)
      .filter((field) => source[field] !== undefined)
      .map((field) => ({ at: ['from', j, 'source', field], field })),
  );
  const conditions = (rule.when ?? []).flatMap(({ key }, j) =>
    isHttpKey(key) ? [{ at: ['when', j, 'key'], field: key }] : [],
  );
  return [...tokens, ...conditions];
}

/** Whether all ports of a service that an operation can mean are TCP, and there is one. */
function judgesTcpOnly(service: ServiceResource, operation: RuleOperation): boolean {
  const meant = service.spec.ports.filter(
    ({ port, targetPort = port }) =>
      operation.ports === undefined ||
      operation.ports.includes(String(port)) ||
      operation.ports.includes(String(targetPort)),
  );
  return meant.length > 0 && meant.every(({ protocol }) => trafficOf(protocol) === 'tcp');
}

function httpOnTcp(field: string, services: readonly ServiceResource[]): Problem {
  const names = services
    .slice(0, 3)
    .map(({ metadata }) => `\`${metadata.namespace}/${metadata.name}\``);
  const more = services.length > 3 ? ` and ${services.length - 3} more` : '';
  return {
    code: 'http_field_on_tcp',
    message: `\`${field}\` judges HTTP requests, but the port is TCP at ${names.join(', ')}${more}`,
    help: 'judge TCP by `principals`, `namespaces`, `ipBlocks` and `ports`; or, if it is HTTP, say `protocol: http` in the Service',
  };
}

function checkSources(world: World, policy: AuthorizationPolicyResource, report: ReportAt): void {
  for (const [i, rule] of policy.spec.rules.entries()) {
    for (const [j, { source }] of (rule.from ?? []).entries()) {
      for (const field of Object.keys(source) as (keyof typeof source)[]) {
        for (const [k, value] of (source[field] ?? []).entries()) {
          const problem = unknownCaller({ field, value, world, policy });
          if (problem !== undefined)
            report('warning', ['spec', 'rules', i, 'from', j, 'source', field, k], problem);
        }
      }
    }
  }
}

function unknownCaller(options: {
  readonly field: string;
  readonly value: string;
  readonly world: World;
  readonly policy: AuthorizationPolicyResource;
}): Problem | undefined {
  const { field, value, world, policy } = options;
  if (value.includes('*')) return undefined;
  switch (field) {
    case 'principals':
    case 'notPrincipals':
      return unknownPrincipal(value, world);
    case 'serviceAccounts':
    case 'notServiceAccounts': {
      const split = splitAccount(value, policy.metadata.namespace);
      const known =
        split === undefined || world.accounts.has(`${split.namespace}/${split.account}`);
      return known ? undefined : unknownAccount(`${split.namespace}/${split.account}`, '', world);
    }
    case 'namespaces':
    case 'notNamespaces':
      return world.namespaces.has(value) ? undefined : unknownNamespace(value, world);
    default:
      return undefined;
  }
}

function unknownPrincipal(value: string, world: World): Problem | undefined {
  const id = parseSpiffeId(`spiffe://${value}`);
  // Other trust domains and other forms of identity are not ours to know.
  if (
    !id.ok ||
    id.value.namespace === undefined ||
    !world.ownTrustDomains.has(id.value.trustDomain)
  )
    return undefined;
  const account = `${id.value.namespace}/${id.value.serviceAccount}`;
  return world.accounts.has(account)
    ? undefined
    : unknownAccount(account, id.value.trustDomain, world);
}

function unknownAccount(account: string, trustDomain: string, world: World): Problem {
  const guess = nearest(account, sample(world.accounts));
  const shown =
    guess === undefined || trustDomain === ''
      ? guess
      : `${trustDomain}/ns/${guess.replace('/', '/sa/')}`;
  return {
    code: 'unknown_principal',
    message: `no Service or Registration has the account \`${account}\``,
    help:
      shown === undefined
        ? 'correct the name, or add its Service or Registration'
        : `did you mean \`${shown}\`?`,
  };
}

function unknownNamespace(namespace: string, world: World): Problem {
  const guess = nearest(namespace, sample(world.namespaces));
  return {
    code: 'unknown_principal',
    message: `no Service or Registration is in the namespace \`${namespace}\``,
    help:
      guess === undefined ? 'correct the name, or add what is in it' : `did you mean \`${guess}\`?`,
  };
}

// A suggestion is a courtesy: it must not cost a pass over the whole mesh for each warning.
function sample(names: ReadonlySet<string>): readonly string[] {
  return [...names].slice(0, 256);
}
