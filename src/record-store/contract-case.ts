import assert from 'node:assert/strict';
import { type Condition, parseCondition } from './filter.ts';
import { NOW } from './fixtures.ts';
import type { Added, RecordStore, Report, StoredRecord } from './record-store.ts';

/** One thing that every record store must hold, tried on one without records. */
export type Case = readonly [title: string, run: (store: RecordStore) => Promise<void>];

/** Adds a report, which must be taken. */
export async function added(store: RecordStore, report: Report, nowMs = NOW): Promise<Added> {
  const result = await store.add([report], nowMs);
  if (!result.ok) assert.fail(result.error);
  return result.value;
}

/** A condition as people write it. */
export function where(field: string, text: string): Condition {
  const condition = parseCondition(field, text);
  if (!condition.ok) assert.fail(condition.error);
  return condition.value;
}

/** Numbers of the records found, in order of arrival. */
export async function seqs(
  store: RecordStore,
  conditions: readonly Condition[],
): Promise<readonly number[]> {
  const records: StoredRecord[] = [];
  let cursor: number | undefined;
  do {
    const page = await store.list({ where: conditions }, { limit: 100, cursor, ascending: true });
    records.push(...page.records);
    cursor = page.next;
  } while (cursor !== undefined);
  return records.map(({ seq }) => seq);
}
