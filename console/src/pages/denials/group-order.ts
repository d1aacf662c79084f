import type { DenialGroup } from '../../api/denial.ts';
import { holdOrder } from '../../parts/hold-order.ts';

/** Most calls first; the newest decides between equals. */
export function sortGroups(groups: readonly DenialGroup[]): readonly DenialGroup[] {
  return groups.toSorted(
    (a, b) => b.count - a.count || compare(b.last, a.last) || compare(a.id, b.id),
  );
}

/** How much more calls a group must have than one above it before they change places. */
const OVERTAKES = 1.25;

/**
 * Sorted groups in the order that was shown, as long as that is nearly theirs and none is new: two that count alike would
 * otherwise change places with each denial.
 */
export function steadyOrder(
  shownIds: readonly string[],
  sorted: readonly DenialGroup[],
): readonly DenialGroup[] {
  const known = new Set(shownIds);
  if (sorted.some(({ id }) => !known.has(id))) return sorted;
  const held = holdOrder(shownIds, sorted, ({ id }) => id);
  let least = Number.POSITIVE_INFINITY;
  for (const { count } of held) {
    least = Math.min(least, count);
    if (count > least * OVERTAKES) return sorted;
  }
  return held;
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
