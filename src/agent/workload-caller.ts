import { status } from '@grpc/grpc-js';
import type { RevocationCheck } from '#identity';
import { fail, type Result, type Scheduler, type Source } from '#lib';
import { EVENT, type Log } from '#telemetry';
import type { CallMetadata, CallRefusal } from '#wire';
import type { Bundles } from './bundles.ts';
import type { JwtKeySource } from './jwt-keys.ts';
import type { JwtSource } from './jwt-source.ts';
import type { SvidSource } from './svid-source.ts';

/** What the Workload API works with. */
export type WorkloadApiOptions = {
  /** The caller's selectors; fails if its process is gone. */
  readonly attest: (call: {
    readonly getPeer: () => string;
  }) => Promise<Result<readonly string[], string>>;
  readonly svids: SvidSource;
  readonly tokens: JwtSource;
  readonly jwtKeys: JwtKeySource;
  readonly bundles: Bundles;
  readonly revocations: Source<RevocationCheck>;
  readonly scheduler: Scheduler;
  readonly clock: () => number;
  readonly log: Log;
};

/** A call as far as its caller is concerned. */
export type WorkloadCall = { readonly metadata: CallMetadata; readonly getPeer: () => string };

/** What a caller without registration is told. */
export const DENIED: CallRefusal = {
  code: status.PERMISSION_DENIED,
  details: 'no identity is registered for this process',
};
/** The selectors of a call that may be answered; never rejects. */
export async function admit(
  options: Pick<WorkloadApiOptions, 'attest' | 'log'>,
  call: WorkloadCall,
): Promise<Result<readonly string[], CallRefusal>> {
  // SECURITY: SPIFFE Workload Endpoint 6: checked before anything else, against requests forged through a browser.
  const header = call.metadata.get('workload.spiffe.io');
  if (header.length !== 1 || header[0] !== 'true') {
    const details = 'the metadata `workload.spiffe.io: true` is missing';
    return fail({ code: status.INVALID_ARGUMENT, details });
  }
  const selectors = await attested(options, call);
  if (selectors.ok) return selectors;
  options.log.warn(EVENT.attestationFailed, { reason: selectors.error });
  return fail(DENIED);
}

/** The selectors of whoever made a call; never rejects. */
export async function attested(
  { attest }: Pick<WorkloadApiOptions, 'attest'>,
  call: Pick<WorkloadCall, 'getPeer'>,
): Promise<Result<readonly string[], string>> {
  try {
    return await attest(call);
  } catch (error) {
    // SECURITY: a caller that hangs up at the right moment must not become an unhandled rejection.
    return fail(error instanceof Error ? error.message : 'attestation failed');
  }
}
