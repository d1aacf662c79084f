/** How a comparison of two versions reads. Pure. */

import type { ChangedCall, ChangedCalls } from '../../api/policy-set.ts';
import { patchQuery } from '../../route/query.ts';
import { formatCount, formatInstant, formatNoun } from '../../words/format.ts';

/** What became of the recorded calls, in one sentence with its numbers; `span` reads after `the last`. */
export function comparedSentence(calls: ChangedCalls, span: string): string {
  const { before, after, records, nowDenied, nowAllowed } = calls;
  if (records === 0) return `There is no call of the last ${span} to judge.`;
  const which = `${calls.truncated ? 'the newest ' : ''}${formatNoun(records, 'call')} of the last ${span}`;
  const reach =
    calls.truncated && calls.oldest !== null ? ` (back to ${formatInstant(calls.oldest)})` : '';
  const judged = `Of ${which}${reach}`;
  if (nowDenied + nowAllowed === 0) {
    return `${judged}, none is decided otherwise by version ${after} than by version ${before}.`;
  }
  const parts = [
    ...(nowDenied > 0 ? [`denies ${formatCount(nowDenied)} that version ${before} allows`] : []),
    ...(nowAllowed > 0 ? [`allows ${formatCount(nowAllowed)} that version ${before} denies`] : []),
  ];
  return `${judged}, version ${after} ${parts.join(' and ')}.`;
}

/** What was asked for: method and path, or the port of a connection. */
export function requestOf({ method, path, port }: ChangedCall): string {
  return [method, path].filter(Boolean).join(' ') || `port ${port}`;
}

/** The address of these calls among all traffic. */
export function callsPlace({ caller, service, method, path }: ChangedCall, since: string): string {
  const isKnown = caller.startsWith('spiffe://');
  // Conditions stand apart by spaces and a last `*` is any ending, so such a path cannot be asked for exactly.
  const isPlain = path !== null && !/[\s*]/.test(path);
  const where = [
    ...(isKnown ? [] : ['source.id=null']),
    ...(method === null ? [] : [`method=${method}`]),
    ...(isPlain ? [`path=${path}`] : []),
  ];
  return `/traffic${patchQuery('', {
    from: isKnown ? caller : undefined,
    to: service,
    since,
    where: where.join(' '),
  })}`;
}
