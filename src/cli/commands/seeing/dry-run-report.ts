import { type painter, printable } from '../../output.ts';

/** What `GET /dry-run` answers for one policy and caller. */
export type DryRunTally = {
  readonly policy: string;
  readonly source: string;
  readonly sourceId: string | null;
  readonly destination: string;
  readonly verdict: 'allow' | 'deny';
  readonly would: 'allow' | 'deny';
  readonly count: number;
  readonly first: string;
  readonly last: string;
  readonly sample: {
    readonly method: string | null;
    readonly path: string | null;
    readonly traceId: string | null;
  };
};

/** One policy in dry-run: how many calls it saw, and those whose verdict it would change, by caller. */
export type DryRunSummary = {
  readonly policy: string;
  readonly calls: number;
  readonly wouldDeny: number;
  readonly wouldAllow: number;
  readonly changes: readonly DryRunTally[];
};

/** Sums tallies up by policy, those with most changes first. */
export function summarizeDryRun(tallies: readonly DryRunTally[]): readonly DryRunSummary[] {
  const byPolicy = Map.groupBy(tallies, (tally) => tally.policy);
  const summaries = Array.from(byPolicy, ([policy, all]) => {
    const changes = all
      .filter(({ verdict, would }) => verdict !== would)
      .sort((a, b) => b.count - a.count);
    const sum = (of: readonly DryRunTally[]) => of.reduce((total, { count }) => total + count, 0);
    return {
      policy,
      calls: sum(all),
      wouldDeny: sum(changes.filter(({ would }) => would === 'deny')),
      wouldAllow: sum(changes.filter(({ would }) => would === 'allow')),
      changes,
    };
  });
  return summaries.sort((a, b) => b.wouldDeny + b.wouldAllow - a.wouldDeny - a.wouldAllow);
}

/** The summaries for people; `idle` are policies in dry-run that saw no call. */
export function dryRunText(
  summaries: readonly DryRunSummary[],
  options: {
    readonly since: string;
    readonly idle: readonly string[];
    readonly paint: ReturnType<typeof painter>;
  },
): string {
  const { since, idle, paint } = options;
  if (summaries.length === 0 && idle.length === 0) return 'no policy is in dry-run';
  const seen = summaries.map((summary) => summaryText(summary, since, paint));
  const unseen = idle.map(
    (policy) => `${paint('bold', policy)} in dry-run saw no call in the last ${since}`,
  );
  return [...seen, ...unseen].join('\n');
}

const MOST_CALLERS = 20;

function summaryText(
  summary: DryRunSummary,
  since: string,
  paint: ReturnType<typeof painter>,
): string {
  const { policy, calls, wouldDeny, wouldAllow, changes } = summary;
  const of = `of ${calls} in the last ${since}`;
  const what = [
    ...(wouldDeny > 0 ? [paint('red', `would deny ${plural(wouldDeny)}`)] : []),
    ...(wouldAllow > 0 ? [paint('yellow', `would allow ${plural(wouldAllow)} now denied`)] : []),
  ];
  const head = what.length === 0 ? paint('green', 'would change nothing') : what.join(' and ');
  const lines = changes.slice(0, MOST_CALLERS).map((change) => {
    const { method, path } = change.sample;
    const sample = method === null ? '' : `, e.g. ${method} ${path ?? ''}`;
    return `  ${change.count} × ${printable(`${change.source} → ${change.destination}: ${change.verdict} would be ${change.would}${sample}`)}`;
  });
  const more = changes.length - MOST_CALLERS;
  return [
    `${paint('bold', printable(policy))} ${head} ${of}`,
    ...lines,
    ...(more > 0 ? [`  and ${more} more callers`] : []),
  ].join('\n');
}

function plural(count: number): string {
  return `${count} ${count === 1 ? 'call' : 'calls'}`;
}
