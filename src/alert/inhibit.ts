import type { AlertName } from './catalog.ts';
import { type Condition, conditionId } from './condition.ts';

/** While `source` fires, `targets` with the same labels are its consequences: shown, and nobody is called for them. */
export type Inhibition = {
  readonly source: AlertName;
  readonly targets: readonly AlertName[];
  /** Labels whose values have to be the same. */
  readonly equal: readonly string[];
};

/**
 * INVARIANT: a source is at least as severe as its targets, and is no target itself of the same label: nothing that
 * pages is explained away by something that does not.
 */
export const INHIBITIONS: readonly Inhibition[] = [
  {
    source: 'policy-refused',
    targets: ['enforcement-point-stale', 'enforcement-point-not-ready'],
    equal: ['node'],
  },
  {
    source: 'enforcement-point-lost',
    targets: ['enforcement-point-not-ready', 'telemetry-gap'],
    equal: ['node'],
  },
  {
    source: 'enforcement-point-stale',
    targets: ['revocation-behind'],
    equal: ['node'],
  },
  { source: 'policy-expired', targets: ['policy-expiring'], equal: ['namespace'] },
  {
    source: 'certificate-expiring',
    targets: ['certificate-horizon-budget-burn', 'authentication-budget-burn'],
    equal: ['namespace'],
  },
  { source: 'denial-burst', targets: ['denial-rate-budget-burn'], equal: [] },
];

/** What explains a condition: a fresh commit, or the id of another alert that fires; undefined: nothing. */
export function explainedBy(
  condition: Condition,
  firing: readonly Condition[],
): string | undefined {
  if (condition.expectedBy !== undefined) return `commit ${condition.expectedBy}`;
  for (const { source, targets, equal } of INHIBITIONS) {
    if (!targets.includes(condition.name)) continue;
    const found = firing.find(
      (other) => other.name === source && equal.every((name) => sameLabel(other, condition, name)),
    );
    if (found !== undefined) return conditionId(found);
  }
  return undefined;
}

function sameLabel(a: Condition, b: Condition, name: string): boolean {
  return a.labels[name] !== undefined && a.labels[name] === b.labels[name];
}
