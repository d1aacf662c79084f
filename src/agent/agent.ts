import { status } from '@grpc/grpc-js';
import { parseSpiffeId } from '#identity';
import { fail, ok, type Result } from '#lib';
import { createRevocationService, type RevocationStore } from '#revocation';
import { EVENT, type Log, type MetricFamily, type Readiness } from '#telemetry';
import { createGrpcServer, Distribution, PROCESS_STARTED_AT_MS } from '#wire';
import { createAccounts } from './accounts.ts';
import { acknowledgement } from './acknowledge.ts';
import { type AgentIdentity, createAgentIdentity } from './agent-identity.ts';
import { agentFamilies } from './agent-metrics.ts';
import { type AgentPeers, startAgentPeers } from './agent-peers.ts';
import { prepareSocket } from './agent-socket.ts';
import { type Attestor, createAttestor, type LocalPeer } from './attest.ts';
import { createContainerAttestor } from './attestors/container.ts';
import { createHostAttestor } from './attestors/host.ts';
import { createIntroducedAttestor } from './attestors/introduced.ts';
import { createKubelet, type KubeletOptions } from './attestors/kubelet.ts';
import { createKubernetesAttestor } from './attestors/kubernetes.ts';
import { createSystemdAttestor } from './attestors/systemd.ts';
import { createUnixAttestor } from './attestors/unix.ts';
import type { WorkloadAttestor } from './attestors/workload-attestor.ts';
import { type AuditWatch, createAuditWatch } from './audit-watch.ts';
import { createCertificateAuthority, noted } from './certificate-authority.ts';
import { type ControlChannel, createControlChannel } from './control-channel.ts';
import { type CredentialSource, createKernelCredentials } from './credentials.ts';
import { createEvidenceSource, type EvidenceConfig } from './evidence/evidence-config.ts';
import type { EvidenceSource } from './evidence/evidence-source.ts';
import { compileHostPolicy, type HostPolicy } from './host-policy.ts';
import { createHostService } from './host-service.ts';
import { createIntroductions, type Introductions } from './introductions.ts';
import { createLogWatch, type LogWatch } from './log-watch.ts';
import { openPolicyFiles } from './policy-files.ts';
import { createProcessTable, type ProcessTable } from './process-table.ts';
import { createRefusals } from './refusals.ts';
import { createRelay, type RelayOptions } from './relay.ts';
import { followNeighbours, openRevocations } from './revocation-neighbours.ts';
import { createSecretDiscovery } from './secret-discovery.ts';
import { createServing, type Serving } from './serving.ts';
import { type StateFolder, tryStateFolder } from './state-folder.ts';
import { createSubscription, type Subscription } from './subscribe.ts';
import { createSwap, type Swap } from './swap.ts';
import { createScheduler, type Scheduler } from './timer.ts';
import { x509TrustOf } from './trusted-root.ts';
import { createWorkloadApi } from './workload-api.ts';
import type { WorkloadApiOptions } from './workload-caller.ts';

/** What an agent is made of; addresses are `host:port`. */
export type AgentOptions = {
  /** Keeps the agent's identity, introductions and last good configuration. */
  readonly folder: string;
  readonly socketPath: string;
  /** Where the trust root is pinned from at the first start. */
  readonly trustRootFile: string;
  readonly caAddress: string;
  readonly controlAddress: string;
  /** Asked at each attempt: the CA's first start may come after ours. */
  readonly joinToken: () => string | Promise<string>;
  /** The agent's identity is `spiffe://TD/palisade/agent/HOST`, where its evidence does not say otherwise. */
  readonly hostName: string;
  /** How this host proves itself; by the mesh's own join token where absent. */
  readonly evidence?: EvidenceConfig;
  /** Lets processes of other users connect; they still get only what is registered for them. */
  readonly allowOtherUsers?: boolean;
  /** Where other agents bring revocations; undefined: nowhere. */
  readonly peers?: { readonly host: string; readonly port: number } | undefined;
  /** Where the agent runs on a node of Kubernetes. */
  readonly kubelet?: Omit<KubeletOptions, 'log'>;
  readonly softwareVersion?: string;
  readonly clock: () => number;
  readonly log: Log;
  readonly random?: () => number;
  readonly scheduler?: Scheduler;
  /** The kernel's, unless a test brings its own. */
  readonly credentials?: CredentialSource;
};

/** A running agent. */
export type Agent = {
  readonly spiffeId: string;
  readonly health: () => Readiness;
  readonly metrics: () => readonly MetricFamily[];
  readonly close: () => Promise<void>;
};

/** Starts an agent; fails in words where it can never work (no native call, no trust root, socket taken). */
export async function createAgent(options: AgentOptions): Promise<Result<Agent, string>> {
  const kernel = options.credentials === undefined ? await createKernelCredentials() : undefined;
  if (kernel?.ok === false) return kernel;
  const credentials = options.credentials ?? (kernel?.ok === true ? kernel.value : undefined);
  if (credentials === undefined) return fail('no source of peer credentials');
  const socket = await prepareSocket(options.socketPath, options.allowOtherUsers ? 0o666 : 0o600);
  if (!socket.ok) return socket;
  const core = await createCore(options);
  if (!core.ok) return core;
  const server = createServer(options, core.value, credentials);
  await server.listen(socket.value.path);
  socket.value.publish();
  options.log.info(EVENT.listening, { socket: options.socketPath });
  return ok({
    spiffeId: core.value.spiffeId,
    health: () => healthOf(core.value),
    metrics: () => familiesOf(core.value, options.clock()),
    async close() {
      socket.value.remove();
      await server.close();
      await core.value.close();
    },
  });
}

type Core = {
  readonly spiffeId: string;
  readonly scheduler: Scheduler;
  readonly folder: StateFolder;
  readonly revocations: RevocationStore;
  readonly logWatch: LogWatch;
  readonly auditWatch: AuditWatch;
  readonly peers: AgentPeers;
  readonly identity: AgentIdentity;
  readonly swap: Swap<HostPolicy>;
  readonly subscription: Subscription;
  readonly control: ControlChannel;
  readonly serving: Serving;
  readonly close: () => Promise<void>;
};

/** Everything but the socket: own identity, verified policy, the workloads' identities. */
async function createCore(options: AgentOptions): Promise<Result<Core, string>> {
  const { clock, log } = options;
  const random = options.random ?? Math.random;
  const scheduler = options.scheduler ?? createScheduler();
  const opened = tryStateFolder(options.folder);
  if (!opened.ok) return opened;
  const folder = opened.value;
  const swap = await openPolicy(options, folder);
  if (!swap.ok) return swap;
  const { trust, trusts } = swap.value;
  const evidence = options.evidence && createEvidenceSource(options.evidence);
  const agent = await agentName(options, evidence);
  if (!agent.ok) return agent;
  const spiffeId = `spiffe://${trust().bundle.trustDomain}/palisade/agent/${agent.value}`;
  const parsed = parseSpiffeId(spiffeId);
  if (!parsed.ok) return fail(`the host name \`${agent.value}\`: ${parsed.error}`);
  const store = openRevocations(folder, swap.value, log);
  if (!store.ok) return store;
  const revocations = store.value;
  const { caAddress, controlAddress, joinToken } = options;
  const shared = { trust, clock, revoked: revocations.check.current };
  const timing = { clock, random, scheduler, log };
  const authority = noted(
    createCertificateAuthority({ ...shared, address: caAddress }),
    (response) => logWatch.note(response),
  );
  const common = { ...timing, trust, trusts, authority, revocations: revocations.check };
  const identity = createAgentIdentity({ ...common, folder, spiffeId, joinToken, evidence });
  const trustRoot = () => swap.value.current().trustRoot;
  const auditWatch = createAuditWatch({ folder, trustRoot, clock, log });
  const onWitnessed: AuditWatch['witnessed'] = (said) => auditWatch.witnessed(said);
  const watching = { ...timing, folder, authority, trustRoot, onWitnessed };
  const logWatch = createLogWatch({ ...watching, agent: identity });
  const control = createControlChannel({ ...shared, address: controlAddress, agent: identity });
  const serving = createServing({ ...common, agent: identity, folder, swap: swap.value });
  const peers = startAgentPeers({
    ...common,
    listen: options.peers,
    node: nodeOf(spiffeId),
    folder,
    agent: identity,
    store: revocations,
    onAnnounce: () => subscription.restart(),
  });
  const shown = { control, caAddress, agent: identity, store: revocations };
  const neighbours = followNeighbours({ ...common, ...shown });
  const parts = {
    spiffeId,
    peers,
    scheduler,
    folder,
    revocations,
    logWatch,
    auditWatch,
    identity,
    swap: swap.value,
    control,
    serving,
  };
  const subscription = subscribe({ options, parts, random });
  identity.onChange(() => subscription.wake());
  for (const source of [revocations.check, trusts, identity]) {
    source.onChange(() => subscription.acknowledge());
  }
  return ok({
    ...parts,
    subscription,
    async close() {
      serving.close();
      identity.close();
      logWatch.close();
      neighbours.close();
      await peers.close();
      await subscription.close();
      control.close();
      authority.close();
      revocations.close();
    },
  });
}

async function agentName(
  { hostName }: AgentOptions,
  evidence: EvidenceSource | undefined,
): Promise<Result<string, string>> {
  if (evidence === undefined) return ok(hostName);
  try {
    return ok(await evidence.agent());
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return fail(`the evidence for \`${evidence.attestor}\` cannot be had: ${reason}`);
  }
}

async function openPolicy(
  options: AgentOptions,
  folder: StateFolder,
): Promise<Result<Swap<HostPolicy>, string>> {
  const { clock, log, trustRootFile } = options;
  const files = await openPolicyFiles({ folder, trustRootFile, log });
  if (!files.ok) return files;
  const policy = files.value.load(clock());
  const trust = x509TrustOf(policy.trustRoot);
  if (!trust.ok) return trust;
  return ok(
    createSwap({
      policy,
      trust: trust.value,
      files: files.value,
      refusals: createRefusals(),
      compile: compileHostPolicy,
      required: [],
      isWanted: () => true,
      clock,
      log,
    }),
  );
}

function subscribe(of: {
  readonly options: AgentOptions;
  readonly parts: Omit<Core, 'subscription' | 'close'>;
  readonly random: () => number;
}): Subscription {
  const { options, parts, random } = of;
  const { control, identity, revocations, scheduler, spiffeId, swap } = parts;
  const subscription: Subscription = createSubscription({
    open() {
      const call = control.acquire(Distribution);
      if (call === undefined) return undefined;
      return {
        stream: call.client.bidi(Distribution.method.subscribe) as never,
        close: call.release,
      };
    },
    hello() {
      swap.forgetRefusals();
      parts.auditWatch.greeted();
      return {
        auditSize: BigInt(parts.auditWatch.kept().size),
        node: nodeOf(spiffeId),
        endpoints: parts.peers.announcement().map((each) => ({ ...each })),
        kind: 'agent',
        spiffeId,
        namespaces: ['*'],
        known: swap.held(),
        startedAtMs: PROCESS_STARTED_AT_MS,
        softwareVersion: options.softwareVersion ?? '',
        trustRootVersion: BigInt(swap.current().trustRoot.version),
      };
    },
    ack: () => {
      const readiness = healthOf({ ...parts, subscription });
      const { size, root } = parts.auditWatch.kept();
      return {
        ...acknowledgement({
          swap,
          identity: identity.current(),
          nowMs: options.clock(),
          readiness,
          revocations,
        }),
        auditSize: BigInt(size),
        auditRoot: root,
      };
    },
    lookups: () => [],
    async onMessage({ message }) {
      if (message.case === 'endpoints') parts.peers.replace(message.value);
      if (message.case === 'auditCheckpoint') await parts.auditWatch.receive(message.value);
      await swap.receive(message);
      subscription.acknowledge();
    },
    maxRetryMs: 10_000,
    clock: options.clock,
    random,
    scheduler,
    log: options.log,
  });
  return subscription;
}

/** By its identity: host names are whatever their hosts say. */
function nodeOf(spiffeId: string): string {
  return spiffeId.slice(spiffeId.indexOf('/agent/') + 1);
}

function createServer(options: AgentOptions, core: Core, credentials: CredentialSource) {
  const { log } = options;
  const { folder, revocations, scheduler, serving, swap } = core;
  const processes = createProcessTable();
  const introductions = createIntroductions(folder, processes);
  const attestor: Attestor = createAttestor({
    credentials,
    processes,
    attestors: workloadAttestors(options, { processes, introductions, core }),
  });
  const peer = (call: { readonly getPeer: () => string }): LocalPeer => server.peer(call);
  const attestForRelay: RelayOptions['attest'] = async (call) => {
    const selectors = await attestor.attest(peer(call));
    if (!selectors.ok) return fail({ code: status.PERMISSION_DENIED, details: selectors.error });
    if (swap.snapshots.current() === undefined) {
      return fail({ code: status.UNAVAILABLE, details: 'the agent knows no registrations yet' });
    }
    const ids = serving.parts.svids.idsFor(selectors.value);
    if (ids.length > 0) return ok({ ids });
    const details = 'no identity is registered for this process';
    return fail({ code: status.PERMISSION_DENIED, details });
  };
  const { trustDomain } = swap.trust().bundle;
  const ownUid = process.getuid?.() ?? 0;
  const workloads: WorkloadApiOptions = {
    attest: (call) => attestor.attest(peer(call)),
    ...serving.parts,
    scheduler,
    clock: options.clock,
    log,
  };
  const server = createGrpcServer<LocalPeer>([
    createWorkloadApi(workloads),
    createSecretDiscovery(workloads),
    createRevocationService({
      store: revocations,
      async refuse(call) {
        const attested = await attestForRelay(call);
        return attested.ok ? undefined : attested.error.details;
      },
      // Whoever has the agent's user has its key as well.
      refuseSubmission(call) {
        const { uid } = peer(call);
        const isOwner = uid === ownUid || uid === 0;
        return isOwner ? undefined : `user ${uid} may not hand in revocations at this agent`;
      },
      log,
    }),
    createHostService({ peer, attestor, introductions, trustDomain, ownUid, log }),
    ...createRelay({
      attest: attestForRelay,
      policy: () => swap.snapshots.current(),
      control: core.control,
      log,
    }),
  ]);
  return {
    close: server.close,
    listen: (path: string) =>
      server.listenUnix({
        path,
        identify(socket) {
          const identified = attestor.identify(socket);
          if (identified.ok) return identified.value;
          log.warn(EVENT.attestationFailed, { reason: identified.error });
          return undefined;
        },
      }),
  };
}

function workloadAttestors(
  { kubelet, log }: AgentOptions,
  of: {
    readonly processes: ProcessTable;
    readonly introductions: Introductions;
    readonly core: Core;
  },
): readonly WorkloadAttestor[] {
  const { processes, introductions, core } = of;
  const isAskedFor = (type: string): boolean =>
    core.swap.snapshots.current()?.selectorTypes.has(type) === true;
  return [
    createUnixAttestor({ processes, accounts: createAccounts(), isAskedFor }),
    createIntroducedAttestor(introductions),
    createSystemdAttestor(processes),
    createContainerAttestor(processes),
    createHostAttestor(core.identity.hostSelectors),
    ...(kubelet === undefined
      ? []
      : [createKubernetesAttestor(processes, createKubelet({ ...kubelet, log }))]),
  ];
}

function familiesOf(core: Core, nowMs: number): readonly MetricFamily[] {
  const { identity, serving, subscription, swap } = core;
  return agentFamilies({
    nowMs,
    ready: healthOf(core).ready,
    connected: subscription.isConnected(),
    policySets: swap.held().length,
    workloads: serving.parts.svids.served(),
    certificateExpiresAt: identity.current()?.expiresAt,
  });
}

function healthOf({
  identity,
  swap,
  subscription,
  logWatch,
  auditWatch,
}: Pick<Core, 'identity' | 'swap' | 'subscription' | 'logWatch' | 'auditWatch'>): Readiness {
  if (identity.current() === undefined)
    return { ready: false, reason: 'no identity from the CA yet' };
  if (swap.snapshots.current() === undefined) return { ready: false, reason: 'no policy yet' };
  const problem = logWatch.problem() ?? auditWatch.problem(subscription.isConnected());
  if (problem !== undefined) return { ready: false, reason: problem };
  if (!subscription.isConnected()) {
    return { ready: true, reason: 'the control plane is not reachable: serving what is known' };
  }
  return { ready: true, reason: '' };
}
