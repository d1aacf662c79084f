import { status } from '@grpc/grpc-js';
import { type Bundle, pemToDer, type WorkloadIdentity } from '#identity';
import { EVENT } from '#telemetry';
import {
  type CallRefusal,
  createMessage,
  encodeOnce,
  type GrpcCall,
  type GrpcService,
  type JWTBundlesRequest,
  type JWTBundlesResponse,
  JWTBundlesResponseSchema,
  SpiffeWorkloadAPI,
  type X509BundlesRequest,
  type X509BundlesResponse,
  X509BundlesResponseSchema,
  type X509SVIDRequest,
  type X509SVIDResponse,
  X509SVIDResponseSchema,
} from '#wire';
import { createAnswerStream } from './answer-stream.ts';
import { concatenatedRoots, jwksByTrustDomain } from './bundles.ts';
import type { ServedSvid } from './svid-source.ts';
import { admit, DENIED, type WorkloadApiOptions } from './workload-caller.ts';
import { createJwtCalls } from './workload-jwt.ts';

// How long a caller waits for what is registered but not issued, or not known, yet.
const ANSWERED_WITHIN_MS = 10_000;
const TOO_LATE: CallRefusal = {
  code: status.UNAVAILABLE,
  details: 'the identity could not be issued yet',
};

/** The SPIFFE Workload API (SPIFFE_Workload_API.md); the optional WIT calls answer Unimplemented by themselves. */
export function createWorkloadApi(options: WorkloadApiOptions): GrpcService {
  const { bundles } = options;
  const answers: Answers = new WeakMap();
  return {
    service: SpiffeWorkloadAPI,
    implementation: {
      fetchX509SVID: (call: GrpcCall<X509SVIDRequest, X509SVIDResponse>) =>
        serveSvids(options, call, answers),
      fetchX509Bundles: (call: GrpcCall<X509BundlesRequest, X509BundlesResponse>) =>
        serveBundles(options, call, () => () => x509Bundles(bundles.x509())),
      fetchJWTBundles: (call: GrpcCall<JWTBundlesRequest, JWTBundlesResponse>) =>
        serveBundles(options, call, () => {
          const jwt = bundles.jwt();
          return jwt && (() => jwtBundles(jwksByTrustDomain(jwt)));
        }),
      ...createJwtCalls(options),
    },
  };
}

/** Sends the caller's identities now and at each change, until it leaves or has none any more. */
async function serveSvids(
  options: WorkloadApiOptions,
  call: GrpcCall<X509SVIDRequest, X509SVIDResponse>,
  answers: Answers,
): Promise<void> {
  const { bundles, log, scheduler, svids } = options;
  const selectors = await admit(options, call);
  if (call.cancelled) return;
  if (!selectors.ok) return call.refuse(selectors.error);
  const stops: (() => void)[] = [];
  // The first answer may come, and end the stream, before `watch` has returned.
  const stream = createAnswerStream(call, () =>
    queueMicrotask(() => stops.forEach((stop) => stop())),
  );
  let served: readonly ServedSvid[] | undefined;
  const send = () => {
    if (served === undefined) return;
    const now = served;
    const serials = now.map(({ identity, hint }) => [identity.serial, hint]);
    const key = JSON.stringify([bundles.revision(), serials]);
    stream.send(key, () => rememberedAnswer(answers, key, { svids: now, bundles: bundles.x509 }));
  };
  const tooLate = scheduler.after(ANSWERED_WITHIN_MS, () => {
    if (!stream.isAnswered()) stream.end(TOO_LATE);
  });
  stops.push(
    tooLate,
    bundles.onChange(send),
    svids.watch(selectors.value, (answer) => {
      if (answer.kind === 'denied') {
        log.warn(EVENT.workloadDenied, { selectors: selectors.value });
        stream.end(DENIED);
      }
      if (answer.kind !== 'svids') return;
      served = answer.svids;
      send();
    }),
  );
}

/** Sends bundles now and at each change to a caller who has an identity, whether it is issued or not. */
async function serveBundles<Request, Response>(
  options: WorkloadApiOptions,
  call: GrpcCall<Request, Response>,
  respond: () => (() => Response) | undefined,
): Promise<void> {
  const { bundles, log, scheduler, svids } = options;
  const selectors = await admit(options, call);
  if (call.cancelled) return;
  if (!selectors.ok) return call.refuse(selectors.error);
  const stops: (() => void)[] = [];
  const stream = createAnswerStream(call, () =>
    queueMicrotask(() => stops.forEach((stop) => stop())),
  );
  const update = () => {
    const entitled = svids.entitled(selectors.value);
    if (entitled?.length === 0) {
      log.warn(EVENT.workloadDenied, { selectors: selectors.value });
      return stream.end(DENIED);
    }
    const response = entitled && respond();
    if (response !== undefined) stream.send(String(bundles.revision()), response);
  };
  const tooLate = scheduler.after(ANSWERED_WITHIN_MS, () => {
    if (!stream.isAnswered()) stream.end({ ...TOO_LATE, details: 'no bundle is known yet' });
  });
  stops.push(tooLate, bundles.onChange(update), svids.onRegistrations(update));
  update();
}

type Answers = WeakMap<
  WorkloadIdentity,
  { readonly key: string; readonly response: X509SVIDResponse }
>;

/** The answer that `key` names; whoever else is given the same identities gets the same bytes, as long as those live. */
function rememberedAnswer(
  answers: Answers,
  key: string,
  of: { readonly svids: readonly ServedSvid[]; readonly bundles: () => readonly Bundle[] },
): X509SVIDResponse {
  const [first] = of.svids;
  const known = first && answers.get(first.identity);
  if (known?.key === key) return known.response;
  const response = encodeOnce(X509SVIDResponseSchema, svidResponse(of.svids, of.bundles()));
  if (first !== undefined) answers.set(first.identity, { key, response });
  return response;
}

function svidResponse(
  svids: readonly ServedSvid[],
  [own, ...foreign]: readonly Bundle[],
): X509SVIDResponse {
  const bundle = own === undefined ? Buffer.alloc(0) : concatenatedRoots(own);
  return createMessage(X509SVIDResponseSchema, {
    svids: svids.map(({ identity, hint }) => ({
      spiffeId: identity.id.text,
      x509Svid: Buffer.concat(identity.chainDer),
      x509SvidKey: pkcs8Of(identity),
      bundle,
      hint,
    })),
    federatedBundles: byTrustDomain(foreign),
  });
}

/** The DER within the PEM that identities hold, without having OpenSSL read and write the key again. */
function pkcs8Of({ privateKeyPem }: WorkloadIdentity): Uint8Array {
  return pemToDer(privateKeyPem, 'PRIVATE KEY')[0] ?? new Uint8Array();
}

function x509Bundles(bundles: readonly Bundle[]): X509BundlesResponse {
  return createMessage(X509BundlesResponseSchema, { bundles: byTrustDomain(bundles) });
}

function jwtBundles(bundles: Record<string, Uint8Array>): JWTBundlesResponse {
  return createMessage(JWTBundlesResponseSchema, { bundles });
}

function byTrustDomain(bundles: readonly Bundle[]): Record<string, Uint8Array> {
  return Object.fromEntries(
    bundles.map((bundle) => [`spiffe://${bundle.trustDomain}`, concatenatedRoots(bundle)]),
  );
}
