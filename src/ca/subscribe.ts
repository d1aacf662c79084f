import type { ClientDuplexStream } from '@grpc/grpc-js';
import { type Bundle, type RevocationCheck, verifyX509Svid } from '#identity';
import { createBackoff } from '#lib';
import type { RevocationStore } from '#revocation';
import { EVENT, type Log } from '#telemetry';
import { decodeEnvelope, decodeUpdate, type TrustError } from '#trust';
import {
  AckSchema,
  createGrpcClient,
  createMessage,
  Distribution,
  type GrpcClient,
  type GrpcTarget,
  HelloSchema,
  type PolicySetUpdate,
  PROCESS_STARTED_AT_MS,
  type SubscribeRequest,
  SubscribeRequestSchema,
  type SubscribeResponse,
} from '#wire';
import { meshId } from './mesh-identity.ts';
import type { OwnIdentity } from './own-identity.ts';
import type { Policy } from './policy.ts';

/** The authority's subscription to signed policy; it never ends by itself. */
export type PolicySubscription = {
  readonly connected: () => boolean;
  /** Connects anew, e.g. with a renewed certificate. */
  readonly reconnect: () => void;
  readonly close: () => void;
};

/** What it takes; `address` is the control plane's gRPC port. */
export type SubscriptionOptions = {
  readonly address: string;
  readonly policy: Policy;
  readonly identity: OwnIdentity;
  readonly bundle: () => Bundle;
  /** The revocations of now. */
  readonly revoked: () => RevocationCheck;
  readonly revocations: Pick<RevocationStore, 'summary' | 'check'>;
  readonly trustDomain: string;
  readonly softwareVersion: string;
  readonly clock: () => number;
  readonly log: Log;
};

type Stream = ClientDuplexStream<SubscribeRequest, SubscribeResponse>;
type Live = {
  readonly client: GrpcClient;
  readonly stream: Stream;
  readonly acks: NodeJS.Timeout;
  /** What was refused since the last good update, by namespace. */
  readonly refusals: Map<string, TrustError>;
};

const ACK_INTERVAL_MS = 10_000;
const MAX_REFUSALS = 1000;

/** Subscribes to every namespace, with retries until closed. */
export function subscribeToPolicy(options: SubscriptionOptions): PolicySubscription {
  const { address, log } = options;
  const backoff = createBackoff({ minMs: 100, maxMs: 2000 });
  let live: Live | undefined;
  let retry: NodeJS.Timeout | undefined;
  let connected = false;

  function opened(): void {
    if (!connected) log.info(EVENT.configurationConnected, { address });
    connected = true;
    backoff.reset();
  }

  function lost(stream: Stream, error?: Error): void {
    if (live?.stream !== stream) return;
    hangUp(live);
    live = undefined;
    if (connected) log.warn(EVENT.configurationLost, { address, ...(error && { error }) });
    connected = false;
    retry = setTimeout(connect, backoff.nextMs());
  }

  function connect(): void {
    const current = dial(options);
    live = current;
    const { stream } = current;
    stream.on('metadata', opened);
    stream.on('data', (response: SubscribeResponse) => {
      opened();
      receive(response, options, current.refusals);
      acknowledge(current, options);
    });
    // A status other than OK comes as an error, and after it nothing else.
    stream.on('error', (error: Error) => lost(stream, error));
    stream.on('end', () => lost(stream));
    greet(stream, options);
    // Nothing may be new to us that would be answered: who waits for us to enforce it hears so at once.
    acknowledge(current, options);
  }

  connect();
  const stopAcknowledging = options.revocations.check.onChange(() => {
    if (live !== undefined) acknowledge(live, options);
  });
  return {
    connected: () => connected,
    reconnect() {
      if (live === undefined) return;
      hangUp(live);
      // A rotation waits to hear under which root we stand now.
      connect();
    },
    close() {
      stopAcknowledging();
      clearTimeout(retry);
      if (live !== undefined) hangUp(live);
      live = undefined;
    },
  };
}

function dial(options: SubscriptionOptions): Live {
  const client = createGrpcClient(Distribution, controlTarget(options));
  const stream: Stream = client.bidi(Distribution.method.subscribe);
  const live: Live = {
    client,
    stream,
    refusals: new Map(),
    acks: setInterval(() => acknowledge(live, options), ACK_INTERVAL_MS),
  };
  return live;
}

/** The control plane's gRPC port, under the authority's certificate of now. */
export function controlTarget(
  options: Pick<
    SubscriptionOptions,
    'address' | 'identity' | 'bundle' | 'trustDomain' | 'clock' | 'revoked'
  >,
): GrpcTarget {
  const { address, identity, bundle, trustDomain, clock, revoked } = options;
  const { chainPem, privateKeyPem, rootsPem } = identity.material();
  const control = meshId(trustDomain, 'control').text;
  return {
    kind: 'tls',
    address,
    rootsPem,
    client: { chainPem, privateKeyPem },
    verifyServer(chain) {
      const svid = verifyX509Svid(chain, bundle(), clock());
      if (!svid.ok) return svid.error.message;
      const problem = revoked()(svid.value, clock());
      if (problem !== undefined) return problem.message;
      return svid.value.id.text === control ? undefined : `\`${address}\` is not the control plane`;
    },
  };
}

function hangUp({ client, stream, acks }: Live): void {
  clearInterval(acks);
  // Cancelling ends the call with an error that nobody needs.
  stream.removeAllListeners().on('error', () => {});
  stream.cancel();
  client.close();
}

function greet(stream: Stream, options: SubscriptionOptions): void {
  const { policy, trustDomain, softwareVersion } = options;
  const value = createMessage(HelloSchema, {
    node: 'ca',
    kind: 'ca',
    spiffeId: meshId(trustDomain, 'ca').text,
    namespaces: ['*'],
    known: versionsOf(policy),
    startedAtMs: PROCESS_STARTED_AT_MS,
    softwareVersion,
    trustRootVersion: BigInt(policy.trustRoot().version),
  });
  stream.write(createMessage(SubscribeRequestSchema, { message: { case: 'hello', value } }));
}

function receive(
  { message }: SubscribeResponse,
  options: SubscriptionOptions,
  refusals: Live['refusals'],
): void {
  if (message.case === 'policySet') receiveSet(message.value, options, refusals);
  if (message.case === 'trustRoot') receiveTrustRoot(message.value.envelope, options);
}

function receiveSet(
  update: PolicySetUpdate,
  { policy, log }: SubscriptionOptions,
  refusals: Live['refusals'],
): void {
  const { namespace } = update;
  const decoded = decodeUpdate(update);
  const applied = decoded.ok ? policy.apply(decoded.value) : decoded;
  if (applied.ok) {
    refusals.delete(namespace);
    log.info(EVENT.policyEnforced, { namespace, number: applied.value.head.number });
    return;
  }
  // SECURITY: a hostile sender invents namespaces; what is remembered of them is bounded.
  if (refusals.size < MAX_REFUSALS || refusals.has(namespace)) {
    refusals.set(namespace, applied.error);
  }
  log.warn(EVENT.policyRefused, { namespace: namespace.slice(0, 63), ...applied.error });
}

function receiveTrustRoot(bytes: Uint8Array, { policy, log }: SubscriptionOptions): void {
  const envelope = decodeEnvelope(bytes);
  const before = policy.trustRoot().version;
  const next = envelope.ok ? policy.succeed(envelope.value) : envelope;
  if (!next.ok) log.error(EVENT.trustRootRefused, { ...next.error });
  else if (next.value.version !== before) {
    log.info(EVENT.trustRootSucceeded, { version: next.value.version });
  }
}

function acknowledge({ stream, refusals }: Live, options: SubscriptionOptions): void {
  // SECURITY: a sender that reads nothing must not fill our memory; the next acknowledgement says it all again.
  if (stream.writableNeedDrain) return;
  const { identity, policy, revocations, trustDomain } = options;
  const { count, digest } = revocations.summary();
  const value = createMessage(AckSchema, {
    trustRootVersion: BigInt(policy.trustRoot().version),
    certificateRoot: identity.root(),
    revocations: BigInt(count),
    revocationsDigest: digest,
    enforced: versionsOf(policy),
    refused: Array.from(refusals, ([namespace, { code, message, number, hash }]) => ({
      namespace,
      code,
      message,
      number: BigInt(number ?? 0),
      hash: hash ?? '',
    })),
    ready: true,
    certificateExpiresAtMs: BigInt(identity.expiresAt()),
    certificateSerial: identity.serial(),
    spiffeId: meshId(trustDomain, 'ca').text,
  });
  stream.write(createMessage(SubscribeRequestSchema, { message: { case: 'ack', value } }));
}

function versionsOf(policy: Policy): { namespace: string; number: bigint; hash: string }[] {
  return policy.sets().map(({ namespace, head }) => ({
    namespace,
    number: BigInt(head.number),
    hash: head.hash,
  }));
}
