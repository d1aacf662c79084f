import { apiPath } from '../../route/query.ts';
import { commandLine } from '../../words/command.ts';

/** What calls are shown. Empty strings filter nothing. */
export type TrafficFilter = {
  readonly denied: boolean;
  /** SPIFFE ID, service or `namespace/service` of the caller. */
  readonly from: string;
  /** Service or `namespace/service` called. */
  readonly to: string;
  readonly since: string;
  /** Also what the caller's side recorded of calls that the service's side recorded. */
  readonly bothSides: boolean;
  /** Text in method, path, host or ids; applied to what was fetched. */
  readonly text: string;
};

/** The spans the filter offers; `palisade log` takes any. */
export const SPANS = ['5m', '15m', '1h', '24h'] as const;
const DEFAULT_SPAN = '5m';

/** The filter that an address asks for; what cannot be read filters nothing. */
export function parseTrafficFilter(query: URLSearchParams): TrafficFilter {
  const since = query.get('since') ?? '';
  return {
    denied: query.get('denied') === 'true',
    from: query.get('from')?.trim() ?? '',
    to: query.get('to')?.trim() ?? '',
    since: /^\d{1,5}(s|m|h|d)$/.test(since) ? since : DEFAULT_SPAN,
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
    since: filter.since === DEFAULT_SPAN ? undefined : filter.since,
    sides: filter.bothSides ? 'both' : undefined,
    q: filter.text || undefined,
  };
}

/** The API path that lists what the filter asks for, newest first. */
export function recordsPath(filter: TrafficFilter, cursor?: string): string {
  const { denied, from, to } = encodeTrafficFilter(filter);
  return apiPath('/records', { denied, from, to, since: filter.since, limit: '200', cursor });
}

/** The address of the live tail of the same filter. */
export function watchPath(filter: TrafficFilter): string {
  const { denied, from, to } = encodeTrafficFilter(filter);
  return apiPath('/api/v1/records/watch', { denied, from, to });
}

/** The command that lists the same. */
export function trafficCommand(filter: TrafficFilter): string {
  return commandLine(
    ['log'],
    [
      ['follow', true],
      ['denied', filter.denied || undefined],
      ['from', filter.from],
      ['to', filter.to],
      ['since', filter.since],
    ],
  );
}
