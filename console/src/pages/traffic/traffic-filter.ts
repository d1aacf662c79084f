import { apiPath } from '../../route/query.ts';
import {
  encodeTimeRange,
  parseTimeRange,
  rangeQuery,
  type TimeRange,
} from '../../route/time-range.ts';
import { commandLine, type Flag } from '../../words/command.ts';

/** What calls are shown. Empty strings filter nothing. */
export type TrafficFilter = {
  readonly denied: boolean;
  /** SPIFFE ID, service or `namespace/service` of the caller. */
  readonly from: string;
  /** Service or `namespace/service` called. */
  readonly to: string;
  readonly range: TimeRange;
  /** Conditions on any field of the record, apart by spaces: `FIELD=VALUE`, also `!=`, `~`, `>`, `<`. */
  readonly where: string;
  /** Also what the caller's side recorded of calls that the service's side recorded. */
  readonly bothSides: boolean;
  /** Text in method, path, host or ids; applied to what was fetched. */
  readonly text: string;
};

/** The spans the filter offers; `palisade log` takes any. */
export const SPANS = ['5m', '15m', '1h', '24h', '7d'] as const;
/** How far back calls are shown where the address does not say. */
export const DEFAULT_SPAN = '5m';

/** The filter that an address asks for; what cannot be read filters nothing. */
export function parseTrafficFilter(query: URLSearchParams): TrafficFilter {
  return {
    denied: query.get('denied') === 'true',
    from: query.get('from')?.trim() ?? '',
    to: query.get('to')?.trim() ?? '',
    range: parseTimeRange(query, DEFAULT_SPAN),
    where: query.get('where') ?? '',
    bothSides: query.get('sides') === 'both',
    text: query.get('q') ?? '',
  };
}

/** The filter as keys of an address; what is default is left out. */
export function encodeTrafficFilter(
  filter: TrafficFilter,
): Readonly<Record<string, string | undefined>> {
  return {
    denied: filter.denied ? 'true' : undefined,
    from: filter.from || undefined,
    to: filter.to || undefined,
    ...encodeTimeRange(filter.range, DEFAULT_SPAN),
    where: filter.where || undefined,
    sides: filter.bothSides ? 'both' : undefined,
    q: filter.text || undefined,
  };
}

/** The API path that lists what the filter asks for, newest first. */
export function recordsPath(filter: TrafficFilter, cursor?: string): string {
  const time = rangeQuery(filter.range);
  return apiPath('/records', { ...asked(filter), ...time, limit: '200', cursor });
}

/** The address of the live tail of the same filter; undefined where the time asked for is over. */
export function watchPath(filter: TrafficFilter): string | undefined {
  if (filter.range.kind === 'between') return undefined;
  return apiPath('/api/v1/records/watch', asked(filter));
}

/** The command that lists the same. */
export function trafficCommand(filter: TrafficFilter): string {
  const { since, until } = rangeQuery(filter.range);
  return commandLine(
    ['log'],
    [
      ['follow', until === undefined ? true : undefined],
      ['denied', filter.denied || undefined],
      ['from', filter.from],
      ['to', filter.to],
      ['since', since],
      ['until', until],
      ...wordsOf(filter.where).map((word): Flag => ['where', word]),
    ],
  );
}

/**
 * Conditions as keys of the API's query: `status>=500 path=/api* reason~tls`, as `palisade log --where`
 * takes them. What is no condition is left out; of several on one field the last counts.
 */
export function conditionsOf(where: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    wordsOf(where).map((word) => {
      const [, field = '', operator = '', value = ''] = CONDITION.exec(word) ?? [];
      // A value that begins like an operator is marked as plain text.
      if (operator === '=') return [field, /^[!<>~\\]/.test(value) ? `\\${value}` : value];
      return [field, `${operator === '!=' ? '!' : operator}${value}`];
    }),
  );
}

const CONDITION = /^([a-z][a-z_.]*)(!=|>=|<=|=|>|<|~)(.+)$/;

/** The words of a text that are conditions on fields of records. */
function wordsOf(where: string): readonly string[] {
  return where
    .trim()
    .split(/\s+/)
    .filter((word) => {
      const field = CONDITION.exec(word)?.[1];
      return field !== undefined && !OWN_KEYS.has(field);
    });
}

// These have fields of their own in the filter's bar, or steer the answer itself.
const OWN_KEYS: ReadonlySet<string> = new Set([
  'denied',
  'from',
  'to',
  'since',
  'until',
  'limit',
  'cursor',
  'order',
]);

function asked(filter: TrafficFilter): Readonly<Record<string, string | undefined>> {
  const { denied, from, to } = encodeTrafficFilter(filter);
  return { denied, from, to, ...conditionsOf(filter.where) };
}
