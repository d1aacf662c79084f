import type { MessageInitShape } from '@bufbuild/protobuf';
import type { WorkloadIdentity } from '#identity';
import type { RevocationStore } from '#revocation';
import type { Readiness } from '#telemetry';
import type { AckSchema } from '#wire';
import type { Compiled, Swap } from './swap.ts';
import { rootOf } from './trusted-root.ts';

/** An endpoint that a proxy leaves alone, and why: `ejected` or `unhealthy`. */
export type TroubledEndpoint = {
  readonly namespace: string;
  readonly service: string;
  readonly address: string;
  readonly health: string;
};

const MAX_TROUBLED = 32;

/** What an enforcement point tells of itself: exactly what it enforces, what it refused and why, whether it works. */
export function acknowledgement(of: {
  readonly swap: Pick<Swap<Compiled>, 'enforced' | 'refused' | 'current' | 'trust'>;
  readonly nowMs: number;
  readonly identity: WorkloadIdentity | undefined;
  readonly readiness: Readiness;
  readonly revocations: Pick<RevocationStore, 'summary'>;
  /** Endpoints that the proxy leaves alone. */
  readonly troubled?: readonly TroubledEndpoint[];
  /** Addresses besides loopback where the application listens. */
  readonly exposed?: readonly string[];
}): MessageInitShape<typeof AckSchema> {
  const { swap, identity, readiness } = of;
  const { count, digest } = of.revocations.summary();
  const root = identity && rootOf(identity.chainDer, swap.trust(), of.nowMs);
  return {
    trustRootVersion: BigInt(swap.current().trustRoot.version),
    certificateRoot: root ?? '',
    revocations: BigInt(count),
    revocationsDigest: digest,
    // Where a whole service is down a few of its endpoints say as much as all.
    troubled: (of.troubled ?? []).slice(0, MAX_TROUBLED).map((endpoint) => ({ ...endpoint })),
    exposed: [...(of.exposed ?? [])],
    enforced: [...swap.enforced()],
    refused: swap.refused().map((refusal) => ({ ...refusal, number: BigInt(refusal.number) })),
    ready: readiness.ready,
    readyReason: readiness.reason,
    certificateExpiresAtMs: BigInt(Math.floor(identity?.expiresAt ?? 0)),
    certificateSerial: identity?.serial ?? '',
    spiffeId: identity?.id.text ?? '',
  };
}
