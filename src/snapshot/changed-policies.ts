import type { PolicyIr } from '#policy';

/**
 * The ids (`namespace/name`) of policies of `after` that `before` has not or has otherwise, and of exceptions from them.
 * What was taken away decides nothing any more, so it is not among them.
 */
export function changedPolicies(
  before: readonly PolicyIr[],
  after: readonly PolicyIr[],
): ReadonlySet<string> {
  if (before === after) return new Set();
  const known = new Map(before.map((policy) => [policy.id, policy]));
  const changed = new Set<string>();
  for (const policy of after) {
    const old = known.get(policy.id);
    // Most policies are the same object in the next snapshot.
    if (old === policy || JSON.stringify(old) === JSON.stringify(policy)) continue;
    changed.add(policy.id);
    const exceptions = new Map(old?.exceptions?.map((one) => [one.id, JSON.stringify(one)]));
    for (const one of policy.exceptions ?? []) {
      if (exceptions.get(one.id) !== JSON.stringify(one)) changed.add(one.id);
    }
  }
  return changed;
}
