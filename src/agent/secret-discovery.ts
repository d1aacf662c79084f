import { hash } from 'node:crypto';
import { status } from '@grpc/grpc-js';
import { EVENT } from '#telemetry';
import {
  type CallRefusal,
  createMessage,
  type DiscoveryRequest,
  type DiscoveryResponse,
  DiscoveryResponseSchema,
  type GrpcCall,
  type GrpcService,
  type Reply,
  SecretDiscoveryService,
} from '#wire';
import { createAnswerStream } from './answer-stream.ts';
import { SECRET_TYPE, type SecretResources, secretsNamed } from './secrets.ts';
import type { ServedSvid } from './svid-source.ts';
import { attested, DENIED, type WorkloadApiOptions } from './workload-caller.ts';

type SecretsCall = GrpcCall<DiscoveryRequest, DiscoveryResponse>;
type Listener = {
  readonly changed: (svids: readonly ServedSvid[], revision: string) => void;
  readonly denied: (refusal: CallRefusal) => void;
};

// SECURITY: names are the caller's; more than a workload can have are no question.
const MAX_NAMES = 256;
const ANSWERED_WITHIN_MS = 10_000;

/**
 * Envoy's Secret Discovery Service: the same identities and bundles as the Workload API, for the same callers. It asks
 * for no header: unlike the Workload API it is not one that a standard puts on TCP as well.
 */
export function createSecretDiscovery(options: WorkloadApiOptions): GrpcService {
  const fetchSecrets = (call: SecretsCall, done: Reply<DiscoveryResponse>): void => {
    void follow(options, call, (stop) => ({
      denied: (refusal) => done(refusal),
      changed(svids, revision) {
        stop();
        const resources = secretsNamed(call.request.resourceNames, {
          svids,
          bundles: options.bundles.x509(),
        });
        if (resources.ok) done(null, answer(resources.value, revision));
        else done(notYours(resources.error));
      },
    }));
  };
  return {
    service: SecretDiscoveryService,
    implementation: {
      fetchSecrets,
      streamSecrets: (call: SecretsCall) => void streamSecrets(options, call),
    },
  };
}

async function streamSecrets(options: WorkloadApiOptions, call: SecretsCall): Promise<void> {
  let known: { svids: readonly ServedSvid[]; revision: string } | undefined;
  let wanted: readonly string[] | undefined;
  let stopFollowing = () => {};
  let nonce = 0;
  const stream = createAnswerStream(call, () => queueMicrotask(() => stopFollowing()));
  const update = () => {
    if (known === undefined || wanted === undefined) return;
    const { svids, revision } = known;
    const resources = secretsNamed(wanted, { svids, bundles: options.bundles.x509() });
    if (!resources.ok) return stream.end(notYours(resources.error));
    stream.send(JSON.stringify([revision, wanted]), () =>
      answer(resources.value, revision, String(++nonce)),
    );
  };
  call.on('data', (request: DiscoveryRequest) => {
    const refusal = requestProblem(request);
    if (refusal !== undefined) return stream.end(refusal);
    if (request.errorDetail !== undefined) {
      options.log.warn(EVENT.secretsRefused, { reason: request.errorDetail.message.slice(0, 500) });
    }
    // xDS: what answers an older response says nothing of the present one.
    if (request.responseNonce !== '' && request.responseNonce !== String(nonce)) return;
    wanted = request.resourceNames;
    update();
  });
  call.on('end', () => {
    stream.end();
    call.end();
  });
  await follow(options, call, (stop) => {
    stopFollowing = stop;
    return {
      denied: (refusal) => stream.end(refusal),
      changed(svids, revision) {
        known = { svids, revision };
        update();
      },
    };
  });
}

/** Tells what the caller may have, now and at each change, until `stop` or until it has nothing. */
async function follow(
  options: WorkloadApiOptions,
  call: { readonly getPeer: () => string; readonly cancelled: boolean },
  begin: (stop: () => void) => Listener,
): Promise<void> {
  const { bundles, log, scheduler, svids } = options;
  const stops: (() => void)[] = [];
  let isOver = false;
  const stop = () => {
    isOver = true;
    // The first answer may come before the watch has been put on the list.
    queueMicrotask(() => stops.splice(0).forEach((each) => each()));
  };
  const listener = begin(stop);
  const selectors = await attested(options, call);
  if (call.cancelled || isOver) return;
  if (!selectors.ok) {
    log.warn(EVENT.attestationFailed, { reason: selectors.error });
    return listener.denied(DENIED);
  }
  let served: readonly ServedSvid[] | undefined;
  const changed = () => {
    if (served === undefined || isOver) return;
    const serials = served.map(({ identity, hint }) => [identity.serial, hint]);
    const revision = hash('sha256', JSON.stringify([bundles.revision(), serials])).slice(0, 16);
    listener.changed(served, revision);
  };
  const deny = (refusal: CallRefusal) => {
    if (isOver) return;
    stop();
    listener.denied(refusal);
  };
  const tooLate = scheduler.after(ANSWERED_WITHIN_MS, () => {
    if (served === undefined) deny({ code: status.UNAVAILABLE, details: 'nothing is issued yet' });
  });
  stops.push(tooLate, bundles.onChange(changed));
  stops.push(
    svids.watch(selectors.value, (found) => {
      if (found.kind === 'denied') return deny(DENIED);
      if (found.kind !== 'svids') return;
      served = found.svids;
      changed();
    }),
  );
}

function requestProblem({ typeUrl, resourceNames }: DiscoveryRequest): CallRefusal | undefined {
  if (typeUrl !== '' && typeUrl !== SECRET_TYPE) {
    return { code: status.INVALID_ARGUMENT, details: 'only secrets are served here' };
  }
  if (resourceNames.length <= MAX_NAMES) return undefined;
  return { code: status.INVALID_ARGUMENT, details: `more than ${MAX_NAMES} names` };
}

function notYours(name: string): CallRefusal {
  const shown = JSON.stringify(name.slice(0, 200));
  const details = `${shown} is neither an identity of this process nor a bundle`;
  return { code: status.PERMISSION_DENIED, details };
}

function answer(resources: SecretResources, versionInfo: string, nonce = ''): DiscoveryResponse {
  const typeUrl = SECRET_TYPE;
  return createMessage(DiscoveryResponseSchema, { resources, versionInfo, nonce, typeUrl });
}
