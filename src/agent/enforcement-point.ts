import { randomBytes } from 'node:crypto';
import {
  type Bundle,
  parseTrustDomain,
  type RevocationCheck,
  type WorkloadIdentity,
  workloadSpiffeId,
} from '#identity';
import { createCell, fail, ok, type Result, type Scheduler, type Source } from '#lib';
import { ROOT_NAMESPACE } from '#resource';
import type { RevocationStore } from '#revocation';
import { findUpstream, type Snapshot, type UpstreamService } from '#snapshot';
import type { Log, Readiness } from '#telemetry';
import { createGrpcClient, Distribution, PROCESS_STARTED_AT_MS } from '#wire';
import { acknowledgement, type TroubledEndpoint } from './acknowledge.ts';
import { type CompiledWorkload, compilePolicy } from './compile.ts';
import { openContactFile } from './contact-file.ts';
import { openEndpointTable, type ServiceEndpoint } from './endpoint-table.ts';
import { createLookups, type Lookups } from './lookups.ts';
import { openPolicyFiles } from './policy-files.ts';
import { createRefusals } from './refusals.ts';
import { followAgent, openRevocations } from './revocation-neighbours.ts';
import { type StateFolder, tryStateFolder } from './state-folder.ts';
import { createSubscription, type Subscription } from './subscribe.ts';
import { createSwap, type Swap } from './swap.ts';
import { createScheduler } from './timer.ts';
import { x509TrustOf } from './trusted-root.ts';
import type { VerifiedPolicy } from './verify.ts';
import { lookupKey } from './verify.ts';
import { createWorkloadClient, type WorkloadClient } from './workload-client.ts';

/** Where others reach a service that this workload serves. */
export type Announcement = {
  readonly namespace: string;
  readonly service: string;
  readonly host: string;
  readonly port: number;
  /** Where it takes HBONE tunnels; 0 if it does not. */
  readonly hbonePort?: number;
};

/** What an enforcement point is made of. */
export type EnforcementPointOptions = {
  /** Keeps the pinned trust root and the last good configuration; one process at a time. */
  readonly folder: string;
  readonly agentSocket: string;
  readonly workload: { readonly namespace: string; readonly service: string };
  readonly appPort: number | undefined;
  /** Where the trust root is pinned from at the first start. */
  readonly trustRootFile: string;
  readonly announcements?: readonly Announcement[];
  readonly metricsUrl?: string;
  readonly softwareVersion?: string;
  /** Called with the code of each version that is refused. */
  readonly onRefused?: (code: string) => void;
  readonly clock: () => number;
  readonly log: Log;
  readonly random?: () => number;
  readonly scheduler?: Scheduler;
};

/** What one workload's proxy enforces, always the last good version. */
export type EnforcementPoint = {
  /** Stable name of this proxy, e.g. `default/orders/4f1c`. */
  readonly node: string;
  /** Undefined until there was a good configuration: then everything is denied. */
  readonly snapshots: Source<Snapshot | undefined>;
  /** Namespaces whose policy has never arrived, which is why there is no snapshot. */
  readonly missing: () => readonly string[];
  readonly onMissing: Swap<Snapshot>['onMissing'];
  /** Undefined without a valid certificate. */
  readonly identity: Source<WorkloadIdentity | undefined>;
  /** Why there is no identity, in words. */
  readonly identityProblem: () => string | undefined;
  readonly bundle: () => Bundle;
  /** Which credentials count no more; enforced from disk before anything else. */
  readonly revocations: Source<RevocationCheck>;
  readonly endpoints: (service: {
    readonly namespace: string;
    readonly name: string;
  }) => readonly ServiceEndpoint[];
  /** The service a host names, asked for and proven if it is in a namespace not held; undefined if there is none. */
  readonly resolve: (host: string) => Promise<UpstreamService | undefined>;
  /** Sets what acknowledgements say of readiness. */
  readonly reportReady: (read: () => Readiness) => void;
  /** Sets what acknowledgements say of endpoints that are left alone. */
  readonly reportTroubled: (read: () => readonly TroubledEndpoint[]) => void;
  /** Sets what acknowledgements say of ways around the sidecar. */
  readonly reportExposed: (read: () => readonly string[]) => void;
  /** Announces these addresses instead of those before. */
  readonly announce: (announcements: readonly Announcement[], metricsUrl?: string) => void;
  /** Sends an acknowledgement now, e.g. since readiness changed. */
  readonly acknowledge: () => void;
  readonly isConnected: () => boolean;
  /** Milliseconds since the control plane gave a sign of life, over restarts; undefined if it never did. */
  readonly stalenessMs: () => number | undefined;
  /** When the control plane was last heard of, ms since 1970. */
  readonly heardAt: () => number | undefined;
  /** Says goodbye, so that nobody is sent here any more; resolves within half a second. */
  readonly close: () => Promise<void>;
};

/**
 * Opens an enforcement point: what is on disk is verified and enforced before anything else, then the agent is asked
 * for news for as long as the point lives. Fails in words only where there is no trust root to begin with.
 */
export async function createEnforcementPoint(
  options: EnforcementPointOptions,
): Promise<Result<EnforcementPoint, string>> {
  const opened = tryStateFolder(options.folder);
  if (!opened.ok) return opened;
  const folder = opened.value;
  const files = await openPolicyFiles({
    folder,
    trustRootFile: options.trustRootFile,
    log: options.log,
  });
  if (!files.ok) return files;
  const policy = files.value.load(options.clock());
  const workload = workloadOf(options, policy.trustRoot.trustDomain);
  if (!workload.ok) return workload;
  const trust = x509TrustOf(policy.trustRoot);
  if (!trust.ok) return trust;
  let compiled: Snapshot | undefined;
  const compile = (candidate: VerifiedPolicy) => {
    const result = compilePolicy(candidate, workload.value, compiled);
    if (result.ok) compiled = result.value;
    return result;
  };
  const swap = createSwap({
    policy,
    trust: trust.value,
    files: files.value,
    refusals: createRefusals(),
    compile,
    required: namespacesOf(options),
    isWanted: (namespace) => namespacesOf(options).includes(namespace),
    onRefused: options.onRefused,
    clock: options.clock,
    log: options.log,
  });
  const revocations = openRevocations(folder, swap, options.log);
  if (!revocations.ok) return revocations;
  const parts = { folder, swap, revocations: revocations.value, workload: workload.value };
  return ok(await connect(options, parts));
}

type Parts = {
  readonly folder: StateFolder;
  readonly swap: Swap<Snapshot>;
  readonly revocations: RevocationStore;
  readonly workload: CompiledWorkload;
};

async function connect(options: EnforcementPointOptions, parts: Parts): Promise<EnforcementPoint> {
  const { clock, log } = options;
  const { folder, swap, revocations, workload } = parts;
  const random = options.random ?? Math.random;
  const scheduler = options.scheduler ?? createScheduler();
  const node = await nodeName(folder, options.workload);
  const identity = createWorkloadClient({
    agentSocket: options.agentSocket,
    preferredId: workload.id.text,
    bundle: () => swap.trust().bundle,
    federated: () => swap.snapshots.current()?.federated ?? [],
    folder,
    clock,
    random,
    scheduler,
    log,
  });
  const configuration = subscribe({ options, parts, identity, node, random, scheduler });
  const { announced, endpoints, lookups, readiness, troubled, exposed, subscription } =
    configuration;
  // A new certificate shows in `status` at once.
  const stops = [identity, revocations.check, swap.trusts].map((source) =>
    source.onChange(() => subscription.acknowledge()),
  );
  let federated = swap.snapshots.current()?.federated;
  stops.push(
    swap.trusts.onChange(identity.reconsider),
    swap.snapshots.onChange((snapshot) => {
      if (snapshot?.federated.join() === federated?.join()) return;
      federated = snapshot?.federated;
      identity.reconsider();
    }),
  );
  const follower = followAgent(options.agentSocket, revocations, log);
  return {
    node,
    snapshots: swap.snapshots,
    missing: swap.missing,
    onMissing: swap.onMissing,
    identity,
    identityProblem: identity.problem,
    bundle: () => swap.trust().bundle,
    revocations: revocations.check,
    endpoints: endpoints.of,
    async resolve(host) {
      const snapshot = swap.snapshots.current();
      const known = snapshot === undefined ? undefined : findUpstream(snapshot, host);
      if (known !== undefined || snapshot === undefined) return known;
      await lookups.find(host);
      const after = swap.snapshots.current();
      return after === undefined ? undefined : findUpstream(after, host);
    },
    reportReady: readiness.set,
    reportTroubled: troubled.set,
    reportExposed: exposed.set,
    announce(announcements, metricsUrl) {
      announced.set({ announcements, metricsUrl: metricsUrl ?? announced.current().metricsUrl });
      subscription.restart();
    },
    acknowledge: () => subscription.acknowledge(),
    isConnected: () => subscription.isConnected(),
    heardAt: () => subscription.lastContactAt(),
    stalenessMs() {
      const at = subscription.lastContactAt();
      return at === undefined ? undefined : Math.max(0, clock() - at);
    },
    async close() {
      for (const stop of stops) stop();
      follower.close();
      identity.close();
      await subscription.close();
      await endpoints.saved();
      configuration.close();
      revocations.close();
    },
  };
}

/** The subscription of one enforcement point, and what its messages feed. */
function subscribe(of: {
  readonly options: EnforcementPointOptions;
  readonly parts: Parts;
  readonly identity: WorkloadClient;
  readonly node: string;
  readonly random: () => number;
  readonly scheduler: Scheduler;
}) {
  const { options, identity, node, random, scheduler } = of;
  const { folder, swap, revocations, workload } = of.parts;
  const { announcements = [], clock, log, metricsUrl = '', softwareVersion = '' } = options;
  const contact = openContactFile(folder, clock(), log);
  const endpoints = openEndpointTable(folder, log);
  const announced = createCell({ announcements, metricsUrl });
  const readiness = createCell((): Readiness => ({ ready: false, reason: 'starting' }));
  const troubled = createCell((): readonly TroubledEndpoint[] => []);
  const exposed = createCell((): readonly string[] => []);
  const agent = createGrpcClient(Distribution, { kind: 'unix', path: options.agentSocket });
  const lookups: Lookups = createLookups({
    workload,
    current: swap.current,
    scheduler,
    ask: (question) => subscription.lookup(question),
  });
  const subscription: Subscription = createSubscription({
    open: () => ({ stream: agent.bidi(Distribution.method.subscribe), close: () => {} }),
    hello() {
      swap.forgetRefusals();
      return {
        node,
        kind: 'proxy',
        spiffeId: workload.id.text,
        namespaces: namespacesOf(options),
        known: swap.held(),
        endpoints: announced.current().announcements.map((each) => ({ ...each })),
        startedAtMs: PROCESS_STARTED_AT_MS,
        softwareVersion,
        metricsUrl: announced.current().metricsUrl,
        trustRootVersion: BigInt(swap.current().trustRoot.version),
      };
    },
    ack() {
      const read = readiness.current();
      return acknowledgement({
        swap,
        identity: identity.current(),
        nowMs: clock(),
        readiness: read(),
        revocations,
        troubled: troubled.current()(),
        exposed: exposed.current()(),
      });
    },
    lookups: lookups.wanted,
    async onMessage({ message }) {
      if (message.case === 'endpoints') {
        endpoints.replace(message.value);
        return;
      }
      await swap.receive(message);
      if (message.case === 'lookup') lookups.answered(lookupKey(message.value));
      subscription.acknowledge();
    },
    // The agent is on this host: asking it often is cheap, and its restart should not be felt.
    maxRetryMs: 2_000,
    onContact: contact.note,
    lastContactAt: contact.lastContactAt,
    clock,
    random,
    scheduler,
    log,
  });
  const reports = { readiness, troubled, exposed };
  return { announced, endpoints, lookups, ...reports, subscription, close: agent.close };
}

function workloadOf(
  options: EnforcementPointOptions,
  trustDomainText: string,
): Result<CompiledWorkload, string> {
  const { namespace, service } = options.workload;
  const trustDomain = parseTrustDomain(trustDomainText);
  if (!trustDomain.ok) return trustDomain;
  try {
    const id = workloadSpiffeId(trustDomain.value, namespace, service);
    return ok({ namespace, service, id, trustDomain: trustDomain.value, appPort: options.appPort });
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error));
  }
}

function namespacesOf({ workload }: EnforcementPointOptions): string[] {
  return [...new Set([workload.namespace, ROOT_NAMESPACE])];
}

/** The same after a restart, since the control plane keeps what it knows of us under it. */
async function nodeName(
  folder: StateFolder,
  workload: { readonly namespace: string; readonly service: string },
): Promise<string> {
  const prefix = `${workload.namespace}/${workload.service}/`;
  const stored = folder.readJson('node.json');
  if (typeof stored === 'string' && stored.startsWith(prefix) && stored.length < 200) return stored;
  const node = `${prefix}${randomBytes(4).toString('hex')}`;
  await folder.writeJson('node.json', node).catch(() => {
    // A full disk: then this process has a name of its own and the next one another.
  });
  return node;
}
