import type { Resource } from '#resource';

/** One namespace's set as verified: its number, the hash of its commit, and all of its resources. */
export type ResourceSet = {
  readonly number: number;
  readonly hash: string;
  readonly resources: readonly Resource[];
};

/** Whole sets by namespace. */
export type ResourceSets = ReadonlyMap<string, ResourceSet>;

/** The resources of one kind in a namespace's set, sorted by name so that results never depend on order. */
export function resourcesOf<K extends Resource['kind']>(
  sets: ResourceSets,
  namespace: string,
  kind: K,
): readonly Extract<Resource, { kind: K }>[] {
  const found = (sets.get(namespace)?.resources ?? []).filter(
    (resource): resource is Extract<Resource, { kind: K }> => resource.kind === kind,
  );
  return found.sort((a, b) => compareText(a.metadata.name, b.metadata.name));
}

/** Orders texts by code unit, independent of locale. */
export function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
