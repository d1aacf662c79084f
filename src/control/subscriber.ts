import {
  type Ack,
  AuditCheckpointSchema,
  createMessage,
  type Hello,
  type Lookup,
  type ServiceEndpoints,
  ServiceEndpointsSchema,
  TrustRootUpdateSchema,
} from '#wire';
import type { ShownCheckpoint } from './audit-gossip.ts';
import { type EndpointRegistry, type ServiceRef, serviceKey } from './endpoints.ts';
import { createOutbox, type Message, type Outbox, type SubscriberStream } from './outbox.ts';
import type { PolicySets } from './policy-sets.ts';
import type { SetHead, UpdateBuilder } from './updates.ts';

/** What is sent, and where it comes from. */
export type SubscriberSources = {
  readonly sets: PolicySets;
  readonly updates: UpdateBuilder;
  readonly endpoints: EndpointRegistry;
  /** The pinned trust root's envelope as JSON, sent to whoever has an older version. */
  readonly trustRoot: () => { readonly version: number; readonly envelope: Uint8Array };
  /** The newest signed checkpoint of the audit log, with the proof that it continues `from` records; undefined: none. */
  readonly auditCheckpoint: (from: number) => ShownCheckpoint | undefined;
  /** Hears of a message that could not be built; the subscriber keeps what it has until the next change. */
  readonly onError: (error: unknown) => void;
};

/** One subscriber: what concerns it, what it holds, and what it has still to get. */
export type Subscriber = {
  readonly acknowledged: (ack: Ack) => void;
  readonly lookedUp: (lookup: Lookup) => void;
  readonly drained: () => void;
  readonly trustRootChanged: () => void;
  /** There is a newer checkpoint of the audit log. */
  readonly auditSigned: () => void;
  readonly policyChanged: (namespace: string) => void;
  readonly endpointsChanged: (service: ServiceRef) => void;
};

// SECURITY: each lookup is held for the life of its stream and answered again after each change.
const MAX_LOOKUPS = 10_000;
// Longer than any namespace, kind and name that a policy set can hold.
const MAX_LOOKUP_LENGTH = 400;

/** The name under which agents announce where they reach each other. */
const AGENTS = 'palisade.agents';

/** What a subscriber has, as far as we know: what it said, or what we sent since. */
type Holdings = {
  readonly held: Map<string, SetHead>;
  /** The last step sent of each set, `from hash > to hash`. */
  readonly steps: Map<string, string>;
};

/** Greets a subscriber with all that it lacks, and keeps it up to date from then on. */
export function createSubscriber(
  hello: Hello,
  stream: SubscriberStream,
  sources: SubscriberSources,
): Subscriber {
  const { sets, endpoints } = sources;
  const namespaces = new Set(hello.namespaces);
  const held = new Map(hello.known.map((known) => [known.namespace, headOf(known)]));
  const holdings: Holdings = { held, steps: new Map() };
  const lookups = new Map<string, Lookup>();
  const outbox = createOutbox(stream, sources.onError);
  const queue = createQueues(outbox, holdings, sources);

  const holds = (namespace: string) => namespaces.has('*') || namespaces.has(namespace);
  // Only proxies dial services; agents dial each other, the CA nobody.
  const needs = (service: ServiceRef) =>
    hello.kind === 'proxy'
      ? namespaces.has(service.namespace) ||
        lookups.has(lookupKey({ ...service, kind: 'Service', name: service.service }))
      : hello.kind === 'agent' && service.service === AGENTS;

  let trustRootVersion = hello.trustRootVersion;
  const queueTrustRoot = () => {
    const { version } = sources.trustRoot();
    if (trustRootVersion >= BigInt(version)) return;
    trustRootVersion = BigInt(version);
    outbox.queue('trust root', () => trustRootMessage(sources));
  };

  // Agents remember how the log stood, and let nobody rewrite it.
  let auditSize = Number(hello.auditSize);
  const queueAudit = () => {
    if (hello.kind !== 'agent') return;
    outbox.queue('audit checkpoint', () => {
      const shown = sources.auditCheckpoint(auditSize);
      if (shown === undefined) return undefined;
      const { toSize, ...value } = shown;
      auditSize = toSize;
      return { case: 'auditCheckpoint', value: createMessage(AuditCheckpointSchema, value) };
    });
  };

  queueTrustRoot();
  queueAudit();
  for (const { namespace } of sets.all()) if (holds(namespace)) queue.set(namespace);
  for (const service of endpoints.services()) if (needs(service)) queue.endpoints(service);
  outbox.flush();

  return {
    acknowledged(ack) {
      for (const { namespace } of ack.refused) {
        if (holds(namespace) && stepBack(holdings, ack, namespace, sets)) queue.set(namespace);
      }
      outbox.flush();
    },
    lookedUp(lookup) {
      const { namespace, kind, name } = lookup;
      const key = lookupKey(lookup);
      if (lookups.size >= MAX_LOOKUPS && !lookups.has(key)) return;
      if (key.length > MAX_LOOKUP_LENGTH) return;
      lookups.set(key, lookup);
      queue.lookup(lookup);
      if (kind === 'Service') queue.endpoints({ namespace, service: name });
      outbox.flush();
    },
    drained: outbox.drained,
    trustRootChanged() {
      queueTrustRoot();
      outbox.flush();
    },
    auditSigned() {
      queueAudit();
      outbox.flush();
    },
    policyChanged(namespace) {
      if (holds(namespace)) queue.set(namespace);
      for (const lookup of lookups.values()) {
        if (lookup.namespace === namespace) queue.lookup(lookup);
      }
      outbox.flush();
    },
    endpointsChanged(service) {
      if (needs(service)) queue.endpoints(service);
      outbox.flush();
    },
  };
}

function createQueues(outbox: Outbox, { held, steps }: Holdings, sources: SubscriberSources) {
  const { sets, updates, endpoints } = sources;
  return {
    set(namespace: string): void {
      outbox.queue(`set ${namespace}`, () => {
        const known = held.get(namespace);
        const value = updates.update(namespace, known);
        const head = sets.current(namespace)?.head;
        if (value === undefined || head === undefined) return undefined;
        steps.set(namespace, stepOf(known, head));
        held.set(namespace, { number: head.number, hash: head.hash });
        return { case: 'policySet', value };
      });
    },
    lookup(lookup: Lookup): void {
      const { namespace, kind, name } = lookup;
      outbox.queue(`lookup ${lookupKey(lookup)}`, () => ({
        case: 'lookup',
        value: updates.lookup(namespace, kind, name),
      }));
    },
    endpoints(service: ServiceRef): void {
      outbox.queue(`endpoints ${serviceKey(service)}`, () => ({
        case: 'endpoints',
        value: serviceEndpoints(endpoints, service),
      }));
    },
  };
}

/**
 * What was refused is not held: the next step must start from what is really enforced there. Returns whether there is
 * one that was not tried: the refusal may be of a step that began at another refused one. The same step is never sent
 * twice.
 */
function stepBack(
  { held, steps }: Holdings,
  ack: Ack,
  namespace: string,
  sets: PolicySets,
): boolean {
  const enforced = ack.enforced.find((version) => version.namespace === namespace);
  const known = enforced === undefined ? undefined : headOf(enforced);
  if (known === undefined) held.delete(namespace);
  else held.set(namespace, known);
  const head = sets.current(namespace)?.head;
  return head !== undefined && steps.get(namespace) !== stepOf(known, head);
}

function trustRootMessage({ trustRoot }: SubscriberSources): Message {
  const { envelope } = trustRoot();
  return { case: 'trustRoot', value: createMessage(TrustRootUpdateSchema, { envelope }) };
}

function serviceEndpoints(registry: EndpointRegistry, service: ServiceRef): ServiceEndpoints {
  const endpoints = registry
    .ofService(service)
    .map(({ host, port, hbonePort, node }) => ({ host, port, hbonePort, node }));
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
