import { FIELD, type Fields } from './fields.ts';
import type { FieldSummary } from './head-lines.ts';
import type { Http1Error } from './messages.ts';

// SECURITY: a client that lists these in Connection wants them removed on the way to the server:
// framing and routing for smuggling, credentials so that policy and application see two users.
const NEVER_NOMINATED = new Set([
  'accept-encoding',
  'authorization',
  'cache-control',
  'content-encoding',
  'content-length',
  'content-range',
  'content-type',
  'cookie',
  'date',
  'expect',
  'forwarded',
  'host',
  'origin',
  'range',
  'referer',
  'set-cookie',
  'traceparent',
  'tracestate',
  'trailer',
  'transfer-encoding',
]);
const NEVER_NOMINATED_PREFIX = /^(?:x-forwarded-|x-palisade-|x-real-ip$|sec-)/;
const MAX_OPTIONS = 16;

/**
 * Reads the options of every Connection field into `summary` and marks the fields they name as
 * hop-by-hop (RFC 9110 section 7.6.1). Returns why the head is refused, if it is.
 */
export function readConnection(fields: Fields, summary: FieldSummary): Http1Error | undefined {
  let options = 0;
  for (let index = 0; index < fields.count; index++) {
    if (fields.code(index) !== FIELD.CONNECTION) continue;
    for (const raw of fields.valueAt(index).split(',')) {
      const option = raw.trim().toLowerCase();
      if (!/^[!#$%&'*+\-.^_`|~0-9a-z]*$/.test(option)) return 'bad_connection';
      if (++options > MAX_OPTIONS) return 'bad_connection';
      if (option === 'close') summary.close = true;
      else if (option === 'keep-alive') summary.keepAlive = true;
      else if (option === 'upgrade') summary.upgradeOption = true;
      else if (isForbidden(option)) return 'forbidden_connection_option';
      else if (option !== '') fields.nominate(option);
    }
  }
  return summary.close && summary.keepAlive ? 'bad_connection' : undefined;
}

function isForbidden(option: string): boolean {
  return NEVER_NOMINATED.has(option) || NEVER_NOMINATED_PREFIX.test(option);
}
