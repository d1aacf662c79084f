import {
  applyUpdate,
  type PolicySet,
  type PolicySetUpdate,
  type TrustError,
  type TrustRoot,
} from '#trust';
import type { Store, StoredCommit } from './store.ts';

/** The verified head of each namespace, in memory; what the database says of them has been checked. */
export type PolicySets = {
  readonly current: (namespace: string) => PolicySet | undefined;
  readonly all: () => readonly PolicySet[];
  /** Namespaces whose stored set does not verify; they are not distributed, and everybody keeps what they have. */
  readonly broken: () => ReadonlyMap<string, TrustError>;
  /** Takes the place of what was there, after it was stored. */
  readonly replace: (set: PolicySet) => void;
};

/** What loading needs; a set that fails is reported to `onBroken` and left out. */
export type LoadOptions = {
  readonly store: Store;
  readonly trustRoot: TrustRoot;
  readonly nowMs: number;
  readonly onBroken: (namespace: string, error: TrustError) => void;
};

/**
 * Loads and verifies every stored set. SECURITY: the database may have been edited; nobody would enforce what was,
 * but saying so here, at once, beats a mesh full of refusals.
 */
export function loadPolicySets(options: LoadOptions): PolicySets {
  const sets = new Map<string, PolicySet>();
  const broken = new Map<string, TrustError>();
  for (const head of options.store.heads()) {
    const set = loadSet(head, options);
    if (set.ok) {
      sets.set(head.namespace, set.value);
    } else {
      broken.set(head.namespace, set.error);
      options.onBroken(head.namespace, set.error);
    }
  }
  return {
    current: (namespace) => sets.get(namespace),
    all: () => [...sets.values()],
    broken: () => broken,
    replace(set) {
      sets.set(set.namespace, set);
      broken.delete(set.namespace);
    },
  };
}

function loadSet(head: StoredCommit, { store, trustRoot, nowMs }: LoadOptions) {
  const update = storedUpdate(store, head);
  const set = applyUpdate(undefined, update, trustRoot, nowMs);
  if (set.ok || set.error.code !== 'expired') return set;
  // A set past its expiry is kept so that its author can renew it; who receives it refuses it by their own clock.
  return applyUpdate(undefined, update, trustRoot, Date.parse(head.time));
}

/** The whole set of a commit as stored, unverified. */
export function storedUpdate(store: Store, head: StoredCommit): PolicySetUpdate {
  return {
    namespace: head.namespace,
    commits: [parseJson(head.envelope)],
    full: true,
    changes: store
      .resourcesAt(head.namespace, head.number)
      .map(({ key, resource }) => ({ key, resource: parseJson(resource) })),
  };
}

/** JSON of the database; null where it is none, which the trust layer then refuses. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Somebody edited the database; null is neither an envelope nor a resource.
    return null;
  }
}
