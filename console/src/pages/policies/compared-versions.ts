/** Two versions of a namespace's policy, next to each other. Pure. */

import type { PolicySetDetail } from '../../api/policy-set.ts';
import { apiPath, patchQuery } from '../../route/query.ts';

/** Version numbers; `after` may be the older one: that is what going back would do. */
export type VersionPair = { readonly before: number; readonly after: number };

/** How a resource became another between two versions. */
export type ResourceChange = {
  readonly key: string;
  readonly change: 'added' | 'changed' | 'deleted';
};

/**
 * The versions that an address asks for; where it names none that can be, the newest and the one before
 * it. Undefined where there are not two.
 */
export function versionPair(query: URLSearchParams, newest: number): VersionPair | undefined {
  if (newest < 2) return undefined;
  const after = versionOf(query.get('after')) ?? newest;
  const before = versionOf(query.get('before')) ?? (after > 1 ? after - 1 : 2);
  return { before, after };
}

function versionOf(text: string | null): number | undefined {
  return /^[1-9]\d{0,9}$/.test(text ?? '') ? Number(text) : undefined;
}

/** The address of a comparison; without versions that of the newest two. */
export function comparePlace(namespace: string, before?: number, after?: number): string {
  const versions = { before: before?.toString(), after: after?.toString() };
  return `/policies${patchQuery('', { view: 'compare', ns: namespace, ...versions })}`;
}

/** The API path of one version of a namespace's policy. */
export function versionPath(namespace: string, number: number): string {
  return apiPath(`/policy-sets/${encodeURIComponent(namespace)}`, { number: String(number) });
}

/** The author's text where it is kept, else the signed JSON; empty where there is no such resource. */
export function resourceText(set: PolicySetDetail | undefined, key: string): string {
  const resource = set?.resources[key];
  if (resource === undefined) return '';
  return set?.sources[key] ?? JSON.stringify(resource, null, 2);
}

/** What a version has that the other has not, or has otherwise, by key. */
export function changedResources(
  before: PolicySetDetail,
  after: PolicySetDetail,
): readonly ResourceChange[] {
  const keys = new Set([...Object.keys(before.resources), ...Object.keys(after.resources)]);
  const changes: ResourceChange[] = [];
  for (const key of [...keys].sort()) {
    const [was, is] = [before.resources[key], after.resources[key]];
    if (was === undefined) changes.push({ key, change: 'added' });
    else if (is === undefined) changes.push({ key, change: 'deleted' });
    else if (canonical(was) !== canonical(is)) changes.push({ key, change: 'changed' });
  }
  return changes;
}

/** JSON with its members in one order, so that the order they were written in is no change. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
