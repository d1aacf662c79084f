import { apiPath } from '../../route/query.ts';
import { rangeQuery, type TimeRange } from '../../route/time-range.ts';
import { commandLine } from '../../words/command.ts';

/** Which audit events are shown. Empty strings filter nothing. */
export type AuditFilter = {
  readonly log: 'control' | 'ca';
  readonly action: string;
  readonly actor: string;
  readonly target: string;
  readonly result: '' | 'ok' | 'refused';
  readonly text: string;
};

/** The filter that an address asks for. */
export function parseAuditFilter(query: URLSearchParams): AuditFilter {
  const read = (key: string): string => query.get(key)?.trim() ?? '';
  const result = read('result');
  return {
    log: query.get('log') === 'ca' ? 'ca' : 'control',
    action: read('action'),
    actor: read('actor'),
    target: read('target'),
    result: result === 'ok' || result === 'refused' ? result : '',
    text: query.get('q') ?? '',
  };
}

/** The API path that lists what the filter asks for, newest first. */
export function auditPath(filter: AuditFilter, range: TimeRange, cursor?: string): string {
  const { log, action, actor, target, result, text } = filter;
  return apiPath('/audit', {
    log,
    action,
    actor,
    target,
    result,
    text: text.trim(),
    ...rangeQuery(range),
    limit: '100',
    cursor,
  });
}

/** The API path whose first item is the entry of this number, where it is kept; undefined where that is no number. */
export function auditEntryPath(log: AuditFilter['log'], index: string): string | undefined {
  if (!/^\d{1,15}$/.test(index)) return undefined;
  // A cursor is the number that the next page lies before.
  return apiPath('/audit', { log, limit: '1', cursor: String(Number(index) + 1) });
}

/** The command that lists the same. */
export function auditCommand(filter: AuditFilter, range: TimeRange): string {
  const { since, until } = rangeQuery(range);
  return commandLine(
    ['audit', 'search'],
    [
      ['log', filter.log],
      ['action', filter.action],
      ['actor', filter.actor],
      ['target', filter.target],
      ['result', filter.result],
      ['text', filter.text.trim()],
      ['since', since],
      ['until', until],
    ],
  );
}
