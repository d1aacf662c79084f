import type { PageQuery, RecordPage, RecordQuery, StoredRecord } from './record-store.ts';

/**
 * Up to `limit` records after a cursor, in the order of their arrival; fewer only at the end. A page ends early when its
 * time is over, and whoever reads in order (a sink that catches up) would take that for the end and leave out the rest.
 */
export async function readInOrder(
  list: (query: RecordQuery, page: PageQuery) => Promise<RecordPage>,
  cursor: number,
  limit: number,
): Promise<readonly StoredRecord[]> {
  const records: StoredRecord[] = [];
  for (let next: number | undefined = cursor; next !== undefined && records.length < limit; ) {
    const page = await list({}, { limit: limit - records.length, cursor: next, ascending: true });
    records.push(...page.records);
    next = page.next;
  }
  return records;
}
