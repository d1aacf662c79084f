import type { StoredEndpoint } from './store.ts';

/** A service by namespace and name. */
export type ServiceRef = { readonly namespace: string; readonly service: string };

/**
 * Where workloads may be reached, tied to the streams that announce it. Nothing here is trusted: a caller checks
 * the identity of whoever answers.
 */
export type EndpointRegistry = {
  /** A node is connected and announces exactly these; what it announced before is gone. */
  readonly announce: (node: string, endpoints: readonly StoredEndpoint[]) => void;
  /** Its stream ended: at once forgotten after a clean goodbye, else after the grace period. */
  readonly disconnected: (node: string, clean: boolean) => void;
  /** Endpoints remembered from before a restart, good until the grace period is over. */
  readonly restore: (endpoints: readonly StoredEndpoint[]) => void;
  /** Forgets what is past its grace period; call it every second or so. */
  readonly sweep: () => void;
  readonly ofNode: (node: string) => readonly StoredEndpoint[];
  readonly ofService: (service: ServiceRef) => readonly StoredEndpoint[];
  readonly services: () => readonly ServiceRef[];
  /** Nodes whose endpoints changed since the last call. */
  readonly takeChanges: () => ReadonlySet<string>;
};

/** Times in ms; `onChange` hears of each service whose endpoints changed. */
export type EndpointOptions = {
  readonly clock: () => number;
  /** How long the endpoints of a lost stream stay, so that a reconnect disturbs nobody. */
  readonly graceMs: number;
  readonly onChange: (service: ServiceRef) => void;
};

type NodeEndpoints = {
  readonly endpoints: readonly StoredEndpoint[];
  /** When to forget them; undefined while the node is connected. */
  readonly forgetAt: number | undefined;
};

/** Creates an empty registry. */
export function createEndpointRegistry(options: EndpointOptions): EndpointRegistry {
  const nodes = new Map<string, NodeEndpoints>();
  let changed = new Set<string>();

  function replace(node: string, next: NodeEndpoints | undefined): void {
    const before = nodes.get(node)?.endpoints ?? [];
    if (next === undefined) nodes.delete(node);
    else nodes.set(node, next);
    changed.add(node);
    for (const service of changedServices(before, next?.endpoints ?? [])) options.onChange(service);
  }

  return {
    announce(node, endpoints) {
      replace(node, { endpoints, forgetAt: undefined });
    },
    disconnected(node, clean) {
      const known = nodes.get(node);
      if (known === undefined) return;
      if (clean) replace(node, undefined);
      else nodes.set(node, { ...known, forgetAt: options.clock() + options.graceMs });
    },
    restore(endpoints) {
      const forgetAt = options.clock() + options.graceMs;
      for (const [node, list] of Map.groupBy(endpoints, (endpoint) => endpoint.node)) {
        replace(node, { endpoints: list, forgetAt });
      }
    },
    sweep() {
      const now = options.clock();
      for (const [node, { forgetAt }] of Array.from(nodes)) {
        if (forgetAt !== undefined && forgetAt <= now) replace(node, undefined);
      }
    },
    ofNode: (node) => nodes.get(node)?.endpoints ?? [],
    ofService: ({ namespace, service }) =>
      Array.from(nodes.values())
        .flatMap((known) => known.endpoints)
        .filter((endpoint) => endpoint.namespace === namespace && endpoint.service === service)
        .sort(byAddress),
    services() {
      const all = Array.from(nodes.values()).flatMap((known) => known.endpoints);
      return [...new Map(all.map((endpoint) => [serviceKey(endpoint), endpoint])).values()];
    },
    takeChanges() {
      const taken = changed;
      changed = new Set();
      return taken;
    },
  };
}

/** `namespace/service`, the key under which maps hold a service. */
export function serviceKey({ namespace, service }: ServiceRef): string {
  return `${namespace}/${service}`;
}

function changedServices(
  before: readonly StoredEndpoint[],
  after: readonly StoredEndpoint[],
): readonly ServiceRef[] {
  const services = new Map(
    [...before, ...after].map((endpoint) => [serviceKey(endpoint), endpoint]),
  );
  return [...services.values()].filter(
    (service) => addresses(before, service) !== addresses(after, service),
  );
}

function addresses(endpoints: readonly StoredEndpoint[], service: ServiceRef): string {
  return endpoints
    .filter((endpoint) => serviceKey(endpoint) === serviceKey(service))
    .map(({ host, port, hbonePort }) => `${host} ${port} ${hbonePort}`)
    .sort()
    .join('\n');
}

function byAddress(a: StoredEndpoint, b: StoredEndpoint): number {
  const [left, right] = [`${a.host} ${a.port} ${a.node}`, `${b.host} ${b.port} ${b.node}`];
  return left < right ? -1 : Number(left > right);
}
