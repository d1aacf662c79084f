/** The geometry of the expiry horizon: a time axis with one bar an identity. Pure. */
import type { Identity } from '../../api/identity.ts';
import { toMs } from '../../words/format.ts';

/** A place on the axis, as a share of its width. */
export type Tick = { readonly at: number; readonly ms: number; readonly label: string };

/** A bar from issue to expiry, cut off at the axis' ends. */
export type Bar = {
  readonly from: number;
  readonly to: number;
  /** It ends beyond the axis. */
  readonly isCut: boolean;
};

/** The span the axis shows, milliseconds since 1970. */
export type Axis = { readonly fromMs: number; readonly toMs: number };

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const STEPS = [
  5 * MINUTE,
  10 * MINUTE,
  15 * MINUTE,
  30 * MINUTE,
  HOUR,
  2 * HOUR,
  6 * HOUR,
  12 * HOUR,
  DAY,
  7 * DAY,
  30 * DAY,
  90 * DAY,
  365 * DAY,
];
const MAX_TICKS = 6;

/** Expiries further off than this many times the middle one are cut, lest they press the rest flat. */
const MAX_TIMES_MIDDLE = 3;

/**
 * An axis from a quarter before now to the furthest expiry or thrice the middle one, of at least an
 * hour. Its ends lie on whole steps, so that it stands still while time passes.
 */
export function axisFor(expiries: readonly number[], nowMs: number): Axis {
  const sorted = expiries.toSorted((a, b) => a - b);
  const middle = (sorted[Math.floor((sorted.length - 1) / 2)] ?? nowMs) - nowMs;
  const bound = nowMs + Math.max(HOUR, middle) * MAX_TIMES_MIDDLE;
  const furthest = Math.min(bound, Math.max(nowMs + HOUR, ...expiries));
  const ahead = furthest - nowMs;
  const step = stepFor(ahead * 1.25);
  return {
    fromMs: Math.floor((nowMs - ahead / 4) / step) * step,
    toMs: Math.ceil((furthest + step / 4) / step) * step,
  };
}

/** Ticks at whole steps, labelled relative to now. */
export function ticksOf(axis: Axis, nowMs: number, label: (ms: number) => string): Tick[] {
  const step = stepFor(axis.toMs - axis.fromMs);
  const ticks: Tick[] = [];
  for (
    let ms = nowMs - Math.floor((nowMs - axis.fromMs) / step) * step;
    ms <= axis.toMs;
    ms += step
  ) {
    ticks.push({ at: shareOf(axis, ms), ms, label: ms === nowMs ? 'now' : label(ms) });
  }
  return ticks;
}

/** Where a certificate's life lies on the axis. */
export function barOf(
  axis: Axis,
  { issuedMs, expiresMs }: { issuedMs: number; expiresMs: number },
): Bar {
  return {
    from: shareOf(axis, issuedMs),
    to: shareOf(axis, expiresMs),
    isCut: expiresMs > axis.toMs,
  };
}

/** How the renewal of a certificate stands; `ended` is none that anybody waits for. */
export type Renewal = 'well' | 'late' | 'ended' | 'expired';

/**
 * A renewal begins at half life with 10 % jitter; a tenth later it is late. Whoever has a certificate renews it, so where
 * nobody says that it has this one, the process that had it ended.
 */
export function renewalOf(
  { issuedAt, expiresAt, heldBy }: Pick<Identity, 'issuedAt' | 'expiresAt' | 'heldBy'>,
  nowMs: number,
): Renewal {
  const [issuedMs, expiresMs] = [toMs(issuedAt), toMs(expiresAt)];
  if (issuedMs === undefined || expiresMs === undefined) return 'well';
  if (nowMs >= expiresMs) return 'expired';
  if (nowMs <= issuedMs + (expiresMs - issuedMs) * 0.7) return 'well';
  return heldBy === null ? 'ended' : 'late';
}

/** An instant as a share of the axis, within 0 and 1. */
export function shareOf(axis: Axis, ms: number): number {
  const share = (ms - axis.fromMs) / (axis.toMs - axis.fromMs);
  return Math.min(1, Math.max(0, share));
}

function stepFor(spanMs: number): number {
  return STEPS.find((step) => spanMs / step <= MAX_TICKS) ?? (STEPS.at(-1) as number);
}
