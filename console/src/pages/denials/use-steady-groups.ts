import { useRef } from 'react';
import type { DenialGroup } from '../../api/denial.ts';
import { holdOrder } from '../../parts/hold-order.ts';
import { sortGroups, steadyOrder } from './group-order.ts';

/** The groups, worst first, in an order that does not follow each new denial; while `held` nothing moves at all. */
export function useSteadyGroups(
  groups: readonly DenialGroup[],
  held: boolean,
): readonly DenialGroup[] {
  const shown = useRef<readonly string[]>([]);
  const sorted = sortGroups(groups);
  const steady = held
    ? holdOrder(shown.current, sorted, ({ id }) => id)
    : steadyOrder(shown.current, sorted);
  shown.current = steady.map(({ id }) => id);
  return steady;
}
