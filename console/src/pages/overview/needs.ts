import type { Alert } from '../../api/alert.ts';
import type { Problem } from '../../api/overview.ts';

/** Something that wants a person: what, how soon, the command, and the page that has more of it. */
export type Need = Problem & { readonly link: string | null };

const SEVERITIES = ['page', 'ticket', 'info'] as const;

/**
 * What wants a person, worst first; of the same severity alerts come first, because they have a cause
 * and a runbook. What is silenced or expected wants nobody.
 */
export function needsOf(problems: readonly Problem[], alerts: readonly Alert[]): readonly Need[] {
  const firing = alerts.filter((alert) => alert.state === 'firing');
  const open = firing.filter((alert) => !alert.silenced_by && !alert.inhibited_by);
  const quiet = new Set(
    firing.filter((alert) => !open.includes(alert)).map((alert) => alert.summary.toLowerCase()),
  );
  const needs: readonly Need[] = [
    ...open.map(
      (alert): Need => ({
        severity: alert.severity,
        sentence: alert.summary,
        command: alert.command ?? null,
        link: `/alerts?alert=${encodeURIComponent(alert.id)}`,
      }),
    ),
    ...problems
      .filter((problem) => !quiet.has(problem.sentence.toLowerCase()))
      .map((problem): Need => ({ ...problem, link: null })),
  ];
  const once = new Map(needs.toReversed().map((need) => [need.sentence.toLowerCase(), need]));
  return [...once.values()]
    .toReversed()
    .toSorted((a, b) => SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity));
}
