import { join } from 'node:path';
import type { WorkloadIdentity } from '#identity';
import { fail, ok, type Result, type Source } from '#lib';
import {
  followRevocations,
  openRevocationStore,
  type RevocationFollower,
  type RevocationStore,
} from '#revocation';
import type { Log } from '#telemetry';
import { createGrpcClient, Revocations } from '#wire';
import type { AgentIdentity } from './agent-identity.ts';
import type { ControlChannel } from './control-channel.ts';
import type { StateFolder } from './state-folder.ts';
import type { Compiled, Swap } from './swap.ts';
import { expectServer, type X509Trust } from './trusted-root.ts';

/** With whom an agent exchanges revocations. */
export type NeighbourOptions = {
  readonly store: RevocationStore;
  readonly control: ControlChannel;
  /** `host:port` */
  readonly caAddress: string;
  readonly agent: Source<WorkloadIdentity | undefined> & Pick<AgentIdentity, 'doubted'>;
  readonly trust: () => X509Trust;
  readonly clock: () => number;
  readonly log: Log;
};

const MAX_RETRY_MS = 2_000;

/** Opens the revocations kept in a state folder; fails in words where they cannot be. */
export function openRevocations(
  folder: StateFolder,
  swap: Pick<Swap<Compiled>, 'current'>,
  log: Log,
): Result<RevocationStore, string> {
  try {
    const path = join(folder.path, 'revocations.jsonl');
    return ok(openRevocationStore({ path, trustRoot: () => swap.current().trustRoot, log }));
  } catch (error) {
    return fail(
      `the revocations in \`${folder.path}\` cannot be used: ${(error as Error).message}`,
    );
  }
}

/** Exchanges revocations with the agent on this host. */
export function followAgent(
  agentSocket: string,
  store: RevocationStore,
  log: Log,
): RevocationFollower {
  const client = createGrpcClient(Revocations, { kind: 'unix', path: agentSocket });
  const follower = followRevocations({
    store,
    open: () => ({ stream: client.bidi(Revocations.method.sync), close: () => {} }),
    neighbour: 'agent',
    maxRetryMs: MAX_RETRY_MS,
    log,
  });
  return {
    ...follower,
    close() {
      follower.close();
      client.close();
    },
  };
}

/**
 * Exchanges revocations with the control plane and with the CA.
 * SECURITY: two ways that do not know of each other: a control plane that withholds a revocation withholds nothing.
 */
export function followNeighbours(options: NeighbourOptions): { readonly close: () => void } {
  const { store, control, agent, log } = options;
  const shared = { store, maxRetryMs: MAX_RETRY_MS, log };
  const ofControl = followRevocations({
    ...shared,
    neighbour: 'control',
    open() {
      const call = control.acquire(Revocations);
      if (call === undefined) return undefined;
      return { stream: call.client.bidi(Revocations.method.sync), close: call.release };
    },
  });
  const ofAuthority = followRevocations({
    ...shared,
    neighbour: 'ca',
    open() {
      // One that was revoked hears of its being lifted from nobody else: all others refuse it, or it them.
      const client = agent.current() ?? agent.doubted();
      if (client === undefined) return undefined;
      const channel = createGrpcClient(Revocations, authorityTarget(options, client));
      return { stream: channel.bidi(Revocations.method.sync), close: channel.close };
    },
  });
  const stop = agent.onChange(() => {
    ofControl.restart();
    ofAuthority.restart();
  });
  return {
    close() {
      stop();
      ofControl.close();
      ofAuthority.close();
    },
  };
}

function authorityTarget(
  { caAddress, store, trust, clock }: NeighbourOptions,
  client: WorkloadIdentity,
) {
  const { bundle, rootsPem } = trust();
  const id = `spiffe://${bundle.trustDomain}/palisade/ca`;
  const verifyServer = expectServer(trust(), id, { clock, revoked: store.check.current });
  return { kind: 'tls', address: caAddress, rootsPem, client, verifyServer } as const;
}
