import { certificateNoticeMs, type MeshFacts, type PostureFacts, type SloStatus } from '#alert';
import { type ResourceSets, workloadLabels } from '#compile';
import {
  type AuthorizationPolicyResource,
  isDryRun,
  type Resource,
  ROOT_NAMESPACE,
  type ServiceResource,
} from '#resource';
import { isPlaintext, type MapEdge } from './map.ts';
import { portModes } from './open-ports.ts';
import { isEnforcedAllow, wideRules } from './policy-findings.ts';

const EXPIRES_SOON_MS = 10 * 60_000;

/** What the posture is judged by. */
export function postureFacts(of: {
  readonly facts: MeshFacts;
  readonly edges: readonly MapEdge[];
  readonly resources: ResourceSets;
  readonly slos: readonly SloStatus[];
}): PostureFacts {
  const { facts, edges, resources } = of;
  const live = edges.filter(({ requests }) => requests > 0);
  const ports = portModes(resources);
  const all = [...resources.values()].flatMap((set) => set.resources);
  const policies = all.filter(isPolicy);
  const services = all.filter((one): one is ServiceResource => one.kind === 'Service');
  const points = facts.points.filter(({ service }) => service !== null);
  const certified = points.filter(
    ({ connected, certificateExpiresAt: at }) => connected && at !== null,
  );
  const allowing = all.filter(isEnforcedAllow);
  const { reachable, logVerified } = facts.authority;
  return {
    edges: live.length,
    encryptedEdges: live.filter((edge) => !isPlaintext(edge)).length,
    ports: ports.length,
    strictPorts: ports.filter(({ mode }) => mode === 'STRICT').length,
    services: services.length,
    governedServices: deniesByDefault(all)
      ? services.length
      : services.filter((service) => isGoverned(service, policies)).length,
    logs: 1 + facts.auditLogs.length,
    verifiedLogs:
      Number(reachable && logVerified !== false) +
      facts.auditLogs.filter(({ state }) => state !== 'failed').length,
    completeness: completenessOf(of.slos),
    points: facts.points.length,
    stalePoints: facts.points.filter(({ stale }) => stale).length,
    identities: certified.length,
    expiringIdentities: certified.filter(
      (point) =>
        Date.parse(point.certificateExpiresAt ?? '') - facts.nowMs <
        certificateNoticeMs(point, EXPIRES_SOON_MS),
    ).length,
    allowRules: allowing.reduce((sum, { spec }) => sum + spec.rules.length, 0),
    wideRules: allowing.flatMap((policy) =>
      wideRules(policy).map(() => `${policy.metadata.namespace}/${policy.metadata.name}`),
    ),
  };
}

function isPolicy(resource: Resource): resource is AuthorizationPolicyResource {
  return resource.kind === 'AuthorizationPolicy';
}

function deniesByDefault(resources: readonly Resource[]): boolean {
  const mesh = resources.find((resource) => resource.kind === 'Mesh');
  return mesh?.spec.defaultAction !== 'allow';
}

/** With an ALLOW policy of its own a service lets nobody in but by its rules, whatever the default. */
function isGoverned(
  { metadata, spec }: ServiceResource,
  policies: readonly AuthorizationPolicyResource[],
): boolean {
  const labels = workloadLabels(metadata.name, spec.labels);
  return policies.some((policy) => {
    const { namespace } = policy.metadata;
    if (policy.spec.action !== 'ALLOW' || isDryRun(policy.metadata)) return false;
    if (namespace !== metadata.namespace && namespace !== ROOT_NAMESPACE) return false;
    if (policy.spec.targetRefs?.some(({ name }) => name === metadata.name) === false) return false;
    return Object.entries(policy.spec.selector?.matchLabels ?? {}).every(
      ([name, value]) => labels[name] === value,
    );
  });
}

function completenessOf(slos: readonly SloStatus[]): number {
  const status = slos.find(({ slo }) => slo.sli === 'telemetry_completeness');
  return status === undefined || status.total === 0 ? 1 : status.good / status.total;
}
