import type { Retries } from '#snapshot';

/** Calls and retries are counted over so many seconds. */
const WINDOW_S = 10;

/**
 * Bounds retries by the calls of the last ten seconds, as Finagle's and linkerd's budgets do: when a
 * service fails as a whole, its callers must not multiply the load that made it fail. Counted over
 * time and not by what is under way, because a tunnel that breaks fails many calls in one moment.
 */
export class RetryBudget {
  readonly #now: () => number;
  readonly #calls = Array.from({ length: WINDOW_S }, () => 0);
  readonly #retries = Array.from({ length: WINDOW_S }, () => 0);
  #callSum = 0;
  #retrySum = 0;
  #second: number;

  /** `now` is in milliseconds, on a clock that never goes back. */
  constructor(now: () => number) {
    this.#now = now;
    this.#second = Math.floor(now() / 1000);
  }

  /** A call begins, with its first try. */
  noteCall(): void {
    const at = this.#slot();
    this.#calls[at] = (this.#calls[at] ?? 0) + 1;
    this.#callSum++;
  }

  /** Whether one more retry may be made; it is counted if so. */
  tryTake({ percent, minPerSecond }: Retries['budget']): boolean {
    const at = this.#slot();
    const most = (percent / 100) * this.#callSum + minPerSecond * WINDOW_S;
    if (this.#retrySum >= most) return false;
    this.#retries[at] = (this.#retries[at] ?? 0) + 1;
    this.#retrySum++;
    return true;
  }

  // The counters of this second; those of seconds that have left the window are emptied on the way.
  #slot(): number {
    const second = Math.floor(this.#now() / 1000);
    const passed = Math.min(second - this.#second, WINDOW_S);
    for (let i = 1; i <= passed; i++) {
      const at = (this.#second + i) % WINDOW_S;
      this.#callSum -= this.#calls[at] ?? 0;
      this.#retrySum -= this.#retries[at] ?? 0;
      this.#calls[at] = 0;
      this.#retries[at] = 0;
    }
    this.#second = second;
    return second % WINDOW_S;
  }
}
