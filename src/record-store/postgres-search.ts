import type { PageQuery, RecordPage, StoredRecord } from './record-store.ts';
import { RecordsTooSlow } from './too-slow.ts';

/** Ids from `fromId` to before `untilId`. */
export type Stretch = { readonly fromId: number; readonly untilId: number };

/** What a search needs: `ask` answers undefined where the database gave up; `clock` is monotonic, in ms. */
export type SearchTools = {
  readonly ask: (window: Stretch, limit: number) => Promise<readonly StoredRecord[] | undefined>;
  readonly clock: () => number;
};

/** How long one answer may take, in ms; what is not found until then is looked for by the next page, as in files. */
export const ANSWER_MS = 120;
const FIRST_IDS = 4_096;
const FEWEST_IDS = 256;
const GROWTH = 8;

/**
 * One page out of stretches of ids, which ascend. They are asked in windows, each larger than the one before as far as
 * it will fit into the time: where an index answers, a few windows are all there is; where every row must be read, so
 * many are as can be, and the page goes on from there. Rejects where not even a small window is answered.
 */
export async function searchWindows(
  stretches: readonly Stretch[],
  page: PageQuery,
  { ask, clock }: SearchTools,
): Promise<RecordPage> {
  const ascending = page.ascending === true;
  const left = new Remaining(stretches, page);
  const endsAt = clock() + ANSWER_MS;
  const records: StoredRecord[] = [];
  let size = FIRST_IDS;
  let cursor: number | undefined;
  for (;;) {
    const window = left.peek(size);
    if (window === undefined) return { records, next: undefined };
    const started = clock();
    if (cursor !== undefined && started >= endsAt) return { records, next: cursor };
    const found = await ask(window, page.limit - records.length);
    if (found === undefined) {
      if (size <= FEWEST_IDS) throw new RecordsTooSlow(TOO_SLOW);
      size = Math.max(FEWEST_IDS, Math.floor(size / GROWTH / GROWTH));
      continue;
    }
    records.push(...found);
    if (records.length >= page.limit) {
      return { records, next: Number(records.at(-1)?.['record.id']) };
    }
    left.take(size);
    cursor = ascending ? window.untilId - 1 : window.fromId;
    const now = clock();
    const fits = (size / Math.max(now - started, 0.1)) * (endsAt - now);
    size = Math.max(FEWEST_IDS, Math.floor(Math.min(size * GROWTH, fits)));
  }
}

const TOO_SLOW = 'PostgreSQL took too long over a few hundred records: it is overloaded';

/** What is still to be searched, in the order of the page. */
class Remaining {
  readonly #ascending: boolean;
  #stretches: Stretch[];

  constructor(stretches: readonly Stretch[], { cursor, ascending }: PageQuery) {
    this.#ascending = ascending === true;
    this.#stretches = stretches
      .map(({ fromId, untilId }) => {
        if (cursor === undefined) return { fromId, untilId };
        if (this.#ascending) return { fromId: Math.max(fromId, cursor + 1), untilId };
        return { fromId, untilId: Math.min(untilId, cursor) };
      })
      .filter(({ fromId, untilId }) => fromId < untilId);
    if (!this.#ascending) this.#stretches.reverse();
  }

  /** The next so many ids, over stretches; undefined at the end. */
  peek(size: number): Stretch | undefined {
    const [first] = this.#stretches;
    if (first === undefined) return undefined;
    let last = first;
    let wanted = size;
    for (const stretch of this.#stretches) {
      last = cut(stretch, wanted, this.#ascending);
      wanted -= stretch.untilId - stretch.fromId;
      if (wanted <= 0) break;
    }
    return this.#ascending
      ? { fromId: first.fromId, untilId: last.untilId }
      : { fromId: last.fromId, untilId: first.untilId };
  }

  take(size: number): void {
    let wanted = size;
    while (wanted > 0) {
      const first = this.#stretches.shift();
      if (first === undefined) return;
      const { fromId, untilId } = first;
      if (untilId - fromId > wanted) {
        const rest = this.#ascending
          ? { fromId: fromId + wanted, untilId }
          : { fromId, untilId: untilId - wanted };
        this.#stretches.unshift(rest);
      }
      wanted -= untilId - fromId;
    }
  }
}

function cut({ fromId, untilId }: Stretch, size: number, ascending: boolean): Stretch {
  return ascending
    ? { fromId, untilId: Math.min(untilId, fromId + size) }
    : { fromId: Math.max(fromId, untilId - size), untilId };
}
