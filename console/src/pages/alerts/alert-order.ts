import type { Alert } from '../../api/alert.ts';
import { formatNoun } from '../../words/format.ts';

/** What of the alerts wants someone now, and what does not. */
export type AlertGroups = {
  /** Firing and nobody's yet: pages before tickets, the longest first. */
  readonly open: readonly Alert[];
  /** Firing, but silenced by a person or expected because of something else. */
  readonly quiet: readonly Alert[];
  /** Over; the latest first. */
  readonly resolved: readonly Alert[];
};

/** Sorts alerts into what wants someone and what does not. */
export function groupAlerts(alerts: readonly Alert[]): AlertGroups {
  const firing = alerts.filter((alert) => alert.state === 'firing').toSorted(worstFirst);
  return {
    open: firing.filter((alert) => !isQuiet(alert)),
    quiet: firing.filter(isQuiet),
    resolved: alerts
      .filter((alert) => alert.state === 'resolved')
      .toSorted((a, b) => (b.ends_at ?? '').localeCompare(a.ends_at ?? '')),
  };
}

/** The page's answer in one sentence. */
export function alertsSentence({ open, quiet }: AlertGroups): string {
  const aside =
    quiet.length === 0
      ? ''
      : ` ${formatNoun(quiet.length, 'alert is', 'alerts are')} silenced or expected.`;
  if (open.length === 0) return `Nothing is firing that wants a person.${aside}`;
  const pages = open.filter((alert) => alert.severity === 'page').length;
  const counts = [
    pages > 0 ? formatNoun(pages, 'page') : '',
    open.length > pages ? formatNoun(open.length - pages, 'ticket') : '',
  ].filter(Boolean);
  const verb = open.length === 1 ? 'is' : 'are';
  return `${counts.join(' and ')} ${verb} firing.${aside}`;
}

/** The alerts that hold the text in anything a person would look for. */
export function matchAlerts(alerts: readonly Alert[], text: string): readonly Alert[] {
  const wanted = text.trim().toLowerCase();
  if (wanted === '') return alerts;
  return alerts.filter((alert) =>
    [alert.name, alert.summary, alert.likely_cause, ...Object.values(alert.labels ?? {})]
      .join('\n')
      .toLowerCase()
      .includes(wanted),
  );
}

/** The file name of a runbook without its folder and ending; undefined where the path is none of ours. */
export function runbookName(path: string | null | undefined): string | undefined {
  return /^docs\/runbooks\/([a-z0-9-]+)\.md$/.exec(path ?? '')?.[1];
}

function isQuiet(alert: Alert): boolean {
  return Boolean(alert.silenced_by) || Boolean(alert.inhibited_by);
}

function worstFirst(a: Alert, b: Alert): number {
  const rank = (alert: Alert): number => (alert.severity === 'page' ? 0 : 1);
  return rank(a) - rank(b) || a.starts_at.localeCompare(b.starts_at);
}
