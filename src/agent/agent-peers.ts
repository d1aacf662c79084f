import {
  parseSpiffeId,
  type RevocationCheck,
  verifyX509Svid,
  type WorkloadIdentity,
} from '#identity';
import { fail, ok, type Result, type Source } from '#lib';
import { ROOT_NAMESPACE } from '#resource';
import {
  createRevocationService,
  followRevocations,
  type RevocationFollower,
  type RevocationStore,
} from '#revocation';
import { EVENT, type Log } from '#telemetry';
import {
  createGrpcClient,
  createGrpcServer,
  peerChain,
  Revocations,
  type ServiceEndpoints,
  type TlsMaterial,
} from '#wire';
import { openEndpointTable } from './endpoint-table.ts';
import type { StateFolder } from './state-folder.ts';
import type { X509Trust } from './trusted-root.ts';

/** Agents exchange revocations among themselves, so that one revoked while the control plane is away is known to all. */
export type AgentPeers = {
  /** Where others reach this agent; none where it does not listen, or has no identity yet. */
  readonly announcement: () => readonly PeerAnnouncement[];
  /** Takes the addresses that the control plane knows. */
  readonly replace: (endpoints: ServiceEndpoints) => void;
  readonly close: () => Promise<void>;
};

type PeerAnnouncement = {
  readonly namespace: string;
  readonly service: string;
  readonly host: string;
  readonly port: number;
};

/** What the exchange works with; `node` is the agent's own name among enforcement points. */
export type AgentPeersOptions = {
  /** Undefined: it calls others but is not called. */
  readonly listen: { readonly host: string; readonly port: number } | undefined;
  readonly node: string;
  readonly folder: StateFolder;
  readonly agent: Source<WorkloadIdentity | undefined>;
  readonly trust: () => X509Trust;
  readonly store: RevocationStore;
  /** Called when there is something else to announce. */
  readonly onAnnounce: () => void;
  readonly clock: () => number;
  readonly log: Log;
};

/** The name under which agents announce themselves; no Service may have it, since services are DNS labels. */
const AGENTS = { namespace: ROOT_NAMESPACE, name: 'palisade.agents' };
// Each agent calls the next three in the order of names: a ring, so that news reach everybody even if some are away.
const CALLED = 3;
const MAX_RETRY_MS = 5_000;

/** Starts exchanging. Never fails: without others, or a port, there is the control plane and the CA. */
export function startAgentPeers(options: AgentPeersOptions): AgentPeers {
  const { agent, folder, log } = options;
  const table = openEndpointTable(folder, log);
  const calls = new Map<string, RevocationFollower>();
  const server = listenForPeers(options);

  function callPeers(): void {
    const wanted = new Set(agent.current() === undefined ? [] : nextPeers(options.node, table));
    for (const [address, call] of calls) {
      if (wanted.has(address)) continue;
      call.close();
      calls.delete(address);
    }
    for (const address of wanted) {
      if (!calls.has(address)) calls.set(address, callPeer(options, address));
    }
  }

  const stop = agent.onChange(() => {
    for (const call of calls.values()) call.restart();
    callPeers();
  });
  callPeers();
  return {
    announcement: server.announcement,
    replace(endpoints) {
      if (endpoints.namespace !== AGENTS.namespace || endpoints.service !== AGENTS.name) return;
      table.replace(endpoints);
      callPeers();
    },
    async close() {
      stop();
      for (const call of calls.values()) call.close();
      await server.close();
      await table.saved();
    },
  };
}

function nextPeers(node: string, table: ReturnType<typeof openEndpointTable>): string[] {
  const others = table.of(AGENTS).filter((peer) => peer.node !== node);
  const inOrder = others.toSorted((a, b) => (a.node < b.node ? -1 : 1));
  const after = inOrder.filter((peer) => peer.node > node);
  const before = inOrder.filter((peer) => peer.node < node);
  return [...after, ...before].slice(0, CALLED).map(({ host, port }) => `${host}:${port}`);
}

function callPeer(options: AgentPeersOptions, address: string): RevocationFollower {
  const { agent, store, log } = options;
  return followRevocations({
    store,
    neighbour: address,
    maxRetryMs: MAX_RETRY_MS,
    open() {
      const client = agent.current();
      if (client === undefined) return undefined;
      const { rootsPem } = options.trust();
      const channel = createGrpcClient(Revocations, {
        kind: 'tls',
        address,
        rootsPem,
        client,
        verifyServer(chain) {
          const peer = peerOf(chain, options);
          return peer.ok ? undefined : peer.error;
        },
      });
      return { stream: channel.bidi(Revocations.method.sync), close: channel.close };
    },
    log,
  });
}

/** SECURITY: only other agents; a workload's certificate says nothing here. */
function peerOf(
  chain: readonly Uint8Array[],
  { trust, store, clock }: AgentPeersOptions,
): Result<Parameters<RevocationCheck>[0], string> {
  const { bundle } = trust();
  const svid = verifyX509Svid(chain, bundle, clock());
  if (!svid.ok) return fail(svid.error.message);
  const revoked = store.check.current()(svid.value, clock());
  if (revoked !== undefined) return fail(revoked.message);
  const id = parseSpiffeId(svid.value.id.text);
  const isAgent = id.ok && id.value.path.startsWith('/palisade/agent/');
  return isAgent ? ok(svid.value) : fail(`\`${svid.value.id.text}\` is no agent`);
}

function listenForPeers(options: AgentPeersOptions) {
  const { agent, clock, listen, log, onAnnounce, store } = options;
  const service = createRevocationService({
    store,
    refuse: () => undefined,
    // What is handed in comes from this host, by the agent's own user.
    refuseSubmission: () => 'hand it in at your own agent',
    log,
  });
  const server = createGrpcServer<Parameters<RevocationCheck>[0]>([service]);
  const stopCutting = store.check.onChange((check) =>
    server.disconnect((peer) => check(peer, clock()) !== undefined),
  );
  let port: number | undefined;
  let material: TlsMaterial | undefined;

  async function open(): Promise<void> {
    if (listen === undefined || material === undefined) return;
    const opened = material;
    const onRefused = (reason: string) => log.warn(EVENT.connectionRefused, { reason });
    port = await server.listenTls({
      ...listen,
      material: () => material ?? opened,
      identify(socket) {
        const peer = peerOf(peerChain(socket), options);
        if (peer.ok) return peer.value;
        onRefused(peer.error);
        return undefined;
      },
      onRefused,
    });
    onAnnounce();
  }

  function refresh(): void {
    const identity = agent.current();
    if (identity === undefined) return;
    const { chainPem, privateKeyPem } = identity;
    const isFirst = material === undefined;
    material = { chainPem, privateKeyPem, rootsPem: options.trust().rootsPem };
    if (isFirst) open().catch((error: unknown) => log.error(EVENT.failed, { listen, error }));
  }

  const stop = agent.onChange(refresh);
  refresh();
  return {
    announcement: (): PeerAnnouncement[] =>
      listen === undefined || port === undefined
        ? []
        : [{ namespace: AGENTS.namespace, service: AGENTS.name, host: listen.host, port }],
    async close() {
      stop();
      stopCutting();
      await server.close();
    },
  };
}
