import { compilePolicies, compileSnapshot, type ResourceSet } from '#compile';
import { type TrustDomain, workloadSpiffeId } from '#identity';
import {
  type AuthorizationPolicyResource,
  parseResources,
  parseStoredResource,
  type Resource,
  ROOT_NAMESPACE,
  resourceKey,
} from '#resource';
import { canonicalJson } from '#trust';

/** What is wrong with one resource of a commit, for its author. */
export type ResourceProblem = {
  readonly namespace: string;
  readonly key: string;
  readonly code: string;
  readonly message: string;
  readonly help?: string;
};

/** A changed resource with the text its author wrote, if that came along. */
export type SubmittedResource = {
  readonly key: string;
  readonly resource: unknown;
  readonly source: string | undefined;
};

/** What a commit would put in force. */
export type CheckedCommit = {
  readonly namespace: string;
  readonly trustDomain: TrustDomain;
  readonly submitted: readonly SubmittedResource[];
  /** The namespace's set after the commit. */
  readonly after: ResourceSet;
  /** The root namespace's set, whose policies count everywhere. */
  readonly root: ResourceSet | undefined;
};

// Each Service compiles with all others in view; a few stand for all when a commit changes hundreds.
const MAX_COMPILED_SERVICES = 8;

/** Every reason why a commit's resources could not be enforced to the letter; none: it may be stored. */
export function checkResources(commit: CheckedCommit): readonly ResourceProblem[] {
  const problems = commit.submitted.flatMap((submitted) => checkOne(commit, submitted));
  // What does not parse is not in the compiled set, so its compilation would say nothing.
  return problems.length > 0 ? problems : checkCompiled(commit);
}

function checkOne(
  { namespace, trustDomain }: CheckedCommit,
  { key, resource, source }: SubmittedResource,
): readonly ResourceProblem[] {
  const parsed = parseStoredResource(resource);
  if (!parsed.ok) return [{ namespace, key, code: 'invalid_resource', message: parsed.error }];
  if (parsed.value.kind === 'Mesh' && parsed.value.spec.trustDomain !== trustDomain) {
    const message = `the mesh's trust domain is \`${trustDomain}\` and cannot be changed by a resource`;
    return [{ namespace, key, code: 'wrong_trust_domain', message }];
  }
  if (source === undefined || isSourceOf(source, parsed.value, { namespace, trustDomain }))
    return [];
  // SECURITY: sources are unsigned and shown to people; one that says something else would mislead them.
  const message = 'the source text does not say what the signed resource says';
  return [{ namespace, key, code: 'source_mismatch', message }];
}

function isSourceOf(
  text: string,
  resource: Resource,
  scope: { readonly namespace: string; readonly trustDomain: TrustDomain },
): boolean {
  const options = { defaultNamespace: scope.namespace, trustDomain: scope.trustDomain };
  const { resources } = parseResources([{ file: 'source', text }], options);
  const [written] = resources;
  if (written === undefined || resources.length > 1) return false;
  return plainJson(written.resource) === plainJson(resource);
}

// Canonical JSON refuses undefined members, which optional fields may be.
function plainJson(resource: Resource): string {
  return canonicalJson(JSON.parse(JSON.stringify(resource)));
}

function checkCompiled(commit: CheckedCommit): readonly ResourceProblem[] {
  const { namespace, after } = commit;
  const changed = new Set(commit.submitted.map(({ key }) => key));
  const resources = after.resources.filter((resource) => changed.has(resourceKey(resource)));
  const policies = resources.filter((resource) => resource.kind === 'AuthorizationPolicy');
  const services = resources.filter((resource) => resource.kind === 'Service');
  return [
    ...policies.flatMap((policy) => checkPolicy(commit, policy)),
    ...(services.length > 0 ? services.slice(0, MAX_COMPILED_SERVICES) : [undefined]).flatMap(
      (service) => checkSnapshot(commit, service?.metadata.name ?? 'any'),
    ),
  ]
    .filter(
      // Problems of the set as a whole come once for each Service.
      (problem, index, all) =>
        all.findIndex(({ message }) => message === problem.message) === index,
    )
    .map((problem) => ({ namespace, ...problem }));
}

type Found = Omit<ResourceProblem, 'namespace'>;

function checkPolicy(
  { namespace, trustDomain, after, root }: CheckedCommit,
  policy: AuthorizationPolicyResource,
): readonly Found[] {
  const [target] = policy.spec.targetRefs ?? [];
  const labels = policy.spec.selector?.matchLabels ?? {};
  // A workload that the policy selects, so that it is compiled also while no Service matches it yet.
  const workload = { namespace, service: target?.name ?? labels['app'] ?? 'any', labels };
  const mesh = (root ?? after).resources.find((resource) => resource.kind === 'Mesh');
  const compiled = compilePolicies({ policies: [policy], workload, trustDomain, mesh });
  if (compiled.ok) return [];
  const key = resourceKey(policy);
  return compiled.error.map((message) => ({ key, code: 'not_compiled', message }));
}

function checkSnapshot(commit: CheckedCommit, service: string): readonly Found[] {
  const { namespace, trustDomain, after } = commit;
  const root = commit.root && ([ROOT_NAMESPACE, commit.root] as const);
  const compiled = compileSnapshot({
    workload: { namespace, service, id: workloadSpiffeId(trustDomain, namespace, service) },
    trustDomain,
    sets: new Map([...(root === undefined ? [] : [root]), [namespace, after]]),
    lookups: [],
    appPort: undefined,
  });
  if (compiled.ok) return [];
  const key = `Service/${service}`;
  return compiled.error.map((message) => ({ key, code: 'not_compiled', message }));
}
