import type { ResourceSet, ResourceSets } from '#compile';
import { parseStoredResource, type Resource } from '#resource';
import type { PolicySet } from '#trust';
import { type PolicySets, parseJson } from './policy-sets.ts';
import type { Store } from './store.ts';

/** Resources as the compiler takes them, of the heads or of versions past. */
export type ResourceView = {
  readonly of: (set: PolicySet) => ResourceSet;
  /** Every namespace's head. */
  readonly now: () => ResourceSets;
  /**
   * The sets as of these commits. `exact` is false where one is not in the history; then the head stands in. Out
   * of the store and unverified, so good for words and never for enforcement.
   */
  readonly at: (versions: ReadonlyMap<string, number>) => {
    readonly sets: ResourceSets;
    readonly exact: boolean;
  };
};

/** Creates the view; a resource is parsed once, however many versions it is in. */
export function createResourceView(sets: PolicySets, store: Store): ResourceView {
  const parsed = new WeakMap<object, Resource | 'unreadable'>();
  const whole = new WeakMap<PolicySet, ResourceSet>();

  function parse(value: unknown): readonly Resource[] {
    if (typeof value !== 'object' || value === null) return [];
    let resource = parsed.get(value);
    if (resource === undefined) {
      const result = parseStoredResource(value);
      resource = result.ok ? result.value : 'unreadable';
      parsed.set(value, resource);
    }
    return resource === 'unreadable' ? [] : [resource];
  }

  function of(set: PolicySet): ResourceSet {
    const known = whole.get(set);
    if (known !== undefined) return known;
    const resources = [...set.resources.values()].flatMap(parse);
    const view = { number: set.head.number, hash: set.head.hash, resources };
    whole.set(set, view);
    return view;
  }

  function past(namespace: string, number: number): ResourceSet | undefined {
    const current = sets.current(namespace);
    if (current?.head.number === number) return of(current);
    const commit = store.commit(namespace, number);
    if (commit === undefined) return undefined;
    const resources = store
      .resourcesAt(namespace, number)
      .flatMap(({ resource }) => parse(parseJson(resource)));
    return { number, hash: commit.hash, resources };
  }

  const now = (): ResourceSets => new Map(sets.all().map((set) => [set.namespace, of(set)]));
  return {
    of,
    now,
    at(versions) {
      const view = new Map(now());
      let exact = true;
      for (const [namespace, number] of versions) {
        const set = past(namespace, number);
        if (set === undefined) exact = false;
        else view.set(namespace, set);
      }
      return { sets: view, exact };
    },
  };
}
