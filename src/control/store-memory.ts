import { fail, ok } from '#lib';
import type {
  Store,
  StoredChange,
  StoredCommit,
  StoredEndpoint,
  StoredPoint,
  StoredResource,
} from './store.ts';
import { movedParent } from './store-sqlite.ts';

type Entry = { readonly commit: StoredCommit; readonly changes: readonly StoredChange[] };

/** A store that forgets everything with its process: the fake that tests use, held to the same contract. */
export function createMemoryStore(): Store & { readonly failNextWrite: (message: string) => void } {
  const sets = new Map<string, Entry[]>();
  const presence = new Map<
    string,
    { readonly point: StoredPoint | undefined; readonly endpoints: readonly StoredEndpoint[] }
  >();
  let failure: string | undefined;
  const entries = (namespace: string): Entry[] => sets.get(namespace) ?? [];

  function writeFailure(): string | undefined {
    const message = failure;
    failure = undefined;
    return message;
  }

  return {
    heads: () =>
      Array.from(sets.values(), (set) => set.at(-1)?.commit)
        .filter((commit) => commit !== undefined)
        .sort((a, b) => (a.namespace < b.namespace ? -1 : 1)),
    commit: (namespace, number) =>
      entries(namespace).find((entry) => entry.commit.number === number)?.commit,
    commitsAfter: (namespace, number) =>
      entries(namespace)
        .map((entry) => entry.commit)
        .filter((commit) => commit.number > number),
    history: (namespace, { before = Number.POSITIVE_INFINITY, limit }) =>
      entries(namespace)
        .filter((entry) => entry.commit.number < before)
        .reverse()
        .slice(0, limit)
        .map(({ commit, changes }) => ({
          ...commit,
          changes: byKey(changes).map(({ key, change }) => ({ key, change })),
        })),
    changesBetween: (namespace, after, upTo) =>
      newest(entries(namespace), after, upTo).map(({ key, resource }) => ({ key, resource })),
    resourcesAt: (namespace, number) =>
      newest(entries(namespace), -1, number).flatMap(presentResource),
    append(commit, changes) {
      const message = writeFailure();
      if (message !== undefined) return fail({ code: 'storage_failed', message });
      const set = entries(commit.namespace);
      const moved = movedParent(set.at(-1)?.commit, commit);
      if (moved !== undefined) return fail({ code: 'parent_moved', message: moved });
      sets.set(commit.namespace, [...set, { commit, changes }]);
      return ok(undefined);
    },
    points: () => Array.from(presence.values()).flatMap(({ point }) => point ?? []),
    endpoints: () => Array.from(presence.values()).flatMap(({ endpoints }) => endpoints),
    savePresence(nodes) {
      const message = writeFailure();
      if (message !== undefined) return fail({ code: 'storage_failed', message });
      for (const [node, state] of nodes) presence.set(node, state);
      return ok(undefined);
    },
    close: () => undefined,
    failNextWrite(message) {
      failure = message;
    },
  };
}

type Newest = Omit<StoredResource, 'resource'> & { readonly resource: string | null };

function newest(set: readonly Entry[], after: number, upTo: number): readonly Newest[] {
  const found = new Map<string, Newest>();
  for (const { commit, changes } of set) {
    if (commit.number <= after || commit.number > upTo) continue;
    const { number, author, time } = commit;
    for (const { key, resource, source } of changes) {
      found.set(key, { key, resource, source, number, author, time });
    }
  }
  return byKey([...found.values()]);
}

function presentResource(found: Newest): readonly StoredResource[] {
  return found.resource === null ? [] : [{ ...found, resource: found.resource }];
}

function byKey<T extends { readonly key: string }>(items: readonly T[]): readonly T[] {
  return items.toSorted((a, b) => (a.key < b.key ? -1 : 1));
}
