import { status } from '@grpc/grpc-js';
import type { Result } from '#lib';
import { EVENT, type Log } from '#telemetry';
import {
  createMessage,
  type FollowRedactionKeysRequest,
  type FollowRedactionKeysResponse,
  FollowRedactionKeysResponseSchema,
  type GrpcCall,
  type GrpcService,
  Host,
  type IntroduceRequest,
  type IntroduceResponse,
  IntroduceResponseSchema,
  type Reply,
  type WhoAmIRequest,
  type WhoAmIResponse,
  WhoAmIResponseSchema,
} from '#wire';
import type { Attestor, LocalPeer } from './attest.ts';
import type { Introductions } from './introductions.ts';
import type { RedactionKeySource } from './redaction-keys.ts';
import type { RelayOptions } from './relay.ts';

/** What the Host service works with. */
export type HostServiceOptions = {
  readonly peer: (call: { readonly getPeer: () => string }) => LocalPeer;
  readonly attestor: Attestor;
  readonly introductions: Introductions;
  /** Who sent a call, if it has an identity. */
  readonly identified: RelayOptions['attest'];
  readonly redactionKeys: RedactionKeySource;
  readonly trustDomain: string;
  /** The agent's own user, who may introduce processes; root may too. */
  readonly ownUid: number;
  readonly log: Log;
};

/** The Host service (host.proto). */
export function createHostService(options: HostServiceOptions): GrpcService {
  const introduce = async (
    call: GrpcCall<IntroduceRequest, IntroduceResponse>,
    done: Reply<IntroduceResponse>,
  ): Promise<void> => {
    const { namespace, service } = call.request;
    const { introductions, log } = options;
    const selectors = await introducePeer(options, options.peer(call), { namespace, service });
    if (!selectors.ok) {
      log.warn(EVENT.introductionRefused, { namespace, service, reason: selectors.error });
      done({ code: status.PERMISSION_DENIED, details: selectors.error });
      return;
    }
    log.info(EVENT.introduced, { namespace, service });
    const response = createMessage(IntroduceResponseSchema, { selectors: [...selectors.value] });
    // Answered once it is on disk, so that a restart of the agent does not undo it.
    afterSaving(introductions, () => done(null, response));
  };
  const whoAmI = async (
    call: GrpcCall<WhoAmIRequest, WhoAmIResponse>,
    done: Reply<WhoAmIResponse>,
  ): Promise<void> => {
    const { attestor, peer, trustDomain } = options;
    const selectors = await attestor.attest(peer(call));
    if (!selectors.ok) {
      done({ code: status.PERMISSION_DENIED, details: selectors.error });
      return;
    }
    done(
      null,
      createMessage(WhoAmIResponseSchema, { selectors: [...selectors.value], trustDomain }),
    );
  };
  const followRedactionKeys = createKeyStream(options);
  return { service: Host, implementation: { introduce, whoAmI, followRedactionKeys } };
}

/** SECURITY: a process without an identity gets no key: it has no sidecar whose records could need one. */
function createKeyStream({
  identified,
  redactionKeys,
}: HostServiceOptions): (
  call: GrpcCall<FollowRedactionKeysRequest, FollowRedactionKeysResponse>,
) => Promise<void> {
  return async (call) => {
    const peer = await identified(call);
    if (call.cancelled) return;
    if (!peer.ok) return call.refuse(peer.error);
    const send = (): void => {
      // One that does not read misses what came; a day later it asks anew, or hashes with its own key.
      if (call.isBlocked) return;
      const keys = redactionKeys.current().map((each) => ({ ...each }));
      if (keys.length > 0) call.write(createMessage(FollowRedactionKeysResponseSchema, { keys }));
    };
    const stop = redactionKeys.onChange(send);
    call.on('cancelled', stop);
    call.on('close', stop);
    return send();
  };
}

async function introducePeer(
  options: HostServiceOptions,
  peer: LocalPeer,
  service: { readonly namespace: string; readonly service: string },
): Promise<Result<readonly string[], string>> {
  const { attestor, introductions, ownUid } = options;
  // SECURITY: whoever may introduce can become any service that a registration gives to introduced processes.
  if (peer.uid !== ownUid && peer.uid !== 0) {
    return { ok: false, error: `user ${peer.uid} may not introduce processes to this agent` };
  }
  const attested = await attestor.attest(peer);
  if (!attested.ok) return attested;
  const introduced = introductions.introduce(peer.pid, service);
  return introduced.ok ? attestor.attest(peer) : introduced;
}

async function afterSaving(introductions: Introductions, answer: () => void): Promise<void> {
  // Never rejects: an introduction that could not be written holds as long as the agent runs.
  await introductions.saved();
  answer();
}
