import { compileSnapshot, type ResourceSet } from '#compile';
import type { SpiffeId, TrustDomain } from '#identity';
import { fail, ok, type Result } from '#lib';
import { parseStoredResource, type Resource, type ServiceResource } from '#resource';
import type { Snapshot } from '#snapshot';
import type { PolicySet } from '#trust';
import type { AgentErrorCode } from './errors.ts';
import type { VerifiedPolicy } from './verify.ts';

/** The workload whose snapshot is compiled. */
export type CompiledWorkload = {
  readonly namespace: string;
  readonly service: string;
  readonly id: SpiffeId;
  readonly trustDomain: TrustDomain;
  /** Where the application listens. */
  readonly appPort: number | undefined;
};

/** Why verified policy cannot be enforced: a code for acknowledgements and a sentence. */
export type CompileProblem = {
  readonly code: AgentErrorCode;
  readonly message: string;
};

// Sets share the resources that did not change, so each is parsed once.
const parsed = new WeakMap<object, Result<Resource, string>>();

/** Compiles what `workload` enforces under `policy`, in place of `previous`; all or nothing. */
export function compilePolicy(
  policy: VerifiedPolicy,
  workload: CompiledWorkload,
  previous?: Snapshot,
): Result<Snapshot, CompileProblem> {
  const sets = new Map<string, ResourceSet>();
  for (const [namespace, set] of policy.sets) {
    const resources = parseSet(set);
    if (!resources.ok) return resources;
    const { number, hash } = set.head;
    sets.set(namespace, { number, hash, resources: resources.value });
  }
  const lookups: ServiceResource[] = [];
  for (const { resource } of policy.lookups.values()) {
    if (resource === undefined) continue;
    const service = parse(resource);
    if (!service.ok) return fail({ code: 'resource_invalid', message: service.error });
    if (service.value.kind === 'Service') lookups.push(service.value);
  }
  const { namespace, service, id, trustDomain, appPort } = workload;
  const snapshot = compileSnapshot({
    workload: { namespace, service, id },
    trustDomain,
    sets,
    lookups,
    appPort,
    previous,
  });
  if (snapshot.ok) return snapshot;
  return fail({ code: 'compile_failed', message: snapshot.error.join('; ') });
}

/** Every resource of a set in its own type; one that this version cannot read fails the set. */
export function parseSet(set: PolicySet): Result<readonly Resource[], CompileProblem> {
  const resources: Resource[] = [];
  for (const [key, value] of set.resources) {
    const resource = parse(value);
    if (!resource.ok) {
      return fail({ code: 'resource_invalid', message: `\`${key}\`: ${resource.error}` });
    }
    resources.push(resource.value);
  }
  return ok(resources);
}

function parse(value: unknown): Result<Resource, string> {
  if (typeof value !== 'object' || value === null) return fail('not a resource');
  const known = parsed.get(value);
  if (known !== undefined) return known;
  const result = parseStoredResource(value);
  parsed.set(value, result);
  return result;
}
