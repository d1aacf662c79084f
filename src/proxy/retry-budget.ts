import type { Retries } from '#snapshot';

/**
 * Bounds retries by what is under way, as Envoy's and Finagle's budgets do: when a service fails as a
 * whole, its callers must not multiply the load that made it fail.
 */
export class RetryBudget {
  #retries = 0;

  /** Retries under way. */
  get active(): number {
    return this.#retries;
  }

  /** Takes room for one retry while `calls` are under way; `end` gives it back. */
  tryBegin({ percent, minConcurrency }: Retries['budget'], calls: number): boolean {
    if (this.#retries >= Math.max(minConcurrency, (percent / 100) * calls)) return false;
    this.#retries++;
    return true;
  }

  end(): void {
    this.#retries--;
  }
}
