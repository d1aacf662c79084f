import { fail, ok, type Result } from '#lib';
import { ALERT_NAMES } from './catalog.ts';
import { type Condition, conditionId } from './condition.ts';

/** A promise of somebody to look at alerts, for which nobody else is called until it ends; times in ms. */
export type Silence = {
  readonly id: string;
  /** The alerts it is for: everything named here has to fit. */
  readonly match: SilenceMatch;
  /** Who answers for it: the admin who made it. */
  readonly owner: string;
  readonly reason: string;
  readonly createdAt: number;
  readonly endsAt: number;
};

/** `id`: one alert; `name`: all of that name; `labels`: those with all of these. */
export type SilenceMatch = {
  readonly id?: string | undefined;
  readonly name?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
};

/** What is asked for. */
export type SilenceRequest = {
  readonly match: SilenceMatch;
  readonly reason: string;
  readonly endsAt: number;
};

const DAY_MS = 24 * 3_600_000;
/** A silence that outlives the memory of why is a hole: it ends within this, ms. */
export const MAX_SILENCE_MS: number = 30 * DAY_MS;
const MAX_REASON = 500;

/** Whether a silence may be made, in words where not. */
export function checkSilence(request: SilenceRequest, nowMs: number): Result<true, string> {
  const { match, reason, endsAt } = request;
  const labels = Object.keys(match.labels ?? {});
  // SECURITY: a silence for everything would be the first thing that an intruder wants.
  if (match.id === undefined && match.name === undefined && labels.length === 0) {
    return fail('a silence names an alert, by `id`, `name` or `labels`');
  }
  if (match.name !== undefined && !(ALERT_NAMES as readonly string[]).includes(match.name)) {
    return fail(`there is no alert \`${match.name.slice(0, 100)}\``);
  }
  if (reason.trim() === '' || reason.length > MAX_REASON) {
    return fail(`a silence says why, in at most ${MAX_REASON} characters`);
  }
  if (!(endsAt > nowMs)) return fail('a silence ends in the future');
  if (endsAt - nowMs > MAX_SILENCE_MS) return fail('a silence ends within 30 days');
  return ok(true);
}

/** Whether it is for this alert. */
export function silences({ match }: Pick<Silence, 'match'>, condition: Condition): boolean {
  if (match.id !== undefined && match.id !== conditionId(condition)) return false;
  if (match.name !== undefined && match.name !== condition.name) return false;
  return Object.entries(match.labels ?? {}).every(
    ([name, value]) => condition.labels[name] === value,
  );
}
