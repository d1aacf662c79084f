/** How numbers, times and sizes read everywhere in the console. All functions are pure. */

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const grouped = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });

/** A count with thousands separated, e.g. `12,408`. */
export function formatCount(count: number): string {
  return grouped.format(count);
}

/** A count with its noun, e.g. `1 service`, `4 services`. */
export function formatNoun(count: number, singular: string, plural = `${singular}s`): string {
  return `${formatCount(count)} ${count === 1 ? singular : plural}`;
}

/** Events a second as people say them: `24/s`, `3.2/s`, and `6/min`, `37/h` where they are rarer than that. */
export function formatRate(perSecond: number): string {
  if (!(perSecond > 0)) return '0/s';
  if (perSecond >= 10) return `${formatCount(perSecond)}/s`;
  if (perSecond >= 0.5) return `${perSecond.toFixed(1)}/s`;
  const perMinute = perSecond * 60;
  if (perMinute >= 1) return `${perMinute.toFixed(0)}/min`;
  const perHour = perMinute * 60;
  return perHour >= 1 ? `${perHour.toFixed(0)}/h` : '<1/h';
}

/** A share of one as percent; never rounds something to nothing, nor almost all to all. */
export function formatPercent(share: number): string {
  if (!(share > 0)) return '0 %';
  if (share >= 1) return '100 %';
  if (share < 0.01) return '<1 %';
  if (share > 0.99) return '>99 %';
  return `${(share * 100).toFixed(0)} %`;
}

/** A share of one as the percent that objectives are written in, with as many digits as say something: `99.95 %`. */
export function formatShare(share: number): string {
  const percent = share * 100;
  const digits = percent > 99 && percent < 100 ? 2 : percent % 1 === 0 ? 0 : 1;
  // Rounded down: 99.999 % of calls is not all of them.
  const cut = Math.floor(percent * 10 ** digits + 1e-9) / 10 ** digits;
  return `${cut.toFixed(digits)} %`;
}

/** Microseconds as a duration: `640 µs`, `1.2 ms`, `38 ms`, `4.1 s`. */
export function formatMicros(micros: number): string {
  if (micros < 1000) return `${micros.toFixed(0)} µs`;
  const ms = micros / 1000;
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${ms.toFixed(0)} ms`;
  return `${(ms / 1000).toFixed(1)} s`;
}

/** Bytes in decimal units: `812 B`, `1.4 kB`, `23 MB`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 || value >= 10 ? value.toFixed(0) : value.toFixed(1)} ${units[unit]}`;
}

/** A span of milliseconds in its largest sensible unit: `14 s`, `42 min`, `3 h`, `12 d`. */
export function formatSpan(ms: number): string {
  const span = Math.abs(ms);
  if (span < 90_000) return `${Math.floor(span / 1000)} s`;
  if (span < 90 * MINUTE) return `${Math.floor(span / MINUTE)} min`;
  if (span < 48 * HOUR) return `${Math.floor(span / HOUR)} h`;
  if (span < 730 * DAY) return `${Math.floor(span / DAY)} d`;
  return `${Math.floor(span / (365 * DAY))} y`;
}

/** A span as the CLI writes it (`5m`, `24h`) as it reads after `the last`. */
export function formatSpanWord(span: string): string {
  const [, count = '', unit = ''] = /^(\d+)([smhd])$/.exec(span) ?? [];
  const noun = { s: 'second', m: 'minute', h: 'hour', d: 'day' }[unit];
  if (noun === undefined) return span;
  return count === '1' ? noun : `${count} ${noun}s`;
}

/**
 * An instant relative to now: `just now`, `14 s ago`, `in 42 min`. Undefined or unreadable instants
 * read `never`.
 */
export function formatAgo(instant: string | number | undefined, nowMs: number): string {
  const at = toMs(instant);
  if (at === undefined) return 'never';
  const behind = nowMs - at;
  if (behind >= 0) return behind < 2000 ? 'just now' : `${formatSpan(behind)} ago`;
  // A clock a little ahead of ours is skew, not the future.
  return behind > -2000 ? 'just now' : `in ${formatSpan(behind)}`;
}

/** The absolute instant in the reader's own zone, with the zone named. */
export function formatInstant(instant: string | number | undefined): string {
  const at = toMs(instant);
  if (at === undefined) return 'unknown';
  const date = new Date(at);
  const offset = -date.getTimezoneOffset();
  const local = new Date(at + offset * MINUTE).toISOString().slice(0, 23).replace('T', ' ');
  const sign = offset < 0 ? '−' : '+';
  const size = Math.abs(offset);
  const zone = `${sign}${pad(Math.floor(size / 60))}:${pad(size % 60)}`;
  return `${local} ${offset === 0 ? 'UTC' : zone}`;
}

/** The reader's zone as {@link formatInstant} names it, for the head of times that stand without one. */
export function formatZone(instant: string | number): string {
  return formatInstant(instant).slice(24);
}

/** The time of day to the millisecond in the reader's zone, for dense tables. */
export function formatClock(instant: string | number): string {
  const text = formatInstant(instant);
  return text === 'unknown' ? text : text.slice(11, 23);
}

/** An instant as milliseconds since 1970; undefined where it cannot be read. */
export function toMs(instant: string | number | undefined | null): number | undefined {
  if (instant === undefined || instant === null) return undefined;
  const at = typeof instant === 'number' ? instant : Date.parse(instant);
  return Number.isFinite(at) ? at : undefined;
}

function pad(value: number): string {
  return String(value).padStart(2, '0');
}
