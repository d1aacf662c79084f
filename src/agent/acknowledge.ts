import type { MessageInitShape } from '@bufbuild/protobuf';
import type { WorkloadIdentity } from '#identity';
import type { RevocationStore } from '#revocation';
import type { Readiness } from '#telemetry';
import type { AckSchema } from '#wire';
import type { Compiled, Swap } from './swap.ts';

/** What an enforcement point tells of itself: exactly what it enforces, what it refused and why, whether it works. */
export function acknowledgement(of: {
  readonly swap: Pick<Swap<Compiled>, 'enforced' | 'refused'>;
  readonly identity: WorkloadIdentity | undefined;
  readonly readiness: Readiness;
  readonly revocations: Pick<RevocationStore, 'summary'>;
}): MessageInitShape<typeof AckSchema> {
  const { swap, identity, readiness } = of;
  const { count, digest } = of.revocations.summary();
  return {
    revocations: BigInt(count),
    revocationsDigest: digest,
    enforced: [...swap.enforced()],
    refused: swap.refused().map((refusal) => ({ ...refusal, number: BigInt(refusal.number) })),
    ready: readiness.ready,
    readyReason: readiness.reason,
    certificateExpiresAtMs: BigInt(Math.floor(identity?.expiresAt ?? 0)),
    certificateSerial: identity?.serial ?? '',
    spiffeId: identity?.id.text ?? '',
  };
}
