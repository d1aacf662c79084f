/** Good ones and all of them in a stretch of time. */
export type Tally = { readonly good: number; readonly total: number };

/** As it is kept on disk: slots with something in them, oldest first, as [number of the slot, good, total]. */
export type SavedSeries = {
  readonly minutes: readonly SavedSlot[];
  readonly hours: readonly SavedSlot[];
};

type SavedSlot = readonly [slot: number, good: number, total: number];

/** What happened over the last month: by the minute for six hours, by the hour for 31 days. */
export type BudgetSeries = {
  readonly add: (tally: Tally, nowMs: number) => void;
  /** The sum over the window that ends now; windows beyond six hours count whole hours. */
  readonly sum: (windowMs: number, nowMs: number) => Tally;
  /** All that was added since this series was created, not what was saved before. */
  readonly ever: () => Tally;
  readonly save: () => SavedSeries;
};

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const MINUTES = 6 * 60 + 1;
const HOURS = 31 * 24 + 1;

/** Creates a series, empty or as it was saved. */
export function createBudgetSeries(saved?: SavedSeries): BudgetSeries {
  const minutes = createRing(MINUTE_MS, MINUTES, saved?.minutes ?? []);
  const hours = createRing(HOUR_MS, HOURS, saved?.hours ?? []);
  const ever = { good: 0, total: 0 };
  return {
    add({ good, total }, nowMs) {
      // SECURITY: counts come from enforcement points; nonsense must not buy budget back.
      if (!(total > 0) || !(good >= 0) || !Number.isFinite(total)) return;
      const bounded = Math.min(good, total);
      minutes.add(bounded, total, nowMs);
      hours.add(bounded, total, nowMs);
      ever.good += bounded;
      ever.total += total;
    },
    sum: (windowMs, nowMs) =>
      windowMs <= (MINUTES - 1) * MINUTE_MS
        ? minutes.sum(windowMs, nowMs)
        : hours.sum(windowMs, nowMs),
    ever: () => ({ ...ever }),
    save: () => ({ minutes: minutes.save(), hours: hours.save() }),
  };
}

function createRing(slotMs: number, size: number, saved: readonly SavedSlot[]) {
  const slots = new Float64Array(size).fill(-1);
  const goods = new Float64Array(size);
  const totals = new Float64Array(size);
  let newest = -1;

  function put(slot: number, good: number, total: number): void {
    const index = slot % size;
    if (slots[index] !== slot) {
      slots[index] = slot;
      goods[index] = 0;
      totals[index] = 0;
    }
    goods[index] = (goods[index] ?? 0) + good;
    totals[index] = (totals[index] ?? 0) + total;
    newest = Math.max(newest, slot);
  }

  function each(visit: (slot: number, good: number, total: number) => void): void {
    for (let slot = Math.max(0, newest - size + 1); slot <= newest; slot++) {
      const index = slot % size;
      if (slots[index] === slot) visit(slot, goods[index] ?? 0, totals[index] ?? 0);
    }
  }

  for (const [slot, good, total] of saved) {
    if (Number.isSafeInteger(slot) && slot >= 0 && total > 0 && good >= 0) put(slot, good, total);
  }
  return {
    // A clock that steps back fills the newest slot: what was counted is never counted as older than it is.
    add: (good: number, total: number, nowMs: number) =>
      put(Math.max(newest, Math.floor(nowMs / slotMs)), good, total),
    sum(windowMs: number, nowMs: number): Tally {
      const last = Math.max(newest, Math.floor(nowMs / slotMs));
      const first = last - Math.ceil(windowMs / slotMs) + 1;
      let good = 0;
      let total = 0;
      each((slot, goodThen, totalThen) => {
        if (slot < first) return;
        good += goodThen;
        total += totalThen;
      });
      return { good, total };
    },
    save(): readonly SavedSlot[] {
      const kept: SavedSlot[] = [];
      each((slot, good, total) => kept.push([slot, good, total]));
      return kept;
    },
  };
}
