import type { AuditVerification, LogVerification } from '../../api/audit-event.ts';
import type { Completeness, SourceHour } from '../../api/completeness.ts';
import type { Sink } from '../../api/sink.ts';
import type { Tone } from '../../parts/state-word.tsx';
import { formatNoun, formatShare } from '../../words/format.ts';

/** A state in a word, in its colour. */
export type Worded = { readonly tone: Tone; readonly word: string };

/** How far a log can be believed. A log that was not verified is not believed, only unknown. */
export function logState(log: LogVerification): Worded {
  switch (log.state) {
    case 'verified':
      return { tone: 'allowed', word: 'verified' };
    case 'failed':
      return { tone: 'denied', word: 'does not verify' };
    default:
      return { tone: 'stale', word: 'not verified yet' };
  }
}

/** How a sink is. */
export function sinkState(sink: Sink): Worded {
  switch (sink.state) {
    case 'ok':
      return { tone: 'allowed', word: 'delivering' };
    case 'retrying':
      return { tone: 'failing', word: 'retrying' };
    case 'paused':
      return { tone: 'stale', word: 'paused' };
    default:
      return { tone: 'denied', word: 'failing' };
  }
}

/** Below this share of what was issued a source is not complete; the goal in normal operation. */
export const COMPLETE_SHARE = 0.99;

/** What one source issued and what came of it, summed over its hours. */
export type SourceSum = {
  readonly source: string;
  readonly service: string | null;
  readonly issued: number;
  readonly arrived: number;
  readonly sampled: number;
  readonly dropped: Readonly<Record<string, number>>;
  readonly missing: number;
  readonly gaps: readonly (SourceHour['gaps'] & object)[number][];
  readonly ratio: number | null;
};

/** Sums by source; the least complete first. */
export function sumSources(hours: readonly SourceHour[]): readonly SourceSum[] {
  const bySource = Map.groupBy(hours, (hour) => hour.source);
  return Array.from(bySource, ([source, own]) => sumOf(source, own)).toSorted(
    (a, b) => (a.ratio ?? 1) - (b.ratio ?? 1) || a.source.localeCompare(b.source),
  );
}

function sumOf(source: string, hours: readonly SourceHour[]): SourceSum {
  const add = (read: (hour: SourceHour) => number): number =>
    hours.reduce((sum, hour) => sum + read(hour), 0);
  const dropped: Record<string, number> = {};
  for (const hour of hours) {
    for (const [kind, count] of Object.entries(hour.dropped ?? {})) {
      if (count > 0) dropped[kind] = (dropped[kind] ?? 0) + count;
    }
  }
  const [issued, arrived, sampled] = [
    add((hour) => hour.issued),
    add((hour) => hour.arrived),
    add((hour) => hour.sampled),
  ];
  const lost = Object.values(dropped).reduce((sum, count) => sum + count, 0);
  return {
    source,
    service: hours.find((hour) => hour.service)?.service ?? null,
    issued,
    arrived,
    sampled,
    dropped,
    missing: Math.max(0, issued - arrived - sampled - lost),
    gaps: hours.flatMap((hour) => hour.gaps ?? []),
    // Sampled records were left out on purpose and stand in the sums by their weights.
    ratio: issued === 0 ? null : Math.min(1, (arrived + sampled) / issued),
  };
}

/** The page's answer in one sentence: logs, then records, then sinks; what is not known is left out. */
export function evidenceSentence(known: {
  readonly verification: AuditVerification | undefined;
  readonly completeness: Completeness | undefined;
  readonly sinks: readonly Sink[] | undefined;
}): string {
  const parts = [
    known.verification && logsPart(known.verification.logs),
    known.completeness && recordsPart(known.completeness),
    known.sinks && sinksPart(known.sinks),
  ].filter((part) => part !== undefined);
  if (parts.length === 0) return 'The control plane has not said yet what it can prove.';
  const text = parts.join('; ');
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

/** What a log is called: `ca` is how the CLI is asked for the authority's. */
export function logName({ name }: LogVerification): string {
  return name === 'ca' ? 'authority' : name;
}

function logsPart(logs: readonly LogVerification[]): string {
  const failed = logs.filter((log) => log.state === 'failed');
  if (failed.length > 0) {
    return `the ${failed.map(logName).join(' and the ')} log does not verify`;
  }
  const open = logs.filter((log) => log.state !== 'verified');
  if (open.length > 0) return `${formatNoun(open.length, 'log is', 'logs are')} not verified yet`;
  const size = logs.reduce((sum, log) => sum + log.size, 0);
  return `${formatNoun(size, 'audit event')}, all verified`;
}

function recordsPart({ ratio, sources }: Completeness): string {
  if (ratio === null || sources.length === 0) return 'no records were issued yet';
  return `${formatShare(ratio)} of records accounted for`;
}

function sinksPart(sinks: readonly Sink[]): string {
  if (sinks.length === 0) return 'no sink is set up';
  const bad = sinks.filter((sink) => sink.state !== 'ok').length;
  if (bad === 0) return `${formatNoun(sinks.length, 'sink is', 'sinks are')} delivering`;
  return `${bad} of ${formatNoun(sinks.length, 'sink')} not delivering`;
}
