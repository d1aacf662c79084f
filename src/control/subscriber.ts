import {
  type Ack,
  createMessage,
  type Hello,
  type Lookup,
  type ServiceEndpoints,
  ServiceEndpointsSchema,
  type SubscribeResponse,
  SubscribeResponseSchema,
  TrustRootUpdateSchema,
} from '#wire';
import { type EndpointRegistry, type ServiceRef, serviceKey } from './endpoints.ts';
import type { PolicySets } from './policy-sets.ts';
import type { SetHead, UpdateBuilder } from './updates.ts';

/** One stream to a subscriber. `write` returns false when the stream is full, until `drained` is called. */
export type SubscriberStream = {
  readonly write: (response: SubscribeResponse) => boolean;
};

/** What is sent, and where it comes from. */
export type SubscriberSources = {
  readonly sets: PolicySets;
  readonly updates: UpdateBuilder;
  readonly endpoints: EndpointRegistry;
  /** The pinned trust root's envelope as JSON, sent to whoever has an older version. */
  readonly trustRoot: { readonly version: number; readonly envelope: Uint8Array };
  /** Hears of a message that could not be built; the subscriber keeps what it has until the next change. */
  readonly onError: (error: unknown) => void;
};

/** One subscriber: what concerns it, what it holds, and what it has still to get. */
export type Subscriber = {
  readonly acknowledged: (ack: Ack) => void;
  readonly lookedUp: (lookup: Lookup) => void;
  readonly drained: () => void;
  readonly policyChanged: (namespace: string) => void;
  readonly endpointsChanged: (service: ServiceRef) => void;
};

type Message = SubscribeResponse['message'];

// SECURITY: each lookup is held for the life of its stream and answered again after each change.
const MAX_LOOKUPS = 10_000;
// Longer than any namespace, kind and name that a policy set can hold.
const MAX_LOOKUP_LENGTH = 400;

/** Greets a subscriber with all that it lacks, and keeps it up to date from then on. */
export function createSubscriber(
  hello: Hello,
  stream: SubscriberStream,
  sources: SubscriberSources,
): Subscriber {
  const { sets, updates, endpoints } = sources;
  const namespaces = new Set(hello.namespaces);
  // What the subscriber has, as far as we know: what it said, or what we sent since.
  const held = new Map(hello.known.map((known) => [known.namespace, headOf(known)]));
  // The last step sent of each set, `from hash > to hash`.
  const steps = new Map<string, string>();
  const lookups = new Map<string, Lookup>();
  const outbox = createOutbox(stream, sources.onError);

  const holds = (namespace: string) => namespaces.has('*') || namespaces.has(namespace);
  // Only proxies dial services; the CA and agents subscribe to policy alone.
  const needs = (service: ServiceRef) =>
    hello.kind === 'proxy' &&
    (namespaces.has(service.namespace) ||
      lookups.has(lookupKey({ ...service, kind: 'Service', name: service.service })));

  function queueSet(namespace: string): void {
    outbox.queue(`set ${namespace}`, () => {
      const known = held.get(namespace);
      const value = updates.update(namespace, known);
      const head = sets.current(namespace)?.head;
      if (value === undefined || head === undefined) return undefined;
      steps.set(namespace, stepOf(known, head));
      held.set(namespace, { number: head.number, hash: head.hash });
      return { case: 'policySet', value };
    });
  }

  function queueLookup(lookup: Lookup): void {
    const { namespace, kind, name } = lookup;
    outbox.queue(`lookup ${lookupKey(lookup)}`, () => ({
      case: 'lookup',
      value: updates.lookup(namespace, kind, name),
    }));
  }

  function queueEndpoints(service: ServiceRef): void {
    outbox.queue(`endpoints ${serviceKey(service)}`, () => ({
      case: 'endpoints',
      value: serviceEndpoints(endpoints, service),
    }));
  }

  // What was refused is not held: the next step must start from what is really enforced there.
  function correctHeld(ack: Ack, namespace: string): void {
    const enforced = ack.enforced.find((version) => version.namespace === namespace);
    const known = enforced === undefined ? undefined : headOf(enforced);
    if (known === undefined) held.delete(namespace);
    else held.set(namespace, known);
    const head = sets.current(namespace)?.head;
    // The refusal may be of a step that began at another refused one; the same step is never sent twice.
    if (head !== undefined && steps.get(namespace) !== stepOf(known, head)) queueSet(namespace);
  }

  if (hello.trustRootVersion < BigInt(sources.trustRoot.version)) {
    outbox.queue('trust root', () => trustRootMessage(sources));
  }
  for (const { namespace } of sets.all()) if (holds(namespace)) queueSet(namespace);
  for (const service of endpoints.services()) if (needs(service)) queueEndpoints(service);
  outbox.flush();

  return {
    acknowledged(ack) {
      for (const { namespace } of ack.refused) if (holds(namespace)) correctHeld(ack, namespace);
      outbox.flush();
    },
    lookedUp(lookup) {
      const { namespace, kind, name } = lookup;
      if (lookups.size >= MAX_LOOKUPS && !lookups.has(lookupKey(lookup))) return;
      if (lookupKey(lookup).length > MAX_LOOKUP_LENGTH) return;
      lookups.set(lookupKey(lookup), lookup);
      queueLookup(lookup);
      if (kind === 'Service') queueEndpoints({ namespace, service: name });
      outbox.flush();
    },
    drained: outbox.drained,
    policyChanged(namespace) {
      if (holds(namespace)) queueSet(namespace);
      for (const lookup of lookups.values())
        if (lookup.namespace === namespace) queueLookup(lookup);
      outbox.flush();
    },
    endpointsChanged(service) {
      if (needs(service)) queueEndpoints(service);
      outbox.flush();
    },
  };
}

/** What is still to be sent: each message is built only when the stream takes it, so late news coalesce. */
function createOutbox(stream: SubscriberStream, onError: (error: unknown) => void) {
  const waiting = new Map<string, () => Message | undefined>();
  let full = false;

  function flush(): void {
    for (const [key, build] of waiting) {
      if (full) return;
      waiting.delete(key);
      const message = attempt(build, onError);
      if (message === undefined) continue;
      full = !stream.write(createMessage(SubscribeResponseSchema, { message }));
    }
  }

  return {
    queue(key: string, build: () => Message | undefined): void {
      waiting.set(key, build);
    },
    flush,
    drained(): void {
      full = false;
      flush();
    },
  };
}

// A database that cannot be read must cost one message, not the stream and never the process.
function attempt(
  build: () => Message | undefined,
  onError: (error: unknown) => void,
): Message | undefined {
  try {
    return build();
  } catch (error) {
    onError(error);
    return undefined;
  }
}

function trustRootMessage({ trustRoot }: SubscriberSources): Message {
  const { envelope } = trustRoot;
  return { case: 'trustRoot', value: createMessage(TrustRootUpdateSchema, { envelope }) };
}

function serviceEndpoints(registry: EndpointRegistry, service: ServiceRef): ServiceEndpoints {
  const endpoints = registry
    .ofService(service)
    .map(({ host, port, node }) => ({ host, port, node }));
  return createMessage(ServiceEndpointsSchema, { ...service, endpoints });
}

function lookupKey(lookup: Pick<Lookup, 'namespace' | 'kind' | 'name'>): string {
  return `${lookup.namespace}/${lookup.kind}/${lookup.name}`;
}

function stepOf(from: SetHead | undefined, to: SetHead): string {
  return `${from?.hash ?? ''}>${to.hash}`;
}

function headOf(version: { readonly number: bigint; readonly hash: string }): SetHead {
  return { number: Number(version.number), hash: version.hash };
}
