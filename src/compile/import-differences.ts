import {
  type AuthorizationPolicyResource,
  type ImportedResource,
  isDryRun,
  type Resource,
  ROOT_NAMESPACE,
  type ServiceResource,
} from '#resource';
import { canonicalHost, canonicalTarget } from './canonical-request.ts';
import { labelsMatch, workloadLabels } from './selection.ts';

/** One way in which imported policy would be judged otherwise than Istio judges it. */
export type ImportDifference = {
  readonly code: ImportDifferenceCode;
  /** `Kind namespace/name`, or `mesh`. */
  readonly where: string;
  readonly message: string;
  readonly help: string;
};

/** Every code, with what it means. */
export const IMPORT_DIFFERENCES = {
  app_label: "a workload's label `app` is the name of its Service here",
  default_deny: 'a workload without an ALLOW policy is closed, not open',
  peer_mode: 'without a PeerAuthentication, mutual TLS is asked for',
  port_number: "`ports` name the Service's port, not the workload's",
  refused_path: 'a path that servers read in several ways is refused before policy',
  root_namespace: 'a policy of the root namespace moves to `palisade-system`',
  same_host: "a host's trailing dot is removed before policy",
  target_honoured: 'a target that sidecars of Istio ignore is honoured',
} as const;

/** A stable code of a difference. */
export type ImportDifferenceCode = keyof typeof IMPORT_DIFFERENCES;

/** What of imported resources would be judged otherwise. */
export function importDifferences(
  imported: readonly ImportedResource[],
): readonly ImportDifference[] {
  const resources = imported.map(({ resource }) => resource);
  const policies = resources.filter((resource) => resource.kind === 'AuthorizationPolicy');
  const services = resources.filter((resource) => resource.kind === 'Service');
  return [
    ...peerMode(resources),
    ...resources.flatMap(movedRoot),
    ...services.flatMap((service) => closed(service, policies)),
    ...imported.flatMap(renamed),
    ...policies.flatMap((policy) => policyDifferences(policy, services)),
  ];
}

function peerMode(resources: readonly Resource[]): readonly ImportDifference[] {
  const isSet = resources.some(
    ({ kind, metadata }) => kind === 'PeerAuthentication' && metadata.namespace === ROOT_NAMESPACE,
  );
  if (isSet) return [];
  return [
    {
      code: 'peer_mode',
      where: 'mesh',
      message:
        'no PeerAuthentication sets the whole mesh: Istio takes plaintext there, Palisade refuses it',
      help: 'set `peerAuthentication: {mode: PERMISSIVE}` in the Mesh while callers without a sidecar remain, or --keep-defaults',
    },
  ];
}

function movedRoot(resource: Resource): readonly ImportDifference[] {
  if (resource.metadata.namespace !== ROOT_NAMESPACE || resource.kind === 'Mesh') return [];
  return [
    {
      code: 'root_namespace',
      where: named(resource),
      message: `it applies to every namespace, from \`${ROOT_NAMESPACE}\` instead of Istio's root namespace`,
      help: 'nothing to do, unless other tools look for it where it was',
    },
  ];
}

function closed(
  service: ServiceResource,
  policies: readonly AuthorizationPolicyResource[],
): readonly ImportDifference[] {
  const labels = workloadLabels(service.metadata.name, service.spec.labels);
  const { namespace, name } = service.metadata;
  const isOpened = policies.some((policy) => {
    if (policy.spec.action !== 'ALLOW' || isDryRun(policy.metadata)) return false;
    const own = policy.metadata.namespace;
    if (own !== namespace && own !== ROOT_NAMESPACE) return false;
    const targets = policy.spec.targetRefs ?? [];
    if (targets.length > 0) return own === namespace && targets.some((to) => to.name === name);
    return labelsMatch(policy.spec.selector?.matchLabels, labels);
  });
  if (isOpened) return [];
  return [
    {
      code: 'default_deny',
      where: named(service),
      message: 'no ALLOW policy applies to it: Istio lets every call pass, Palisade none',
      help: `write a policy, or let \`palisade suggest --service ${namespace}/${name}\` write it from traffic; --keep-defaults keeps the mesh open`,
    },
  ];
}

function renamed({ resource, app }: ImportedResource): readonly ImportDifference[] {
  const { name } = resource.metadata;
  if (resource.kind !== 'Service' || app === undefined || app === name) return [];
  return [
    {
      code: 'app_label',
      where: named(resource),
      message: `its workloads have the label \`app: ${app}\`, here it is \`app: ${name}\``,
      help: 'let policies select by another label, or by `targetRefs`',
    },
  ];
}

function policyDifferences(
  policy: AuthorizationPolicyResource,
  services: readonly ServiceResource[],
): readonly ImportDifference[] {
  const where = named(policy);
  const found: ImportDifference[] = [];
  const add = (code: ImportDifferenceCode, message: string, help: string): void => {
    found.push({ code, where, message, help });
  };
  if ((policy.spec.targetRefs ?? []).length > 0) {
    add(
      'target_honoured',
      'sidecars of Istio ignore `targetRefs`; here the policy is in force for the Services it names',
      'look whether it was meant to be',
    );
  }
  const operations = policy.spec.rules.flatMap(({ to = [] }) =>
    to.map(({ operation }) => operation),
  );
  for (const path of operations.flatMap(({ paths = [], notPaths = [] }) => [
    ...paths,
    ...notPaths,
  ])) {
    if (/[*{}]/.test(path) || canonicalTarget(path, 'STRICT').ok) continue;
    add(
      'refused_path',
      `\`${path.slice(0, 80)}\` can be asked for in Istio; here such a request is answered with 400`,
      'name the path that it means',
    );
  }
  for (const host of operations.flatMap(({ hosts = [], notHosts = [] }) => [
    ...hosts,
    ...notHosts,
  ])) {
    if (!host.endsWith('.') || canonicalHost(host, 0) === host) continue;
    add(
      'same_host',
      `\`${host.slice(0, 80)}\` never matches: the dot is gone before policy`,
      'remove it',
    );
  }
  const ports = new Set(
    operations.flatMap(({ ports: own = [], notPorts = [] }) => [...own, ...notPorts]),
  );
  const targets = new Set(
    services.flatMap(({ metadata, spec }) =>
      metadata.namespace === policy.metadata.namespace
        ? spec.ports.flatMap(({ port, targetPort }) =>
            targetPort === undefined || targetPort === port ? [] : [String(targetPort)],
          )
        : [],
    ),
  );
  for (const port of ports) {
    if (!targets.has(port)) continue;
    add(
      'port_number',
      `\`${port}\` is the port of a workload; rules name the port of its Service`,
      "write the Service's port",
    );
  }
  return found;
}

function named({ kind, metadata }: Resource): string {
  return `${kind} ${metadata.namespace}/${metadata.name}`;
}
