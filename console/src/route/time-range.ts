/** What stretch of time a view shows; kept in the address as `since` and `until`, as the CLI takes them. */

import { apiPath } from './query.ts';

/** The newest stretch, which moves on; or one between two instants (milliseconds since 1970), which stands. */
export type TimeRange =
  | { readonly kind: 'last'; readonly span: string }
  | { readonly kind: 'between'; readonly fromMs: number; readonly untilMs: number };

const UNITS_MS: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};
const STEPS = [
  ['10s', 10_000],
  ['1m', 60_000],
  ['5m', 300_000],
  ['15m', 900_000],
  ['1h', 3_600_000],
] as const;
/** More points than this are not told apart in a chart. */
const MAX_POINTS = 120;

/** The range that an address asks for; what cannot be read is the default span. */
export function parseTimeRange(query: URLSearchParams, defaultSpan: string): TimeRange {
  const [since, until] = [query.get('since') ?? '', query.get('until') ?? ''];
  const [fromMs, untilMs] = [Date.parse(since), Date.parse(until)];
  if (Number.isFinite(fromMs) && Number.isFinite(untilMs) && fromMs < untilMs) {
    return { kind: 'between', fromMs, untilMs };
  }
  return { kind: 'last', span: spanMs(since) === undefined ? defaultSpan : since };
}

/** The range as keys of an address. */
export function encodeTimeRange(
  range: TimeRange,
  defaultSpan: string,
): { readonly since: string | undefined; readonly until: string | undefined } {
  if (range.kind === 'last') {
    return { since: range.span === defaultSpan ? undefined : range.span, until: undefined };
  }
  return { since: iso(range.fromMs), until: iso(range.untilMs) };
}

/** What the API and the CLI are asked: a span stays one, so that the same question is asked again. */
export function rangeQuery(range: TimeRange): { readonly since: string; readonly until?: string } {
  if (range.kind === 'last') return { since: range.span };
  return { since: iso(range.fromMs), until: iso(range.untilMs) };
}

/** The range between two instants, milliseconds since 1970. */
export function rangeMs(
  range: TimeRange,
  nowMs: number,
): { readonly fromMs: number; readonly untilMs: number } {
  if (range.kind === 'between') return range;
  return { fromMs: nowMs - (spanMs(range.span) ?? 0), untilMs: nowMs };
}

/** The step between points, so that a range has at most some 120. */
export function stepOf(range: TimeRange): string {
  const { fromMs, untilMs } = rangeMs(range, 0);
  const step = STEPS.find(([, ms]) => (untilMs - fromMs) / ms <= MAX_POINTS);
  return step?.[0] ?? '1h';
}

/** The API path of the sums over a range: calls, denials and errors, in this order. */
export function rollupsPath(range: TimeRange, group: 'total' | 'edge'): string {
  const { since, until } = rangeQuery(range);
  const metric = 'requests,denied,errors';
  return apiPath('/rollups', { group, metric, step: stepOf(range), from: since, until });
}

/** A span as the CLI writes it (`15m`), in milliseconds; undefined for other text. */
export function spanMs(span: string): number | undefined {
  const [, count, unit = ''] = /^(\d{1,5})([smhd])$/.exec(span) ?? [];
  const unitMs = UNITS_MS[unit];
  return count === undefined || unitMs === undefined ? undefined : Number(count) * unitMs;
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
