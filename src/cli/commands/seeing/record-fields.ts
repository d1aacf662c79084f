import { nearest } from '#resource';
import type { CliContext } from '../../context.ts';
import type { RecordFilters } from './record-filter.ts';

/** The fields of records, as docs/reference/records.md lists them, and those that the API adds. */
export const RECORD_FIELDS: readonly string[] = [
  'time',
  'kind',
  'id',
  'reporter',
  'source.id',
  'source.service',
  'source.ip',
  'destination.id',
  'destination.service',
  'destination.namespace',
  'destination.port',
  'connection.sni',
  'tls.version',
  'tls.cipher',
  'tls.group',
  'peer_serial',
  'method',
  'host',
  'path',
  'status',
  'grpc_status',
  'verdict',
  'reason',
  'policy',
  'rule',
  'policy_version',
  'denial_id',
  'headers',
  'dry_run',
  'audit',
  'exception',
  'trace_id',
  'span_id',
  'parent_span_id',
  'duration_us',
  'decision_us',
  'tunnel_wait_us',
  'upstream_us',
  'bytes_in',
  'bytes_out',
  'redacted',
  'weight',
  'kept',
  'seq',
  'redaction_key',
  'node',
  'record.id',
];

/**
 * Says on standard error which conditions are about a field that no record has: their answer is none, which looks like
 * nothing having happened. A sidecar of a later version may have more fields, so it is said and not refused.
 */
export function noteUnknownFields(
  context: Pick<CliContext, 'stderr'>,
  { where = [] }: Pick<RecordFilters, 'where'>,
): void {
  for (const condition of where) {
    const [field = ''] = /^[a-z0-9_.]+/.exec(condition) ?? [];
    if (RECORD_FIELDS.includes(field)) continue;
    const guess = nearest(field, RECORD_FIELDS);
    const meant = guess === undefined ? '' : `; did you mean \`${guess}\`?`;
    context.stderr.write(`palisade: records have no field \`${field}\`${meant}\n`);
  }
}
