import { type ApiClient, ApiError } from '#client';
import type { AccessRecord, RecordAnswer } from '../../api-types.ts';

/** What following needs. */
export type Following = {
  /** Asked for anew at each try: a control plane may come back at another address, which the data folder names. */
  readonly api: () => Pick<ApiClient, 'call' | 'watch'>;
  /** The filters, without times and paging. */
  readonly query: URLSearchParams;
  /** What was there when the command began, from `newestCursor`. */
  readonly cursor: string;
  /** Ids of records that were shown already. */
  readonly shown: ReadonlySet<unknown>;
  readonly onRecord: (record: AccessRecord) => void;
  /** Told once each time the control plane is lost, why. */
  readonly onLost: (reason: string) => void;
  /** Resolves when it is time to try again. */
  readonly pause: () => Promise<void>;
};

/** Where following begins, taken before anything is shown: what arrives while that is read is not left out. */
export async function newestCursor(api: Pick<ApiClient, 'call'>): Promise<string> {
  const newest = await api.call<RecordAnswer>('GET', '/records?order=desc&limit=1');
  return String(newest.items[0]?.['record.id'] ?? 0);
}

/**
 * Goes on with what arrives after `cursor`, each record once, until the command is ended: a stream that breaks off, since
 * the control plane went or since this side was too slow, is taken up where it ended. Ends only with a refusal.
 */
export async function followRecords(following: Following): Promise<never> {
  const { api, query, shown, onRecord, onLost, pause } = following;
  let { cursor } = following;
  let isLost = false;
  const take = (record: AccessRecord): void => {
    const id = record['record.id'];
    cursor = String(id ?? cursor);
    if (!shown.has(id)) onRecord(record);
  };
  const catchUp = async (): Promise<void> => {
    for (let next: string | null = cursor; next !== null; ) {
      const paging: string = `order=asc&limit=1000&cursor=${encodeURIComponent(next)}`;
      const page: RecordAnswer = await api().call('GET', `/records?${query}&${paging}`);
      page.items.forEach(take);
      next = page.next;
    }
  };
  for (;;) {
    try {
      await catchUp();
      isLost = false;
      await api().watch(
        `/records/watch?${query}`,
        (event, data) => {
          if (event === 'record') take(data as AccessRecord);
        },
        cursor,
      );
      if (!isLost) onLost('it ended the stream');
    } catch (error) {
      if (error instanceof ApiError && error.status >= 400 && error.status < 500) throw error;
      if (!isLost) onLost((error as Error).message);
    }
    isLost = true;
    await pause();
  }
}
