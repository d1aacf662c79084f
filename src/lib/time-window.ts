import { fail, ok, type Result } from './result.ts';

/** When a condition on the time holds: within one stretch, or on days of the week between two times of day, in UTC. */
export type TimeWindow =
  | { readonly kind: 'between'; readonly fromMs: number; readonly untilMs: number }
  | {
      readonly kind: 'weekly';
      /** Bit 0 is Sunday, as `Date` counts. */
      readonly days: number;
      readonly fromMinute: number;
      /** Up to 1440, exclusive; at most `fromMinute` where the window goes on past midnight. */
      readonly untilMinute: number;
    };

/**
 * Parses `2026-01-01T00:00:00Z/2026-02-01T00:00:00Z`, `Mon-Fri 08:00-18:00`, `Sat,Sun` or
 * `22:00-06:00`. A window past midnight belongs to the day it begins on.
 */
export function parseTimeWindow(text: string): Result<TimeWindow, string> {
  const shown = `\`${text.slice(0, 80)}\``;
  const wrong = `${shown} is no time: write \`Mon-Fri 08:00-18:00\` (UTC) or two instants as \`2026-01-01T00:00:00Z/2026-02-01T00:00:00Z\``;
  const instants = /^(\S+Z)\/(\S+Z)$/.exec(text);
  if (instants !== null) {
    const fromMs = Date.parse(instants[1] ?? '');
    const untilMs = Date.parse(instants[2] ?? '');
    if (Number.isNaN(fromMs) || Number.isNaN(untilMs)) return fail(wrong);
    if (fromMs >= untilMs) return fail(`${shown} ends before it begins`);
    return ok({ kind: 'between', fromMs, untilMs });
  }
  const weekly =
    /^(?<days>[A-Za-z]{3}(?:[-,][A-Za-z]{3})*)?(?: ?(?<from>\d\d:\d\d)-(?<until>\d\d:\d\d))?$/.exec(
      text,
    )?.groups;
  if (weekly === undefined || text === '') return fail(wrong);
  const days = weekly['days'] === undefined ? ALL_DAYS : daysOf(weekly['days']);
  const fromMinute = minuteOf(weekly['from'] ?? '00:00');
  const untilMinute = minuteOf(weekly['until'] ?? '24:00');
  if (days === undefined || fromMinute === undefined || untilMinute === undefined)
    return fail(wrong);
  if (fromMinute === untilMinute) return fail(`${shown} is no time at all`);
  return ok({ kind: 'weekly', days, fromMinute, untilMinute });
}

/** Whether an instant, in milliseconds since 1970, lies within a window. */
export function windowHolds(window: TimeWindow, nowMs: number): boolean {
  if (window.kind === 'between') return nowMs >= window.fromMs && nowMs < window.untilMs;
  const minute = Math.floor(nowMs / MINUTE_MS) % DAY_MINUTES;
  // 1970-01-01 was a Thursday.
  const day = (Math.floor(nowMs / MINUTE_MS / DAY_MINUTES) + 4) % 7;
  const { days, fromMinute, untilMinute } = window;
  if (fromMinute < untilMinute) {
    return minute >= fromMinute && minute < untilMinute && (days & (1 << day)) !== 0;
  }
  if (minute >= fromMinute) return (days & (1 << day)) !== 0;
  return minute < untilMinute && (days & (1 << ((day + 6) % 7))) !== 0;
}

const MINUTE_MS = 60_000;
const DAY_MINUTES = 1_440;
const ALL_DAYS = 0x7f;
const DAY_NAMES = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];

function daysOf(text: string): number | undefined {
  let days = 0;
  for (const part of text.split(',')) {
    const [first = '', last = first, ...more] = part.split('-');
    const from = DAY_NAMES.indexOf(first.toLowerCase());
    const until = DAY_NAMES.indexOf(last.toLowerCase());
    if (from < 0 || until < 0 || more.length > 0) return undefined;
    for (let day = from; ; day = (day + 1) % 7) {
      days |= 1 << day;
      if (day === until) break;
    }
  }
  return days;
}

function minuteOf(text: string): number | undefined {
  const [hours = 0, minutes = 0] = text.split(':').map(Number);
  const minute = hours * 60 + minutes;
  return minutes < 60 && minute <= DAY_MINUTES ? minute : undefined;
}
