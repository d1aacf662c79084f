import { status } from '@grpc/grpc-js';
import { fail, ok } from '#lib';
import { createRevocationService } from '#revocation';
import { EVENT } from '#telemetry';
import { createGrpcServer } from '#wire';
import { createAccounts } from './accounts.ts';
import type { AgentCore } from './agent-core.ts';
import type { AgentOptions } from './agent-options.ts';
import { type Attestor, createAttestor, type LocalPeer } from './attest.ts';
import { createContainerAttestor } from './attestors/container.ts';
import { createHostAttestor } from './attestors/host.ts';
import { createIntroducedAttestor } from './attestors/introduced.ts';
import { createKubelet } from './attestors/kubelet.ts';
import { createKubernetesAttestor } from './attestors/kubernetes.ts';
import { createSystemdAttestor } from './attestors/systemd.ts';
import { createUnixAttestor } from './attestors/unix.ts';
import type { WorkloadAttestor } from './attestors/workload-attestor.ts';
import type { CredentialSource } from './credentials.ts';
import { createHostService } from './host-service.ts';
import { createIntroductions, type Introductions } from './introductions.ts';
import { createProcessTable, type ProcessTable } from './process-table.ts';
import { createRelay, type RelayOptions } from './relay.ts';
import { createSecretDiscovery } from './secret-discovery.ts';
import { createWorkloadApi } from './workload-api.ts';
import type { WorkloadApiOptions } from './workload-caller.ts';

/** What the agent serves on its socket; nothing listens yet. */
export function createAgentServer(
  options: AgentOptions,
  core: AgentCore,
  credentials: CredentialSource,
) {
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
  const { redactionKeys } = serving;
  const hosting = { peer, attestor, identified: attestForRelay, redactionKeys };
  const { trustDomain } = swap.trust().bundle;
  const ownUid = process.getuid?.() ?? 0;
  const workloads: WorkloadApiOptions = {
    attest: (call) => attestor.attest(peer(call)),
    ...serving.parts,
    scheduler,
    clock: options.clock,
    log,
  };
  const server = createGrpcServer<LocalPeer>(
    [
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
      createHostService({ ...hosting, introductions, trustDomain, ownUid, log }),
      ...createRelay({
        attest: attestForRelay,
        policy: () => swap.snapshots.current(),
        control: core.control,
        log,
      }),
    ],
    { onFailed: (method, error) => log.error(EVENT.failed, { method, error }) },
  );
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
        onRefused: (reason) => log.debug(EVENT.connectionRefused, { reason }),
      }),
  };
}

function workloadAttestors(
  { kubelet, log }: AgentOptions,
  of: {
    readonly processes: ProcessTable;
    readonly introductions: Introductions;
    readonly core: AgentCore;
  },
): readonly WorkloadAttestor[] {
  const { processes, introductions, core } = of;
  const isAskedFor = (type: string): boolean =>
    core.swap.snapshots.current()?.selectorTypes.has(type) === true;
  return [
    createUnixAttestor({ processes, accounts: createAccounts(), isAskedFor }),
    createIntroducedAttestor(introductions),
    createSystemdAttestor(),
    createContainerAttestor(),
    createHostAttestor(core.identity.hostSelectors),
    ...(kubelet === undefined
      ? []
      : [createKubernetesAttestor(createKubelet({ ...kubelet, log }))]),
  ];
}
