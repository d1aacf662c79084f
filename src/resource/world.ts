import { parseSpiffeId } from '#identity';
import { DEFAULT_TRUST_DOMAIN } from './mesh.ts';
import { ROOT_NAMESPACE } from './metadata.ts';
import type { Resource } from './resource.ts';
import type { ServiceResource } from './service.ts';

/** What the resources of a mesh, taken together, say there is. */
export type World = {
  readonly services: readonly ServiceResource[];
  /** The same by namespace and name. */
  readonly servicesOf: ReadonlyMap<string, ReadonlyMap<string, ServiceResource>>;
  /** Accounts that a Service or Registration speaks of, each as `NAMESPACE/ACCOUNT`. */
  readonly accounts: ReadonlySet<string>;
  readonly namespaces: ReadonlySet<string>;
  /** Namespaces with a RequestAuthentication. */
  readonly tokenNamespaces: ReadonlySet<string>;
  /** The names that mean the mesh's own trust domain in a policy. */
  readonly ownTrustDomains: ReadonlySet<string>;
};

/** How a policy says which workloads it is for. */
export type Selection = {
  readonly selector?: { readonly matchLabels: Readonly<Record<string, string>> };
  readonly targetRefs?: readonly { readonly name: string }[];
};

/** Collects what there is. */
export function createWorld(resources: readonly Resource[]): World {
  const services = resources.filter((resource) => resource.kind === 'Service');
  const servicesOf = new Map<string, Map<string, ServiceResource>>();
  for (const service of services) {
    const { namespace, name } = service.metadata;
    const own = servicesOf.get(namespace) ?? new Map<string, ServiceResource>();
    servicesOf.set(namespace, own.set(name, service));
  }
  const accounts = new Set<string>();
  const namespaces = new Set<string>();
  const tokenNamespaces = new Set<string>();
  const ownTrustDomains = new Set<string>([DEFAULT_TRUST_DOMAIN]);
  const addIdentity = (text: string) => {
    const id = parseSpiffeId(text);
    if (id.ok && id.value.namespace !== undefined)
      accounts.add(`${id.value.namespace}/${id.value.serviceAccount}`);
  };
  for (const resource of resources) {
    if (resource.kind === 'RequestAuthentication') tokenNamespaces.add(resource.metadata.namespace);
    if (resource.kind === 'Mesh') ownTrustDomains.add(resource.spec.trustDomain);
    if (resource.kind === 'Registration') addIdentity(resource.spec.spiffeId);
    if (resource.kind !== 'Service') continue;
    accounts.add(`${resource.metadata.namespace}/${resource.metadata.name}`);
    for (const account of resource.spec.serviceAccounts ?? []) accounts.add(account);
    for (const identity of resource.spec.identities) addIdentity(identity);
  }
  for (const account of accounts) namespaces.add(account.slice(0, account.indexOf('/')));
  return { services, servicesOf, accounts, namespaces, tokenNamespaces, ownTrustDomains };
}

/** The services whose workloads a policy of `namespace` is for; the root namespace's reach all. */
export function selectedServices(
  world: World,
  namespace: string,
  selection: Selection,
): readonly ServiceResource[] {
  const own = world.servicesOf.get(namespace);
  if (selection.targetRefs !== undefined) {
    const names = new Set(selection.targetRefs.map(({ name }) => name));
    return [...names].flatMap((name) => own?.get(name) ?? []);
  }
  const matchLabels = selection.selector?.matchLabels ?? {};
  const labels = Object.entries(matchLabels);
  const isSelected = ({ spec }: ServiceResource) =>
    labels.every(([key, value]) => spec.labels[key] === value);
  if (namespace === ROOT_NAMESPACE) return world.services.filter(isSelected);
  // The label `app` is the service's name, and what most policies select by.
  const { app } = matchLabels;
  const candidates = app === undefined ? [...(own?.values() ?? [])] : (own?.get(app) ?? []);
  return [candidates].flat().filter(isSelected);
}
