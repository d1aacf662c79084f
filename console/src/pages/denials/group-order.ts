import type { DenialGroup } from '../../api/denial.ts';

/** Most calls first; the newest decides between equals. */
export function sortGroups(groups: readonly DenialGroup[]): readonly DenialGroup[] {
  return groups.toSorted(
    (a, b) => b.count - a.count || compare(b.last, a.last) || compare(a.id, b.id),
  );
}

/** The groups of one service, given as `namespace/name` or `name`; all of them for an empty one. */
export function groupsTo(groups: readonly DenialGroup[], service: string): readonly DenialGroup[] {
  if (service === '') return groups;
  return groups.filter(({ namespace, destination }) =>
    [destination, `${namespace}/${destination}`].includes(service),
  );
}

/** The groups that hold the text in any name. */
export function matchGroups(groups: readonly DenialGroup[], text: string): readonly DenialGroup[] {
  const wanted = text.trim().toLowerCase();
  if (wanted === '') return groups;
  return groups.filter((group) =>
    [group.source, group.sourceId, group.destination, group.namespace, group.policy, group.reason]
      .join('\n')
      .toLowerCase()
      .includes(wanted),
  );
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
