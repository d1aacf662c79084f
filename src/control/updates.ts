import { canonicalJson, encodeAnswer, encodeEnvelope, proveResource } from '#trust';
import {
  createMessage,
  type LookupResult,
  LookupResultSchema,
  type PolicySetUpdate,
  PolicySetUpdateSchema,
} from '#wire';
import type { PolicySets } from './policy-sets.ts';
import type { Store } from './store.ts';

/** A commit of a set, as both sides of a stream name it. */
export type SetHead = { readonly number: number; readonly hash: string };

/** Builds the messages that carry signed policy; equal ones are built once and shared among subscribers. */
export type UpdateBuilder = {
  /** What brings `namespace` from `known` to its head; undefined if there is nothing to send. */
  readonly update: (namespace: string, known: SetHead | undefined) => PolicySetUpdate | undefined;
  readonly lookup: (namespace: string, kind: string, name: string) => LookupResult;
  /** Forgets what was built for a namespace, when its head moved. */
  readonly moved: (namespace: string) => void;
};

// SECURITY: lookups of names that nobody has are kept as well, and there is no end of such names.
const MAX_BUILT = 5_000;

/** Creates a builder over verified heads and the stored history. */
export function createUpdateBuilder(sets: PolicySets, store: Store): UpdateBuilder {
  const built = new Map<string, Map<string, PolicySetUpdate | LookupResult>>();
  let count = 0;

  function shared<T extends PolicySetUpdate | LookupResult>(
    namespace: string,
    key: string,
    build: () => T,
  ): T {
    const known = built.get(namespace)?.get(key) as T | undefined;
    if (known !== undefined) return known;
    const message = build();
    if (count >= MAX_BUILT) {
      built.clear();
      count = 0;
    }
    const messages = built.get(namespace) ?? new Map();
    built.set(namespace, messages.set(key, message));
    count++;
    return message;
  }

  return {
    update(namespace, known) {
      const set = sets.current(namespace);
      if (set === undefined || set.head.hash === known?.hash) return undefined;
      const isAncestor =
        known !== undefined &&
        known.number < set.head.number &&
        store.commit(namespace, known.number)?.hash === known.hash;
      // Somebody who is ahead of us, or on a fork, gets the head: refusing it is how they raise the alarm.
      return isAncestor
        ? shared(namespace, `since ${known.number}`, () => delta(store, namespace, known, set.head))
        : shared(namespace, 'full', () => full(sets, namespace));
    },
    lookup(namespace, kind, name) {
      return shared(namespace, `${kind}/${name}`, () => lookup(sets, { namespace, kind, name }));
    },
    moved(namespace) {
      count -= built.get(namespace)?.size ?? 0;
      built.delete(namespace);
    },
  };
}

function delta(store: Store, namespace: string, known: SetHead, head: SetHead): PolicySetUpdate {
  const commits = store
    .commitsAfter(namespace, known.number)
    .filter((commit) => commit.number <= head.number);
  const changes = store.changesBetween(namespace, known.number, head.number);
  return createMessage(PolicySetUpdateSchema, {
    namespace,
    full: false,
    commits: commits.map((commit) => Buffer.from(commit.envelope)),
    changes: changes.map(({ key, resource }) => ({ key, resource: Buffer.from(resource ?? '') })),
  });
}

function full(sets: PolicySets, namespace: string): PolicySetUpdate {
  const set = sets.current(namespace);
  return createMessage(PolicySetUpdateSchema, {
    namespace,
    full: true,
    commits: set === undefined ? [] : [encodeEnvelope(set.head.envelope)],
    changes: Array.from(set?.resources ?? [], ([key, resource]) => ({
      key,
      resource: Buffer.from(canonicalJson(resource)),
    })),
  });
}

function lookup(
  sets: PolicySets,
  question: { readonly namespace: string; readonly kind: string; readonly name: string },
): LookupResult {
  const set = sets.current(question.namespace);
  if (set === undefined) return createMessage(LookupResultSchema, { ...question, noSet: true });
  const answer = proveResource(set, `${question.kind}/${question.name}`);
  return createMessage(LookupResultSchema, { ...question, ...encodeAnswer(answer) });
}
