import type { ApiClient } from '#client';
import { CallGroups, type RecordedCalls } from '#compile';
import type { AccessRecord, Page } from './api-types.ts';

/** What was recorded, calls that are alike as one; `truncated` where there were more than can be read. */
export type Observed = { readonly calls: readonly RecordedCalls[]; readonly truncated: boolean };

const PAGE_SIZE = 1000;
const MAX_PAGES = 500;

/** Reads the records of `query`, as the called sidecars wrote them, and counts those that are alike. */
export async function fetchObserved(api: ApiClient, query: URLSearchParams): Promise<Observed> {
  const alike = new CallGroups();
  let cursor: string | null = null;
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const paging = `limit=${PAGE_SIZE}${cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`}`;
    const answer: Page<AccessRecord> = await api.call('GET', `/records?${query}&${paging}`);
    for (const record of answer.items) alike.add(record);
    cursor = answer.next;
    if (cursor === null) break;
  }
  return { calls: alike.all(), truncated: cursor !== null };
}
