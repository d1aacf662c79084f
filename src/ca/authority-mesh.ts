import { followRevocations } from '#revocation';
import { createGrpcClient, Revocations } from '#wire';
import type { CaCore } from './authority-core.ts';
import type { CaOptions } from './ca-options.ts';
import { controlTarget, type PolicySubscription, subscribeToPolicy } from './subscribe.ts';

/** Follows policy and revocations of the control plane, where there is one. */
export function followMesh(
  options: CaOptions,
  { policy, identity, revocations, roots }: CaCore,
): PolicySubscription | undefined {
  const { control, trustDomain, clock, log, softwareVersion = '' } = options;
  if (control === undefined) return undefined;
  const { bundle } = roots;
  const revoked = revocations.check.current;
  const about = { address: control, trustDomain, softwareVersion, clock, log };
  const shared = { ...about, policy, identity, bundle, revoked, revocations };
  const policies = subscribeToPolicy(shared);
  const follower = followRevocations({
    store: revocations,
    open() {
      const client = createGrpcClient(Revocations, controlTarget(shared));
      return { stream: client.bidi(Revocations.method.sync), close: client.close };
    },
    neighbour: 'control',
    maxRetryMs: 2_000,
    log,
  });
  return {
    connected: policies.connected,
    reconnect() {
      policies.reconnect();
      follower.restart();
    },
    close() {
      follower.close();
      policies.close();
    },
  };
}
