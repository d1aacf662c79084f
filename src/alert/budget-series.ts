/** Good ones and all of them in a stretch of time. */
export type Tally = { readonly good: number; readonly total: number };

/** A window of a series: what happened in it, and for how much of it somebody looked. */
export type Stretch = Tally & {
  /** The share of the window in which it was measured; minutes before the first or of an absence were not. */
  readonly coverage: number;
  /** Distinct minutes in which something was bad. */
  readonly badMinutes: number;
};

/**
 * As it is kept on disk: slots in which it was measured, oldest first, as [number of the slot, good, total, minutes
 * measured, minutes with something bad]. Before 0.2.0 the last two were not kept.
 */
export type SavedSeries = {
  readonly minutes: readonly SavedSlot[];
  readonly hours: readonly SavedSlot[];
};

type SavedSlot =
  | readonly [slot: number, good: number, total: number]
  | readonly [slot: number, good: number, total: number, measured: number, bad: number];

/** What happened over the last month: by the minute for six hours, by the hour for 31 days. */
export type BudgetSeries = {
  readonly add: (tally: Tally, nowMs: number) => void;
  /** Says that somebody looks at this moment, whether anything happens or not. */
  readonly look: (nowMs: number) => void;
  /** The window that ends now; windows beyond six hours count whole hours. */
  readonly stretch: (windowMs: number, nowMs: number) => Stretch;
  /** All that was added since this series was created, not what was saved before. */
  readonly ever: () => Ever;
  readonly save: () => SavedSeries;
};

/** Since the process started; as counters for whoever computes with rates of them. */
export type Ever = Tally & { readonly measuredMinutes: number; readonly badMinutes: number };

type Slot = Tally & { readonly measured: number; readonly bad: number };

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const MINUTES = 6 * 60 + 1;
const HOURS = 31 * 24 + 1;

/** Creates a series, empty or as it was saved. */
export function createBudgetSeries(saved?: SavedSeries): BudgetSeries {
  const minutes = createRing(MINUTE_MS, MINUTES, saved?.minutes ?? []);
  const hours = createRing(HOUR_MS, HOURS, saved?.hours ?? []);
  const ever = { good: 0, total: 0, measuredMinutes: 0, badMinutes: 0 };

  function note({ good, total }: Tally, nowMs: number): void {
    const before = minutes.at(nowMs);
    const measured = 1 - before.measured;
    const bad = total > good && before.bad === 0 ? 1 : 0;
    minutes.add({ good, total, measured, bad }, nowMs);
    hours.add({ good, total, measured, bad }, nowMs);
    ever.good += good;
    ever.total += total;
    ever.measuredMinutes += measured;
    ever.badMinutes += bad;
  }

  return {
    add({ good, total }, nowMs) {
      // SECURITY: counts come from enforcement points; nonsense must not buy budget back.
      if (!(total > 0) || !(good >= 0) || !Number.isFinite(total)) return;
      note({ good: Math.min(good, total), total }, nowMs);
    },
    look: (nowMs) => note({ good: 0, total: 0 }, nowMs),
    stretch: (windowMs, nowMs) =>
      windowMs <= (MINUTES - 1) * MINUTE_MS
        ? minutes.stretch(windowMs, nowMs)
        : hours.stretch(windowMs, nowMs),
    ever: () => ({ ...ever }),
    save: () => ({ minutes: minutes.save(), hours: hours.save() }),
  };
}

function createRing(slotMs: number, size: number, saved: readonly SavedSlot[]) {
  const minutesOf = slotMs / MINUTE_MS;
  const slots = new Float64Array(size).fill(-1);
  const goods = new Float64Array(size);
  const totals = new Float64Array(size);
  const measureds = new Uint8Array(size);
  const bads = new Uint8Array(size);
  let newest = -1;

  function put(slot: number, { good, total, measured, bad }: Slot): void {
    const index = slot % size;
    if (slots[index] !== slot) {
      slots[index] = slot;
      goods[index] = totals[index] = measureds[index] = bads[index] = 0;
    }
    goods[index] = (goods[index] ?? 0) + good;
    totals[index] = (totals[index] ?? 0) + total;
    measureds[index] = Math.min(minutesOf, (measureds[index] ?? 0) + measured);
    bads[index] = Math.min(minutesOf, (bads[index] ?? 0) + bad);
    newest = Math.max(newest, slot);
  }

  // A clock that steps back fills the newest slot: what was counted is never counted as older than it is.
  const slotAt = (nowMs: number): number => Math.max(newest, Math.floor(nowMs / slotMs));

  function slotOf(slot: number): Slot {
    const index = slot % size;
    if (slots[index] !== slot) return { good: 0, total: 0, measured: 0, bad: 0 };
    return {
      good: goods[index] ?? 0,
      total: totals[index] ?? 0,
      measured: measureds[index] ?? 0,
      bad: bads[index] ?? 0,
    };
  }

  for (const [slot, good, total, measured = minutesOf, bad = total - good] of saved) {
    const counts = [good, total, measured, bad];
    if (!Number.isSafeInteger(slot) || slot < 0 || !counts.every((count) => count >= 0)) continue;
    put(slot, { good, total, measured, bad: Math.ceil(bad) });
  }
  return {
    at: (nowMs: number) => slotOf(slotAt(nowMs)),
    add: (slot: Slot, nowMs: number) => put(slotAt(nowMs), slot),
    stretch(windowMs: number, nowMs: number): Stretch {
      const last = slotAt(nowMs);
      const count = Math.ceil(windowMs / slotMs);
      // The newest slot has only begun: it cannot have been measured for longer than it is old.
      const ofLast = Math.min(minutesOf, Math.floor(nowMs / MINUTE_MS) - last * minutesOf + 1);
      let [good, total, measured, badMinutes] = [0, 0, 0, 0];
      for (let slot = Math.max(0, last - count + 1, newest - size + 1); slot <= newest; slot++) {
        const then = slotOf(slot);
        good += then.good;
        total += then.total;
        measured += then.measured;
        badMinutes += then.bad;
      }
      const possible = (count - 1) * minutesOf + Math.max(1, ofLast);
      return { good, total, badMinutes, coverage: Math.min(1, measured / possible) };
    },
    save(): readonly SavedSlot[] {
      const kept: SavedSlot[] = [];
      for (let slot = Math.max(0, newest - size + 1); slot <= newest; slot++) {
        const { good, total, measured, bad } = slotOf(slot);
        if (measured > 0) kept.push([slot, good, total, measured, bad]);
      }
      return kept;
    },
  };
}
