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
  const resources = sets.get(namespace)?.resources ?? NONE;
  let kinds = GROUPED.get(resources);
  if (kinds === undefined) {
    kinds = groupByKind(resources);
    GROUPED.set(resources, kinds);
  }
  return (kinds.get(kind) ?? NONE) as readonly Extract<Resource, { kind: K }>[];
}

const NONE: readonly Resource[] = [];

// A set is asked for many kinds and many times, and its list never changes.
const GROUPED = new WeakMap<readonly Resource[], ReadonlyMap<string, readonly Resource[]>>();

function groupByKind(resources: readonly Resource[]): ReadonlyMap<string, readonly Resource[]> {
  const kinds = new Map<string, Resource[]>();
  for (const resource of resources) {
    const known = kinds.get(resource.kind);
    if (known === undefined) kinds.set(resource.kind, [resource]);
    else known.push(resource);
  }
  for (const group of kinds.values()) {
    // Stored sets come sorted, and then nothing has to be moved.
    if (!isSorted(group)) group.sort((a, b) => compareText(a.metadata.name, b.metadata.name));
  }
  return kinds;
}

function isSorted(group: readonly Resource[]): boolean {
  for (let i = 1; i < group.length; i++) {
    if (compareText(group[i - 1]?.metadata.name ?? '', group[i]?.metadata.name ?? '') > 0)
      return false;
  }
  return true;
}

/** Orders texts by code unit, independent of locale. */
export function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
