import { fail, ok, type Result } from '#lib';
import {
  type RegistrationResource,
  ROOT_NAMESPACE,
  type ServiceResource,
  type TrustDomainFederationSpec,
} from '#resource';
import { type CompileProblem, parseSet } from './compile.ts';
import type { Compiled } from './swap.ts';
import type { VerifiedPolicy } from './verify.ts';

/** What an agent takes from policy: who its workloads are, and which services they may serve. */
export type HostPolicy = Compiled & {
  readonly registrations: readonly RegistrationResource[];
  /** By `NAMESPACE/NAME`. */
  readonly services: ReadonlyMap<string, ServiceResource>;
  readonly federations: readonly TrustDomainFederationSpec[];
  /** Of what types, such as `unix:sha256`, the registrations' selectors are: what nobody asks for is not found out. */
  readonly selectorTypes: ReadonlySet<string>;
};

/** Compiles the sets of all namespaces for an agent. */
export function compileHostPolicy(policy: VerifiedPolicy): Result<HostPolicy, CompileProblem> {
  const registrations: RegistrationResource[] = [];
  const services = new Map<string, ServiceResource>();
  const federations: TrustDomainFederationSpec[] = [];
  const versions: Record<string, { number: number; hash: string }> = {};
  for (const [namespace, set] of policy.sets) {
    const resources = parseSet(set);
    if (!resources.ok) return fail(resources.error);
    for (const resource of resources.value) {
      if (resource.kind === 'Registration') registrations.push(resource);
      // SECURITY: whom the mesh believes is for the mesh's own authors; a namespace cannot bring in its friends.
      if (resource.kind === 'TrustDomainFederation' && namespace === ROOT_NAMESPACE) {
        federations.push(resource.spec);
      }
      if (resource.kind === 'Service')
        services.set(`${namespace}/${resource.metadata.name}`, resource);
    }
    const { number, hash } = set.head;
    versions[namespace] = { number, hash };
  }
  return ok({
    registrations,
    services,
    federations,
    selectorTypes: new Set(registrations.flatMap(({ spec }) => spec.selectors.map(typeOf))),
    versions,
  });
}

function typeOf(selector: string): string {
  return selector.split(':', 2).join(':');
}

/** Whether an identity (`ns/NAMESPACE/sa/ACCOUNT`) may announce itself as an instance of a service. */
export function mayServe(
  policy: HostPolicy | undefined,
  service: { readonly namespace: string; readonly name: string },
  id: {
    readonly text: string;
    readonly namespace: string | undefined;
    readonly serviceAccount: string | undefined;
  },
): boolean {
  const spec = policy?.services.get(`${service.namespace}/${service.name}`)?.spec;
  const identities = spec?.identities ?? [];
  const accounts = spec?.serviceAccounts ?? [];
  if (identities.includes(id.text)) return true;
  if (accounts.includes(`${id.namespace}/${id.serviceAccount}`)) return true;
  // A service that names nobody is served by the account of its own name.
  const isOwn = id.namespace === service.namespace && id.serviceAccount === service.name;
  return isOwn && identities.length === 0 && accounts.length === 0;
}
