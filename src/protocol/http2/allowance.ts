/** How often a peer may do something that costs us and brings it nothing. */
export type AllowanceBounds = {
  /** At once. */
  readonly burst: number;
  /** Again each second. */
  readonly perSecond: number;
};

/**
 * Counts what a peer may do in vain. Useful work earns more of it, so that a busy connection with
 * many pings is told from an idle one that only pings.
 */
export class Allowance {
  readonly #bounds: AllowanceBounds;
  #left: number;
  #at = 0;

  constructor(bounds: AllowanceBounds) {
    this.#bounds = bounds;
    this.#left = bounds.burst;
  }

  /** Takes one; false if there is none left. `nowMs` is a monotonic clock. */
  take(nowMs: number): boolean {
    if (this.#left < 1) this.#refill(nowMs);
    if (this.#left < 1) return false;
    if (this.#left >= this.#bounds.burst) this.#at = nowMs;
    this.#left--;
    return true;
  }

  /** Gives `count` for work done. */
  earn(count: number): void {
    this.#left = Math.min(this.#bounds.burst, this.#left + count);
  }

  #refill(nowMs: number): void {
    const earned = ((nowMs - this.#at) / 1000) * this.#bounds.perSecond;
    if (earned < 1) return;
    this.#left = Math.min(this.#bounds.burst, this.#left + earned);
    this.#at = nowMs;
  }
}
