import type { Ack, Hello, Lookup } from '#wire';
import type { ServiceRef } from './endpoints.ts';
import type { SubscriberStream } from './outbox.ts';
import { createSubscriber, type Subscriber, type SubscriberSources } from './subscriber.ts';

/** A subscriber's side of the distributor, for as long as its stream lives. */
export type Subscription = {
  readonly acknowledged: (ack: Ack) => void;
  readonly lookedUp: (lookup: Lookup) => void;
  /** The stream takes more again. */
  readonly drained: () => void;
  readonly close: () => void;
};

/** Sends signed policy and endpoints to those whom they concern, and only what changed. */
export type Distributor = {
  readonly subscribe: (hello: Hello, stream: SubscriberStream) => Subscription;
  /** Authors signed a successor of the trust root. */
  readonly trustRootChanged: () => void;
  /** The authority signed a newer checkpoint of the audit log. */
  readonly auditSigned: () => void;
  /** The head of a namespace moved. */
  readonly policyChanged: (namespace: string) => void;
  readonly endpointsChanged: (service: ServiceRef) => void;
  readonly subscribers: () => number;
};

/** Creates a distributor without subscribers. */
export function createDistributor(sources: SubscriberSources): Distributor {
  const subscribers = new Set<Subscriber>();
  return {
    subscribe(hello, stream) {
      const subscriber = createSubscriber(hello, stream, sources);
      subscribers.add(subscriber);
      const { acknowledged, lookedUp, drained } = subscriber;
      return { acknowledged, lookedUp, drained, close: () => subscribers.delete(subscriber) };
    },
    trustRootChanged() {
      for (const subscriber of subscribers) subscriber.trustRootChanged();
    },
    auditSigned() {
      for (const subscriber of subscribers) subscriber.auditSigned();
    },
    policyChanged(namespace) {
      sources.updates.moved(namespace);
      for (const subscriber of subscribers) subscriber.policyChanged(namespace);
    },
    endpointsChanged(service) {
      for (const subscriber of subscribers) subscriber.endpointsChanged(service);
    },
    subscribers: () => subscribers.size,
  };
}
