import type { Evidence } from './evidence.ts';
import type { Lane } from './lane.ts';

/** Where evidence of one kind is kept, in the order of positions. */
export type EvidenceSource = {
  /** Up to `limit` items whose position is greater, ascending. */
  readonly readAfter: (position: number, limit: number) => Promise<readonly Evidence[]>;
  /** Of the newest item; -1 where there is none. */
  readonly newest: () => Promise<number>;
};

const PAGE = 1_000;

/**
 * Brings a lane up to what its source holds: what a killed process had not queued yet is queued now, and one that is
 * new begins with what comes. `offer` takes items in as live ones are, `isCurrent` says that the lane may hear live
 * items from this turn on, false if it missed some meanwhile.
 */
export async function catchUp(options: {
  readonly lane: Pick<Lane, 'queue'>;
  readonly source: EvidenceSource;
  readonly offer: (items: readonly Evidence[]) => void;
  readonly isCurrent: () => boolean;
}): Promise<void> {
  const { lane, source, offer, isCurrent } = options;
  if (lane.queue.position() < 0) lane.queue.startAt(await source.newest());
  for (let from = lane.queue.position(); ; ) {
    const page = await source.readAfter(from, PAGE);
    if (page.length > 0) offer(page);
    from = page.at(-1)?.position ?? from;
    if (page.length < PAGE && isCurrent()) return;
  }
}
