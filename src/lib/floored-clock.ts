/** A clock that does not go below what somebody who knows the time has vouched for. */
export type FlooredClock = {
  /** Unix milliseconds, whole ones. */
  readonly now: () => number;
  /** It was this late at least (Unix milliseconds) when this is called. */
  readonly vouch: (atMs: number) => void;
};

/**
 * Puts a floor under a clock on the wall: the latest instant that was vouched for, carried on by a clock that only counts
 * (`elapsed`, milliseconds, never going back). SECURITY: setting a host's clock back would otherwise bring certificates back
 * to life that have expired. A clock that is ahead is not held there: it was never vouched for.
 */
export function createFlooredClock(of: {
  readonly wall: () => number;
  readonly elapsed: () => number;
}): FlooredClock {
  const { wall, elapsed } = of;
  let ahead = Number.NEGATIVE_INFINITY;
  return {
    now: () => Math.max(wall(), Math.floor(elapsed() + ahead)),
    vouch(atMs) {
      if (Number.isFinite(atMs)) ahead = Math.max(ahead, atMs - elapsed());
    },
  };
}
