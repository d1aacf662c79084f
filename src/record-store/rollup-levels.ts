import { addRollup, keyOf, type Rollup, type RollupQuery } from './rollups.ts';

/** Sums of one step of time, and for how long they are kept; both in ms. */
export type RollupLevel = { readonly stepMs: number; readonly keptMs: number };

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/**
 * Each level has sums of everything, written with the records, so that a question reads the coarsest that fits and no
 * answer waits for sums to be made. A level's step is a whole part of the next one's; the last goes with its records.
 */
export const ROLLUP_LEVELS: readonly RollupLevel[] = [
  { stepMs: 1_000, keptMs: 5 * MINUTE_MS },
  { stepMs: MINUTE_MS, keptMs: 26 * HOUR_MS },
  // The step that a console asks of a day; a week back, since that is where people look for when it began.
  { stepMs: 5 * MINUTE_MS, keptMs: 8 * 24 * HOUR_MS },
  { stepMs: HOUR_MS, keptMs: Number.POSITIVE_INFINITY },
];
const LAST = ROLLUP_LEVELS.length - 1;

/** The step of a level, in ms. */
export function stepOfLevel(level: number): number {
  return ROLLUP_LEVELS[level]?.stepMs ?? HOUR_MS;
}

/**
 * From when on each level has sums, in ms since 1970: what is younger than its borders. A border is a whole step of
 * the next level, so that what one level lacks the next one has whole.
 */
export type KeptFrom = readonly number[];

/** The sums of each level, of sums of a second. */
export function rollUpLevels(seconds: readonly Rollup[]): readonly (readonly Rollup[])[] {
  const levels = [seconds];
  for (const { stepMs } of ROLLUP_LEVELS.slice(1))
    levels.push(coarsen(levels.at(-1) ?? [], stepMs));
  return levels;
}

function coarsen(rollups: readonly Rollup[], stepMs: number): readonly Rollup[] {
  const sums = new Map<string, Rollup>();
  for (const one of rollups) {
    const { source, destination } = one;
    const timeMs = Math.floor(one.timeMs / stepMs) * stepMs;
    const key = keyOf(timeMs, source, destination);
    const sum = sums.get(key);
    if (sum !== undefined) addRollup(sum, one);
    else sums.set(key, { ...one, timeMs, durations: [...one.durations] });
  }
  return [...sums.values()];
}

/** What of a level is too old to keep: everything before this, in ms since 1970. */
export function tooOld(level: number, nowMs: number): number {
  const step = stepOfLevel(level + 1);
  return Math.floor((nowMs - (ROLLUP_LEVELS[level]?.keptMs ?? 0)) / step) * step;
}

/**
 * From when on a level has sums after its rows up to `lastMs` went. No further than what went: where a clock was ahead
 * for a while, what comes when it is right again is summed as ever.
 */
export function keptAfter(level: number, lastMs: number): number {
  const step = stepOfLevel(level + 1);
  return Math.floor(lastMs / step) * step + step;
}

/** Rows of one level whose times lie from `fromMs` to before `untilMs`. */
export type RollupSlice = {
  readonly level: number;
  readonly fromMs: number;
  readonly untilMs: number;
};

/**
 * Which rows together have everything of a query's time once: of the coarsest level that fits its step, its ends out of
 * finer ones. Where those are gone, the rows that begin within the time.
 */
export function sliceRollups(
  { stepMs, fromMs, untilMs }: Pick<RollupQuery, 'stepMs' | 'fromMs' | 'untilMs'>,
  kept: KeptFrom,
): readonly RollupSlice[] {
  const slices: RollupSlice[] = [];
  const fitting = ROLLUP_LEVELS.findLastIndex((level) => stepMs % level.stepMs === 0);
  const finest = Math.max(0, fitting);
  let from = fromMs;
  for (let level = LAST; level > finest; level--) {
    const until = Math.min(untilMs, kept[level - 1] ?? 0);
    cover({ level, fromMs: from, untilMs: until }, kept, slices);
    from = Math.max(from, until);
  }
  cover({ level: finest, fromMs: from, untilMs }, kept, slices);
  return slices.filter((slice) => slice.fromMs < slice.untilMs);
}

function cover(slice: RollupSlice, kept: KeptFrom, slices: RollupSlice[]): void {
  const { level, fromMs, untilMs } = slice;
  if (fromMs >= untilMs) return;
  if (level === 0) {
    slices.push(slice);
    return;
  }
  const step = stepOfLevel(level);
  const first = Math.ceil(fromMs / step) * step;
  const last = Math.max(first, Math.floor(untilMs / step) * step);
  const end = (from: number, until: number): void => {
    // INVARIANT: an end is shorter than this level's step, of which the border is a multiple: it is kept whole or not at all.
    const isKept = from >= (kept[level - 1] ?? 0);
    if (isKept) cover({ level: level - 1, fromMs: from, untilMs: until }, kept, slices);
    else slices.push({ level, fromMs: from, untilMs: until });
  };
  end(fromMs, Math.min(first, untilMs));
  slices.push({ level, fromMs: first, untilMs: last });
  end(last, untilMs);
}
