import { parseSpiffeId } from '#identity';
import { fail, ok, type Result, type Scheduler } from '#lib';
import type { RevocationStore } from '#revocation';
import { type AgentIdentity, createAgentIdentity } from './agent-identity.ts';
import type { AgentOptions } from './agent-options.ts';
import { type AgentPeers, startAgentPeers } from './agent-peers.ts';
import { nodeOf, subscribeAgent } from './agent-subscription.ts';
import { type AuditWatch, createAuditWatch } from './audit-watch.ts';
import { createCertificateAuthority, noted } from './certificate-authority.ts';
import { type ControlChannel, createControlChannel } from './control-channel.ts';
import { createEvidenceSource } from './evidence/evidence-config.ts';
import type { EvidenceSource } from './evidence/evidence-source.ts';
import { compileHostPolicy, type HostPolicy } from './host-policy.ts';
import { createLogWatch, type LogWatch } from './log-watch.ts';
import { openPolicyFiles } from './policy-files.ts';
import { createRefusals } from './refusals.ts';
import { followNeighbours, openRevocations } from './revocation-neighbours.ts';
import { createServing, type Serving } from './serving.ts';
import { type StateFolder, tryStateFolder } from './state-folder.ts';
import type { Subscription } from './subscribe.ts';
import { createSwap, type Swap } from './swap.ts';
import { createScheduler } from './timer.ts';
import { x509TrustOf } from './trusted-root.ts';

/** What an agent is but for its socket. */
export type AgentCore = {
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

/** The same while it is being put together. */
export type AgentParts = Omit<AgentCore, 'subscription' | 'close'>;

/** Everything but the socket: own identity, verified policy, the workloads' identities. */
export async function createAgentCore(options: AgentOptions): Promise<Result<AgentCore, string>> {
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
  const subscription = subscribeAgent({ options, parts, random });
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
