import type { WorkloadIdentity } from '#identity';
import type { Source } from '#lib';
import { createGrpcClient, type Distribution, type GrpcClient, type Telemetry } from '#wire';
import { expectServer, type X509Trust } from './trusted-root.ts';

/** A client to the control plane for one call; `release` when the call is over. */
export type ControlCall = { readonly client: GrpcClient; readonly release: () => void };

/** Mutual TLS to the control plane under the agent's identity of the moment. */
export type ControlChannel = {
  /** Undefined while the agent has no valid identity. */
  readonly acquire: (service: typeof Distribution | typeof Telemetry) => ControlCall | undefined;
  readonly close: () => void;
};

type Channel = { readonly serial: string; readonly client: GrpcClient; users: number };

/** Creates the channels lazily; after a renewal new calls go over a new one and the old ends with its last call. */
export function createControlChannel(options: {
  /** `host:port` */
  readonly address: string;
  readonly agent: Source<WorkloadIdentity | undefined>;
  readonly trust: () => X509Trust;
  readonly clock: () => number;
}): ControlChannel {
  const channels = new Map<string, Channel>();
  const retired = new Set<Channel>();

  function open(
    service: Parameters<ControlChannel['acquire']>[0],
    client: WorkloadIdentity,
  ): Channel {
    const { bundle, rootsPem } = options.trust();
    const spiffeId = `spiffe://${bundle.trustDomain}/palisade/control`;
    const verifyServer = expectServer(options.trust(), spiffeId, options.clock);
    const target = {
      kind: 'tls',
      address: options.address,
      rootsPem,
      client,
      verifyServer,
    } as const;
    return { serial: client.serial, client: createGrpcClient(service, target), users: 0 };
  }

  function retire(channel: Channel): void {
    if (channel.users === 0) channel.client.close();
    else retired.add(channel);
  }

  return {
    acquire(service) {
      const identity = options.agent.current();
      if (identity === undefined) return undefined;
      let channel = channels.get(service.typeName);
      if (channel?.serial !== identity.serial) {
        if (channel !== undefined) retire(channel);
        channel = open(service, identity);
        channels.set(service.typeName, channel);
      }
      const used = channel;
      used.users++;
      let isReleased = false;
      return {
        client: used.client,
        release() {
          if (isReleased) return;
          isReleased = true;
          used.users--;
          if (used.users === 0 && retired.delete(used)) used.client.close();
        },
      };
    },
    close() {
      for (const channel of [...channels.values(), ...retired]) channel.client.close();
    },
  };
}
