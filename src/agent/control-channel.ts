import type { RevocationCheck, WorkloadIdentity } from '#identity';
import type { Source } from '#lib';
import type { Distribution, Revocations, Telemetry } from '#wire';
import { type ChannelCall, createChannelPool } from './channel-pool.ts';
import type { X509Trust } from './trusted-root.ts';

/** A client to the control plane for one call; `release` when the call is over. */
export type ControlCall = ChannelCall;

/** Mutual TLS to the control plane under the agent's identity of the moment. */
export type ControlChannel = {
  /** Undefined while the agent has no valid identity. */
  readonly acquire: (
    service: typeof Distribution | typeof Revocations | typeof Telemetry,
  ) => ControlCall | undefined;
  readonly close: () => void;
};

/** Creates the channels to the control plane at `address` (`host:port`). */
export function createControlChannel(options: {
  readonly address: string;
  readonly agent: Source<WorkloadIdentity | undefined>;
  readonly trust: () => X509Trust;
  readonly clock: () => number;
  readonly revoked: () => RevocationCheck;
}): ControlChannel {
  const pool = createChannelPool({ ...options, role: 'control' });
  return {
    acquire(service) {
      const identity = options.agent.current();
      return identity === undefined ? undefined : pool.acquire(service, identity);
    },
    close: pool.close,
  };
}
