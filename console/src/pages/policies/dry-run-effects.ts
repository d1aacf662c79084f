import type { DryRunTally } from '../../api/dry-run.ts';
import { formatNoun } from '../../words/format.ts';

/** What one policy in dry-run would have done; `changes` are the calls whose verdict differs, most first. */
export type DryRunEffect = {
  readonly policy: string;
  readonly calls: number;
  readonly wouldDeny: number;
  readonly wouldAllow: number;
  readonly changes: readonly DryRunTally[];
};

/** Sums tallies up by policy, those that would deny most first. */
export function dryRunEffects(tallies: readonly DryRunTally[]): readonly DryRunEffect[] {
  const byPolicy = new Map<string, DryRunTally[]>();
  for (const tally of tallies) {
    const own = byPolicy.get(tally.policy) ?? [];
    own.push(tally);
    byPolicy.set(tally.policy, own);
  }
  const effects = [...byPolicy].map(([policy, own]) => {
    const changes = own.filter(({ verdict, would }) => verdict !== would);
    return {
      policy,
      calls: sum(own),
      wouldDeny: sum(changes.filter(({ would }) => would === 'deny')),
      wouldAllow: sum(changes.filter(({ would }) => would === 'allow')),
      changes: [...changes].sort((a, b) => b.count - a.count),
    };
  });
  return effects.sort((a, b) => b.wouldDeny - a.wouldDeny || (a.policy < b.policy ? -1 : 1));
}

/** The effect in words with its numbers. */
export function effectSentence({ calls, wouldDeny, wouldAllow }: DryRunEffect): string {
  const parts = [
    ...(wouldDeny > 0 ? [`would deny ${formatNoun(wouldDeny, 'call')}`] : []),
    ...(wouldAllow > 0 ? [`would allow ${formatNoun(wouldAllow, 'call')} now denied`] : []),
  ];
  const what = parts.length === 0 ? 'would change nothing' : parts.join(' and ');
  return `${what} of ${formatNoun(calls, 'call')} in the last day`;
}

function sum(tallies: readonly DryRunTally[]): number {
  return tallies.reduce((total, { count }) => total + count, 0);
}
