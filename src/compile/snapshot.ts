import type { SpiffeId, TrustDomain } from '#identity';
import { type Cidr, fail, ok, parseCidr, parseDuration, type Result } from '#lib';
import { compileForSomeUser, compileProgram } from '#policy';
import { type MeshResource, ROOT_NAMESPACE, type ServiceResource } from '#resource';
import {
  type InboundPort,
  NO_LIMITS,
  type SetVersion,
  type Snapshot,
  type Timeouts,
  type UpstreamService,
} from '#snapshot';
import { policiesFor } from './authorization-policy.ts';
import { compileCallerBudget } from './caller-budget.ts';
import { compareText, type ResourceSets, resourcesOf } from './input.ts';
import { resolvePeerMode } from './peer-authentication.ts';
import { compileProviders } from './provider.ts';
import { compileTokenRules } from './request-authentication.ts';
import { type SelectedWorkload, workloadLabels } from './selection.ts';
import { compileTimeouts, compileUpstream, upstreamHosts } from './service.ts';
import { compileTelemetry } from './telemetry-policy.ts';
import { compileTraffic } from './traffic.ts';

/** All that a workload's snapshot is made of, verified before it comes here. */
export type SnapshotInput = {
  readonly workload: {
    readonly namespace: string;
    readonly service: string;
    readonly id: SpiffeId;
  };
  readonly trustDomain: TrustDomain;
  /** The workload's own namespace and the root namespace, whole. */
  readonly sets: ResourceSets;
  /** Services of other namespaces, each proven to be in its set. */
  readonly lookups: readonly ServiceResource[];
  /** Where the application listens, for ports that name no `targetPort`. */
  readonly appPort: number | undefined;
  /** The snapshot that this one replaces: what it shares with it is taken over, not compiled again. */
  readonly previous?: Snapshot | undefined;
};

/**
 * Compiles what one workload enforces. All or nothing: one resource that does not compile is an
 * error that names every such resource, and the caller keeps what it enforced before.
 */
export function compileSnapshot(input: SnapshotInput): Result<Snapshot, readonly string[]> {
  try {
    return compileParts(input);
  } catch (error) {
    // SECURITY: a compiler that fell over has not compiled; the last good snapshot must stay.
    return fail([
      `the set cannot be compiled: ${error instanceof Error ? error.message : 'unknown'}`,
    ]);
  }
}

/** What a service without its own limits gets: those that a Service resource defaults to. */
const DEFAULT_TIMEOUTS: Timeouts = {
  connectMs: 2_000,
  idleMs: 300_000,
  headerMs: 10_000,
  responseMs: 60_000,
  sessionMs: 86_400_000,
};
// oxlint-disable-next-line unicorn/no-thenable -- the surface names the field so; it holds text
const DEFAULT_STALENESS = { budget: '72h', then: 'enforce' } as const;

const DEFAULT_REAUTHORIZATION = { requests: 'finish', within: '5s' } as const;

function compileParts(input: SnapshotInput): Result<Snapshot, readonly string[]> {
  const { sets, trustDomain, workload } = input;
  const problems: string[] = [];
  const collect = <T>(result: Result<T, readonly string[]>): T | undefined => {
    if (result.ok) return result.value;
    problems.push(...result.error);
    return undefined;
  };
  const mesh = resourcesOf(sets, ROOT_NAMESPACE, 'Mesh')[0];
  const service = resourcesOf(sets, workload.namespace, 'Service').find(
    (found) => found.metadata.name === workload.service,
  );
  const labels = workloadLabels(workload.service, service?.spec.labels);
  const selected = { namespace: workload.namespace, service: workload.service, labels };
  const policies = collect(policiesFor(sets, selected, trustDomain)) ?? [];
  const tokens = collect(compileTokenRules(sets, selected)) ?? [];
  const timeouts = service === undefined ? undefined : collect(compileTimeouts(service));
  const traffic = service === undefined ? undefined : collect(compileTraffic(service));
  const callerBudget =
    service === undefined
      ? undefined
      : collect(compileCallerBudget(service, { trustDomain, mesh }));
  const upstreams = collect(compileUpstreams(input)) ?? new Map();
  const staleness = collect(compileStaleness(mesh));
  const reauthorization = collect(compileReauthorization(mesh));
  if (problems.length > 0 || staleness === undefined || reauthorization === undefined)
    return fail(problems);
  const defaultAction = mesh?.spec.defaultAction ?? 'deny';
  return ok({
    ...versionOf(sets),
    workload: { ...workload, labels },
    trustDomain,
    federated: federatedDomains(sets, trustDomain),
    program: compileProgram(policies, { defaultAction }, input.previous?.program),
    userProgram:
      tokens.length === 0
        ? undefined
        : compileForSomeUser(policies, { defaultAction }, input.previous?.userProgram),
    policies,
    defaultAction,
    tokens,
    keyExchange: mesh?.spec.tls.keyExchange ?? 'prefer-hybrid',
    inbound: compileInbound(input, selected, service),
    providers: compileProviders(mesh),
    trustedHops: mesh?.spec.numTrustedProxies ?? 0,
    timeouts: timeouts ?? DEFAULT_TIMEOUTS,
    callerBudget,
    limits: traffic?.limits ?? NO_LIMITS,
    pathNormalization: service?.spec.pathNormalization ?? mesh?.spec.pathNormalization ?? 'STRICT',
    upstreams,
    staleness,
    reauthorization,
    telemetry: compileTelemetry(sets, selected),
  });
}

// SECURITY: of the root namespace alone; another namespace's authors cannot bring in whom they believe.
function federatedDomains(sets: ResourceSets, own: TrustDomain): readonly string[] {
  const named = resourcesOf(sets, ROOT_NAMESPACE, 'TrustDomainFederation').map(
    ({ spec }) => spec.trustDomain,
  );
  return [...new Set(named)].filter((name) => name !== own).sort();
}

function compileInbound(
  input: SnapshotInput,
  workload: SelectedWorkload,
  service: ServiceResource | undefined,
): readonly InboundPort[] {
  return (service?.spec.ports ?? []).map(({ port, name, protocol, targetPort, proxyProtocol }) => ({
    port,
    name,
    protocol,
    targetPort: targetPort ?? input.appPort,
    proxyProtocolFrom: (proxyProtocol?.from ?? []).map((text) => readCidr(text)),
    peerMode: resolvePeerMode(input.sets, workload, port).mode,
  }));
}

// SECURITY: a block that cannot be read must not silently admit headers of nobody, or of everybody.
function readCidr(text: string): Cidr {
  const cidr = parseCidr(text);
  if (!cidr.ok) throw new Error(`proxyProtocol.from: ${cidr.error}`);
  return cidr.value;
}

function compileUpstreams(
  input: SnapshotInput,
): Result<ReadonlyMap<string, UpstreamService>, readonly string[]> {
  const { lookups, sets, trustDomain, workload } = input;
  // A set that is held whole is the truth about its namespace; a lookup into it can only be older.
  const foreign = lookups.filter((service) => !sets.has(service.metadata.namespace));
  const held = [...sets.keys()].flatMap((namespace) => resourcesOf(sets, namespace, 'Service'));
  const mesh = resourcesOf(sets, ROOT_NAMESPACE, 'Mesh')[0];
  const paths = mesh?.spec.pathNormalization ?? 'STRICT';
  const services = [...held, ...foreign];
  const made: UpstreamsMade = { services, paths, trustDomain, namespace: workload.namespace };
  const before = input.previous && UPSTREAMS.get(input.previous.upstreams);
  if (before !== undefined && input.previous !== undefined && isSameMade(before, made)) {
    return ok(input.previous.upstreams);
  }
  const problems: string[] = [];
  const upstreams = new Map<string, UpstreamService>();
  UPSTREAMS.set(upstreams, made);
  for (const service of made.services) {
    const compiled = compileUpstream(service, trustDomain, paths);
    if (!compiled.ok) {
      problems.push(...compiled.error);
      continue;
    }
    for (const host of upstreamHosts(service, trustDomain, workload.namespace)) {
      upstreams.set(host, compiled.value);
    }
  }
  return problems.length > 0 ? fail(problems) : ok(upstreams);
}

/** What a table of upstreams was made of. */
type UpstreamsMade = {
  readonly services: readonly ServiceResource[];
  readonly paths: string;
  readonly trustDomain: TrustDomain;
  /** The caller's: a bare name is a service of its own namespace. */
  readonly namespace: string;
};

const UPSTREAMS = new WeakMap<ReadonlyMap<string, UpstreamService>, UpstreamsMade>();

function isSameMade(a: UpstreamsMade, b: UpstreamsMade): boolean {
  if (a.paths !== b.paths || a.trustDomain !== b.trustDomain) return false;
  if (a.namespace !== b.namespace) return false;
  if (a.services.length !== b.services.length) return false;
  return a.services.every((service, i) => service === b.services[i]);
}

function compileStaleness(
  mesh: MeshResource | undefined,
): Result<Snapshot['staleness'], readonly string[]> {
  const { budget, then } = mesh?.spec.staleness ?? DEFAULT_STALENESS;
  const parsed = parseDuration(budget);
  // oxlint-disable-next-line unicorn/no-thenable -- the surface names the field so; it holds text
  if (parsed.ok) return ok({ budgetMs: parsed.value, then });
  return fail([`Mesh: staleness.budget: ${parsed.error}`]);
}

function compileReauthorization(
  mesh: MeshResource | undefined,
): Result<Snapshot['reauthorization'], readonly string[]> {
  const { requests, within } = mesh?.spec.reauthorization ?? DEFAULT_REAUTHORIZATION;
  const parsed = parseDuration(within);
  if (parsed.ok) return ok({ requests, withinMs: parsed.value });
  return fail([`Mesh: reauthorization.within: ${parsed.error}`]);
}

function versionOf(sets: ResourceSets): Pick<Snapshot, 'version' | 'versions'> {
  const sorted = [...sets].sort(([a], [b]) => compareText(a, b));
  const versions: Record<string, SetVersion> = {};
  for (const [namespace, { number, hash }] of sorted) versions[namespace] = { number, hash };
  const version = sorted.map(([namespace, { number }]) => `${namespace}@${number}`).join(' ');
  return { version, versions };
}
