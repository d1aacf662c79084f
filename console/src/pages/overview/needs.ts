import type { Alert } from '../../api/alert.ts';
import type { Problem } from '../../api/overview.ts';

/** Something that wants a person: what, how soon, the command, and the page that has more of it. */
export type Need = Problem & { readonly link: string | null };

const SEVERITIES = ['page', 'ticket', 'info'] as const;

/** Alerts of one kind beyond this many are one need: two hundred sidecars with one trouble are one thing to do. */
const MAX_ALIKE = 2;

/**
 * What wants a person, worst first; of the same severity alerts come first, because they have a cause
 * and a runbook. What is silenced or expected wants nobody.
 */
export function needsOf(problems: readonly Problem[], alerts: readonly Alert[]): readonly Need[] {
  const firing = alerts.filter((alert) => alert.state === 'firing');
  const open = firing.filter((alert) => !alert.silenced_by && !alert.inhibited_by);
  const told = new Set(firing.map((alert) => gistOf(alert.summary)));
  const byKind = Map.groupBy(open, (alert) => `${alert.severity} ${alert.name}`);
  const needs: readonly Need[] = [
    ...Array.from(byKind.values()).flatMap((alike) =>
      alike.length > MAX_ALIKE ? [needOfMany(alike)] : alike.map(needOf),
    ),
    ...problems
      .filter((problem) => !told.has(gistOf(problem.sentence)))
      .map((problem): Need => ({ ...problem, link: null })),
  ];
  return needs.toSorted((a, b) => SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity));
}

// The two are asked for at different moments: a number that stands by itself may have moved on meanwhile.
function gistOf(sentence: string): string {
  return sentence.toLowerCase().replaceAll(/(?<= )\d+(?:\.\d+)?(?= )/g, '#');
}

function needOf(alert: Alert): Need {
  return {
    severity: alert.severity,
    sentence: alert.summary,
    command: alert.command ?? null,
    link: `/alerts?alert=${encodeURIComponent(alert.id)}`,
  };
}

function needOfMany(alike: readonly Alert[]): Need {
  const [first] = alike;
  if (first === undefined) throw new Error('a group has at least one alert');
  return {
    ...needOf(first),
    sentence: `${first.summary}, and ${alike.length - 1} more alerts like it`,
    link: `/alerts?q=${encodeURIComponent(first.name)}`,
  };
}
