/** A count over the last moments, in slots of `slotMs`: what left the window is forgotten. */
export type SlidingCounter = {
  readonly add: (amount: number, nowMs: number) => void;
  /** The sum over the window that ends now, or over its newest `slots`. */
  readonly sum: (nowMs: number, slots?: number) => number;
  /** Each slot's sum, oldest first; the last one is still filling. */
  readonly slots: (nowMs: number) => readonly number[];
};

/** Creates a counter over `slots` slots of `slotMs` each, all zero. */
export function createSlidingCounter(slotMs: number, slots: number): SlidingCounter {
  const sums = new Float64Array(slots);
  let newest = 0;

  function advance(nowMs: number): void {
    const slot = Math.floor(nowMs / slotMs);
    // A clock that jumps back fills the newest slot; one that jumps ahead empties at most all of them.
    for (let next = Math.max(newest + 1, slot - slots + 1); next <= slot; next++) {
      sums[next % slots] = 0;
    }
    newest = Math.max(newest, slot);
  }

  return {
    add(amount, nowMs) {
      advance(nowMs);
      const index = newest % slots;
      sums[index] = (sums[index] ?? 0) + amount;
    },
    sum(nowMs, newestSlots = slots) {
      advance(nowMs);
      if (newestSlots >= slots) return sums.reduce((total, sum) => total + sum, 0);
      let total = 0;
      for (let i = 0; i < newestSlots; i++) total += sums[(newest - i + slots) % slots] ?? 0;
      return total;
    },
    slots(nowMs) {
      advance(nowMs);
      return Array.from({ length: slots }, (_, i) => sums[(newest + 1 + i) % slots] ?? 0);
    },
  };
}
