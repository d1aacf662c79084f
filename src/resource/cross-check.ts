import { checkFederation } from './cross-check-federation.ts';
import { checkPolicyAgainst } from './cross-check-policy.ts';
import {
  checkException,
  checkRules,
  createRuleWorld,
  type RuleWorld,
} from './cross-check-rules.ts';
import { checkSelection, type ReportAt } from './cross-check-selection.ts';
import { checkSink } from './cross-check-sinks.ts';
import type { Diagnostic, Problem } from './diagnostic.ts';
import { ROOT_NAMESPACE } from './metadata.ts';
import type { AuthoredResource } from './parse.ts';
import type { PeerAuthenticationResource } from './peer-authentication.ts';
import { type Resource, resourceKey } from './resource.ts';
import { bySourceOrder } from './source.ts';
import { createWorld, type World } from './world.ts';

/**
 * Problems that show only between resources: those at hand, over those that are live already and
 * that a resource at hand of the same namespace, kind and name replaces.
 */
export function crossCheck(
  resources: readonly AuthoredResource[],
  live: readonly Resource[],
): readonly Diagnostic[] {
  const diagnostics: Diagnostic[] = [];
  const byKey = new Map<string, AuthoredResource>();
  for (const authored of resources) {
    const first = byKey.get(fullKey(authored.resource));
    if (first === undefined) byKey.set(fullKey(authored.resource), authored);
    else reporter(authored, diagnostics)('error', ['metadata', 'name'], duplicate(authored, first));
  }
  const others = live.filter((resource) => !byKey.has(fullKey(resource)));
  const all = [...[...byKey.values()].map(({ resource }) => resource), ...others];
  const world = createWorld(all);
  const rules = createRuleWorld(all);
  const namespaceWide = namespaceWidePeerAuthentications(all);
  for (const authored of byKey.values()) {
    const own: Diagnostic[] = [];
    const report = reporter(authored, own);
    checkOne(authored.resource, { all, world, rules, namespaceWide, report });
    diagnostics.push(...own.sort(bySourceOrder));
  }
  return diagnostics;
}

function checkOne(
  resource: Resource,
  options: {
    readonly all: readonly Resource[];
    readonly world: World;
    readonly rules: RuleWorld;
    readonly namespaceWide: ReadonlyMap<string, readonly string[]>;
    readonly report: ReportAt;
  },
): void {
  const { world, rules, namespaceWide, report } = options;
  if (resource.kind === 'AuthorizationPolicy') {
    checkPolicyAgainst(world, resource, report);
    checkRules(rules, resource, report);
  }
  if (resource.kind === 'TrustDomainFederation') checkFederation(resource, options.all, report);
  if (resource.kind === 'Sink') checkSink(resource, options.all, report);
  if (resource.kind === 'PolicyException') checkException(rules, resource, report);
  // One of the root namespace is for workloads of any.
  const isRoot = resource.metadata.namespace === ROOT_NAMESPACE;
  if (resource.kind === 'TelemetryPolicy' && !isRoot) checkSelection(world, resource, report);
  if (resource.kind !== 'PeerAuthentication' && resource.kind !== 'RequestAuthentication') return;
  checkSelection(world, resource, report);
  if (resource.kind === 'RequestAuthentication') return;
  if (!selectsAll(resource)) return;
  const { name, namespace } = resource.metadata;
  const rival = namespaceWide.get(namespace)?.find((other) => other !== name);
  if (rival !== undefined) report('error', ['metadata', 'name'], ambiguous(rival));
}

function fullKey(resource: Resource): string {
  return `${resource.metadata.namespace}/${resourceKey(resource)}`;
}

function reporter(authored: AuthoredResource, diagnostics: Diagnostic[]): ReportAt {
  return (severity, path, problem) =>
    diagnostics.push({ severity, ...problem, ...authored.span(path) });
}

function duplicate(authored: AuthoredResource, first: AuthoredResource): Problem {
  const { file, line } = first.position(['metadata', 'name']);
  return {
    code: 'duplicate_resource',
    message: `\`${resourceKey(authored.resource)}\` of the namespace \`${authored.resource.metadata.namespace}\` is there twice`,
    help: `the first is at ${file}:${line}: rename or remove one`,
  };
}

function selectsAll(resource: PeerAuthenticationResource): boolean {
  return Object.keys(resource.spec.selector?.matchLabels ?? {}).length === 0;
}

function namespaceWidePeerAuthentications(
  resources: readonly Resource[],
): ReadonlyMap<string, readonly string[]> {
  const byNamespace = new Map<string, string[]>();
  for (const resource of resources) {
    if (resource.kind !== 'PeerAuthentication' || !selectsAll(resource)) continue;
    const { namespace, name } = resource.metadata;
    byNamespace.set(namespace, [...(byNamespace.get(namespace) ?? []), name]);
  }
  return byNamespace;
}

function ambiguous(rival: string): Problem {
  return {
    code: 'ambiguous_peer_authentication',
    message: `\`PeerAuthentication/${rival}\` is for the whole namespace too`,
    help: 'keep one without a selector in each namespace, and give the others a selector',
  };
}
