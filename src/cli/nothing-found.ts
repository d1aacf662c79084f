import { inUtc, parseDuration } from '#lib';
import type { CliContext } from './context.ts';
import { printable } from './output.ts';

/** Which times were searched, as people wrote them: an instant, or a duration back; undefined is without an end. */
export type AskedTimes = {
  readonly since?: string | undefined;
  readonly until?: string | undefined;
};

/**
 * Says that a search found nothing, and over which times: silence looks like a search that was not made. On standard
 * error, since who reads the output in a program wants records and nothing else.
 */
export function tellOfNothing(
  context: Pick<CliContext, 'stderr'>,
  what: string,
  asked: AskedTimes,
): void {
  context.stderr.write(`no ${what} matched, ${timesText(asked, Date.now())}\n`);
}

/** `from … until …` in words, with instants in UTC. */
export function timesText({ since, until }: AskedTimes, nowMs: number): string {
  const from = since === undefined ? undefined : instantText(since, nowMs);
  const end = until === undefined ? 'now' : instantText(until, nowMs);
  if (from !== undefined) return `from ${from} until ${end}`;
  return until === undefined ? 'of any time' : `of any time until ${end}`;
}

function instantText(text: string, nowMs: number): string {
  const duration = parseDuration(text);
  // As the control plane reads it.
  const ms = duration.ok ? nowMs - duration.value : Date.parse(inUtc(text));
  // The control plane has taken it as a time, which is what matters.
  return Number.isFinite(ms) ? new Date(ms).toISOString() : printable(text);
}
