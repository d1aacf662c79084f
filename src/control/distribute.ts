import {
  type Ack,
  createMessage,
  type Hello,
  type Lookup,
  type SubscribeResponse,
  SubscribeResponseSchema,
} from '#wire';
import { type EndpointRegistry, type ServiceRef, serviceKey } from './endpoints.ts';
import type { PolicySets } from './policy-sets.ts';
import type { SetHead, UpdateBuilder } from './updates.ts';

/** One stream to a subscriber. `write` returns false when the stream is full, until `Subscription.drained`. */
export type SubscriberStream = {
  readonly write: (response: SubscribeResponse) => boolean;
};

/** A subscriber's side of the distributor, for as long as its stream lives. */
export type Subscription = {
  readonly acknowledged: (ack: Ack) => void;
  readonly lookedUp: (lookup: Lookup) => void;
  readonly drained: () => void;
  readonly close: () => void;
};

/** Sends signed policy and endpoints to those whom they concern, and only what changed. */
export type Distributor = {
  readonly subscribe: (hello: Hello, stream: SubscriberStream) => Subscription;
  readonly policyChanged: (namespace: string) => void;
  readonly endpointsChanged: (service: ServiceRef) => void;
  readonly subscribers: () => number;
};

/** What the distributor sends from. */
export type DistributorOptions = {
  readonly sets: PolicySets;
  readonly updates: UpdateBuilder;
  readonly endpoints: EndpointRegistry;
  /** The pinned trust root's envelope as JSON, sent to whoever has an older version. */
  readonly trustRoot: { readonly version: number; readonly envelope: Uint8Array };
};

type Subscriber = {
  readonly stream: SubscriberStream;
  readonly kind: string;
  readonly namespaces: ReadonlySet<string>;
  /** What the subscriber has, as far as we know: what it said, or what we sent since. */
  readonly held: Map<string, SetHead>;
  /** The last step sent of each set, `from hash > to hash`. */
  readonly steps: Map<string, string>;
  readonly lookups: Map<string, Lookup>;
  /** What to send as soon as the stream takes it, in this order; each built only then, so late news coalesce. */
  readonly pending: Map<string, () => SubscribeResponse['message'] | undefined>;
  full: boolean;
};

// SECURITY: each lookup is held for the life of its stream and answered again after each change.
const MAX_LOOKUPS = 10_000;

/** Creates a distributor without subscribers. */
export function createDistributor(options: DistributorOptions): Distributor {
  const subscribers = new Set<Subscriber>();
  const { sets, updates, endpoints } = options;

  function sendSet(subscriber: Subscriber, namespace: string): void {
    queue(subscriber, `set ${namespace}`, () => {
      const known = subscriber.held.get(namespace);
      const value = updates.update(namespace, known);
      const head = sets.current(namespace)?.head;
      if (value === undefined || head === undefined) return undefined;
      subscriber.steps.set(namespace, stepOf(known, head));
      subscriber.held.set(namespace, { number: head.number, hash: head.hash });
      return { case: 'policySet', value };
    });
  }

  function sendLookup(subscriber: Subscriber, { namespace, kind, name }: Lookup): void {
    queue(subscriber, `lookup ${namespace}/${kind}/${name}`, () => ({
      case: 'lookup',
      value: updates.lookup(namespace, kind, name),
    }));
  }

  function sendEndpoints(subscriber: Subscriber, service: ServiceRef): void {
    queue(subscriber, `endpoints ${serviceKey(service)}`, () => ({
      case: 'endpoints',
      value: serviceEndpoints(endpoints, service),
    }));
  }

  function greet(subscriber: Subscriber, hello: Hello): void {
    if (hello.trustRootVersion < BigInt(options.trustRoot.version))
      sendTrustRoot(subscriber, options);
    for (const { namespace } of sets.all()) {
      if (holds(subscriber, namespace)) sendSet(subscriber, namespace);
    }
    for (const service of endpoints.services()) {
      if (needs(subscriber, service)) sendEndpoints(subscriber, service);
    }
    flush(subscriber);
  }

  return {
    subscribe(hello, stream) {
      const subscriber = createSubscriber(hello, stream);
      subscribers.add(subscriber);
      greet(subscriber, hello);
      return {
        acknowledged(ack) {
          for (const { namespace } of ack.refused) {
            const known = correctHeld(subscriber, ack, namespace);
            const head = sets.current(namespace)?.head;
            // The refusal may be of a step that began at another refused one; the same step is never sent twice.
            const tried = subscriber.steps.get(namespace);
            if (head !== undefined && tried !== stepOf(known, head)) sendSet(subscriber, namespace);
          }
          flush(subscriber);
        },
        lookedUp(lookup) {
          const key = `${lookup.namespace}/${lookup.kind}/${lookup.name}`;
          if (subscriber.lookups.size >= MAX_LOOKUPS && !subscriber.lookups.has(key)) return;
          subscriber.lookups.set(key, lookup);
          sendLookup(subscriber, lookup);
          if (lookup.kind === 'Service') {
            sendEndpoints(subscriber, { namespace: lookup.namespace, service: lookup.name });
          }
          flush(subscriber);
        },
        drained() {
          subscriber.full = false;
          flush(subscriber);
        },
        close: () => subscribers.delete(subscriber),
      };
    },
    policyChanged(namespace) {
      updates.moved(namespace);
      for (const subscriber of subscribers) {
        if (holds(subscriber, namespace)) sendSet(subscriber, namespace);
        for (const lookup of subscriber.lookups.values()) {
          if (lookup.namespace === namespace) sendLookup(subscriber, lookup);
        }
        flush(subscriber);
      }
    },
    endpointsChanged(service) {
      for (const subscriber of subscribers) {
        if (needs(subscriber, service)) sendEndpoints(subscriber, service);
        flush(subscriber);
      }
    },
    subscribers: () => subscribers.size,
  };
}

function createSubscriber(hello: Hello, stream: SubscriberStream): Subscriber {
  return {
    stream,
    kind: hello.kind,
    namespaces: new Set(hello.namespaces),
    held: new Map(hello.known.map((known) => [known.namespace, headOf(known)])),
    steps: new Map(),
    lookups: new Map(),
    pending: new Map(),
    full: false,
  };
}

function holds(subscriber: Subscriber, namespace: string): boolean {
  return subscriber.namespaces.has('*') || subscriber.namespaces.has(namespace);
}

// Only proxies dial services; the CA and agents subscribe to policy alone.
function needs(subscriber: Subscriber, service: ServiceRef): boolean {
  if (subscriber.kind !== 'proxy') return false;
  const key = `${service.namespace}/Service/${service.service}`;
  return subscriber.namespaces.has(service.namespace) || subscriber.lookups.has(key);
}

// What was refused is not held: the next step must start from what is really enforced there.
function correctHeld(subscriber: Subscriber, ack: Ack, namespace: string): SetHead | undefined {
  const enforced = ack.enforced.find((version) => version.namespace === namespace);
  const known = enforced === undefined ? undefined : headOf(enforced);
  if (known === undefined) subscriber.held.delete(namespace);
  else subscriber.held.set(namespace, known);
  return known;
}

function stepOf(from: SetHead | undefined, to: SetHead): string {
  return `${from?.hash ?? ''}>${to.hash}`;
}

function queue(
  subscriber: Subscriber,
  key: string,
  build: () => SubscribeResponse['message'] | undefined,
): void {
  subscriber.pending.set(key, build);
}

function flush(subscriber: Subscriber): void {
  for (const [key, build] of subscriber.pending) {
    if (subscriber.full) return;
    subscriber.pending.delete(key);
    const message = build();
    if (message === undefined) continue;
    subscriber.full = !subscriber.stream.write(createMessage(SubscribeResponseSchema, { message }));
  }
}

function sendTrustRoot(subscriber: Subscriber, { trustRoot }: DistributorOptions): void {
  queue(subscriber, 'trust root', () => ({
    case: 'trustRoot',
    value: { $typeName: 'palisade.distribution.v1.TrustRootUpdate', envelope: trustRoot.envelope },
  }));
}

function serviceEndpoints(registry: EndpointRegistry, service: ServiceRef) {
  return {
    $typeName: 'palisade.distribution.v1.ServiceEndpoints' as const,
    ...service,
    endpoints: registry.ofService(service).map(({ host, port, node }) => ({
      $typeName: 'palisade.distribution.v1.Endpoint' as const,
      host,
      port,
      node,
    })),
  };
}

function headOf(version: { readonly number: bigint; readonly hash: string }): SetHead {
  return { number: Number(version.number), hash: version.hash };
}
