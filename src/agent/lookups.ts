import type { TrustDomain } from '#identity';
import type { Scheduler } from '#lib';
import { lookupKey, type VerifiedPolicy } from './verify.ts';

/** A resource to be looked up. */
export type LookupQuestion = {
  readonly namespace: string;
  readonly kind: string;
  readonly name: string;
};

/** Finds services of namespaces that are not held whole. */
export type Lookups = {
  /** Everything that was asked and is to be asked again on a new stream. */
  readonly wanted: () => readonly LookupQuestion[];
  /** Asks for the service that a host names; resolves when it is answered or took too long. */
  readonly find: (host: string) => Promise<void>;
  readonly answered: (key: string) => void;
};

// SECURITY: an application can make up names for ever; each is held, here and by the control plane.
const MAX_ASKED = 1_000;
const ANSWER_WITHIN_MS = 2_000;
const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** Creates the lookups of one enforcement point; what it knows from disk is asked again. */
export function createLookups(options: {
  readonly workload: { readonly namespace: string; readonly trustDomain: TrustDomain };
  readonly current: () => VerifiedPolicy;
  readonly scheduler: Scheduler;
  readonly ask: (question: LookupQuestion) => void;
}): Lookups {
  const { workload, current, scheduler } = options;
  const asked = new Map<string, LookupQuestion>();
  const waiting = new Map<string, Set<() => void>>();
  for (const { namespace, kind, name } of current().lookups.values()) {
    asked.set(lookupKey({ namespace, kind, name }), { namespace, kind, name });
  }
  return {
    wanted: () => [...asked.values()],
    answered(key) {
      for (const done of waiting.get(key) ?? []) done();
      waiting.delete(key);
    },
    find(host) {
      const question = questionOf(host, workload.trustDomain);
      // A set that is held whole has been searched already.
      if (question === undefined || current().sets.has(question.namespace))
        return Promise.resolve();
      const key = lookupKey(question);
      if (current().lookups.has(key)) return Promise.resolve();
      if (!asked.has(key)) {
        if (asked.size >= MAX_ASKED) return Promise.resolve();
        asked.set(key, question);
        options.ask(question);
      }
      return new Promise((resolve) => {
        const listeners = waiting.get(key) ?? new Set();
        const done = () => {
          cancel();
          listeners.delete(done);
          resolve();
        };
        const cancel = scheduler.after(ANSWER_WITHIN_MS, done);
        listeners.add(done);
        waiting.set(key, listeners);
      });
    },
  };
}

/** The Service behind `NAME.NS`, `NAME.NS.svc` or `NAME.NS.svc.TRUST-DOMAIN`, with or without port; else undefined. */
function questionOf(host: string, trustDomain: TrustDomain): LookupQuestion | undefined {
  const bare = host
    .replace(/:\d{1,5}$/, '')
    .replace(/\.$/, '')
    .toLowerCase();
  const [name = '', namespace = '', svc, ...domain] = bare.split('.');
  if (!LABEL.test(name) || !LABEL.test(namespace)) return undefined;
  if (svc !== undefined && svc !== 'svc') return undefined;
  if (domain.length > 0 && domain.join('.') !== trustDomain) return undefined;
  return { namespace, kind: 'Service', name };
}
