import { RECORD_FIELDS } from '#lib';
import { nearest } from '#resource';
import type { CliContext } from '../../context.ts';
import type { RecordFilters } from './record-filter.ts';

/** Those of records, and those that the API adds. */
export const FILTER_FIELDS: readonly string[] = [...RECORD_FIELDS, 'node', 'record.id'];

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
    if (FILTER_FIELDS.includes(field)) continue;
    const guess = nearest(field, FILTER_FIELDS);
    const meant = guess === undefined ? '' : `; did you mean \`${guess}\`?`;
    context.stderr.write(`palisade: records have no field \`${field}\`${meant}\n`);
  }
}
