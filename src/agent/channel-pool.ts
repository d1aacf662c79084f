import type { RevocationCheck, WorkloadIdentity } from '#identity';
import { createGrpcClient, type GrpcClient, type GrpcTarget } from '#wire';
import { expectServer, type X509Trust } from './trusted-root.ts';

/** A client for one call; `release` when the call is over. */
export type ChannelCall = {
  readonly client: GrpcClient;
  /** Where the client's connections lead, for one of another kind. */
  readonly target: TlsTarget;
  readonly release: () => void;
};

type TlsTarget = GrpcTarget & { readonly kind: 'tls' };

/** Mutual TLS to one server of the mesh's own, under whatever identity a call is made with. */
export type ChannelPool = {
  readonly acquire: (service: GrpcService, as: WorkloadIdentity) => ChannelCall;
  readonly close: () => void;
};

type GrpcService = Parameters<typeof createGrpcClient>[0];
type Channel = {
  readonly serial: string;
  readonly trust: X509Trust;
  readonly client: GrpcClient;
  readonly target: TlsTarget;
  users: number;
};

/**
 * Creates the channels lazily, one a service; after a renewal, or with other roots, new calls go over a new one and the
 * old ends with its last call.
 */
export function createChannelPool(options: {
  /** `host:port` */
  readonly address: string;
  /** The server's SPIFFE ID is `/palisade/ROLE`. */
  readonly role: 'ca' | 'control';
  readonly trust: () => X509Trust;
  readonly clock: () => number;
  readonly revoked: () => RevocationCheck;
}): ChannelPool {
  const { address, role } = options;
  const channels = new Map<string, Channel>();
  const retired = new Set<Channel>();

  function open(service: GrpcService, client: WorkloadIdentity, trust: X509Trust): Channel {
    const spiffeId = `spiffe://${trust.bundle.trustDomain}/palisade/${role}`;
    const verifyServer = expectServer(trust, spiffeId, options);
    const { rootsPem } = trust;
    const target: TlsTarget = { kind: 'tls', address, rootsPem, client, verifyServer };
    const { serial } = client;
    return { serial, trust, target, client: createGrpcClient(service, target), users: 0 };
  }

  function retire(channel: Channel): void {
    if (channel.users === 0) channel.client.close();
    else retired.add(channel);
  }

  return {
    acquire(service, as) {
      const trust = options.trust();
      let channel = channels.get(service.typeName);
      if (channel?.serial !== as.serial || channel.trust !== trust) {
        if (channel !== undefined) retire(channel);
        channel = open(service, as, trust);
        channels.set(service.typeName, channel);
      }
      const used = channel;
      used.users++;
      let isReleased = false;
      return {
        client: used.client,
        target: used.target,
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
