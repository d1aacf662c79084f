import { createPrivateKey } from 'node:crypto';
import { type Metadata, type ServerWritableStream, status } from '@grpc/grpc-js';
import type { WorkloadIdentity } from '#identity';
import type { Result } from '#lib';
import { EVENT, type Log } from '#telemetry';
import {
  createMessage,
  type GrpcService,
  SpiffeWorkloadAPI,
  type X509BundlesRequest,
  type X509BundlesResponse,
  X509BundlesResponseSchema,
  type X509SVIDRequest,
  type X509SVIDResponse,
  X509SVIDResponseSchema,
} from '#wire';
import { type CallRefusal, refuseCall } from './relay-stream.ts';
import type { SvidAnswer, SvidSource } from './svid-source.ts';
import type { Scheduler } from './timer.ts';
import type { X509Trust } from './trusted-root.ts';

/** What the Workload API works with. */
export type WorkloadApiOptions = {
  /** The caller's selectors; fails if its process is gone. */
  readonly attest: (call: {
    readonly getPeer: () => string;
  }) => Promise<Result<readonly string[], string>>;
  readonly svids: SvidSource;
  readonly trust: () => X509Trust;
  readonly scheduler: Scheduler;
  readonly log: Log;
};

type Call<Request, Response> = ServerWritableStream<Request, Response> & {
  readonly metadata: Metadata;
};

const DENIED: CallRefusal = {
  code: status.PERMISSION_DENIED,
  details: 'no identity is registered for this process',
};
// How long a caller waits for an identity that is registered but not issued yet.
const ISSUED_WITHIN_MS = 10_000;

/** The SPIFFE Workload API, X.509 part (SPIFFE_Workload_API.md 5.2); JWT calls answer Unimplemented by themselves. */
export function createWorkloadApi(options: WorkloadApiOptions): GrpcService {
  return {
    service: SpiffeWorkloadAPI,
    implementation: {
      fetchX509SVID: (call: Call<X509SVIDRequest, X509SVIDResponse>) =>
        serve(options, call, (answer) =>
          answer.kind === 'svids' ? svidResponse(answer.svids, options.trust()) : undefined,
        ),
      fetchX509Bundles: (call: Call<X509BundlesRequest, X509BundlesResponse>) =>
        serve(options, call, (answer) =>
          answer.kind === 'svids' ? bundlesResponse(options.trust()) : undefined,
        ),
    },
  };
}

/** Answers now and at each change, until the caller leaves or has no identity any more. */
async function serve<Request, Response>(
  options: WorkloadApiOptions,
  call: Call<Request, Response>,
  respond: (answer: SvidAnswer) => Response | undefined,
): Promise<void> {
  // SECURITY: SPIFFE Workload Endpoint 6: checked before anything else, against requests forged through a browser.
  const header = call.metadata.get('workload.spiffe.io');
  if (header.length !== 1 || header[0] !== 'true') {
    const details = 'the metadata `workload.spiffe.io: true` is missing';
    return refuseCall(call, { code: status.INVALID_ARGUMENT, details });
  }
  const selectors = await options.attest(call);
  if (call.cancelled) return;
  if (!selectors.ok) {
    options.log.warn(EVENT.attestationFailed, { reason: selectors.error });
    return refuseCall(call, DENIED);
  }
  let isOver = false;
  const end = (refusal?: CallRefusal) => {
    if (isOver) return;
    isOver = true;
    cancel();
    // The first answer may come before `watch` has returned.
    queueMicrotask(() => stop());
    if (refusal !== undefined) refuseCall(call, refusal);
  };
  const cancel = options.scheduler.after(ISSUED_WITHIN_MS, () =>
    end({ code: status.UNAVAILABLE, details: 'the identity could not be issued yet' }),
  );
  const stop = options.svids.watch(selectors.value, (answer) => {
    if (isOver) return;
    if (answer.kind === 'denied') {
      options.log.warn(EVENT.workloadDenied, { selectors: selectors.value });
      return end(DENIED);
    }
    const response = respond(answer);
    if (response === undefined) return;
    cancel();
    call.write(response);
  });
  call.on('cancelled', () => end());
  call.on('close', () => end());
  call.on('error', () => end());
}

function svidResponse(svids: readonly WorkloadIdentity[], trust: X509Trust): X509SVIDResponse {
  const bundle = concatenated(trust);
  return createMessage(X509SVIDResponseSchema, {
    svids: svids.map((svid) => ({
      spiffeId: svid.id.text,
      x509Svid: Buffer.concat(svid.chainDer),
      x509SvidKey: createPrivateKey(svid.privateKeyPem).export({ type: 'pkcs8', format: 'der' }),
      bundle,
    })),
  });
}

function bundlesResponse(trust: X509Trust): X509BundlesResponse {
  const { trustDomain } = trust.bundle;
  return createMessage(X509BundlesResponseSchema, {
    bundles: { [`spiffe://${trustDomain}`]: concatenated(trust) },
  });
}

function concatenated({ bundle }: X509Trust): Uint8Array {
  return Buffer.concat(bundle.x509Roots.map((root) => root.raw));
}
