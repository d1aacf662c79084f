import type { Limits } from '#snapshot';

/** What became of a wish for a connection. */
export type SlotOutcome = 'granted' | 'waiting' | 'refused';

/**
 * Counts a service's connections against its limit and keeps the calls that wait for one, in order.
 * INVARIANT: each granted slot is released exactly once.
 */
export class ConnectionSlots {
  #open = 0;
  readonly #waiting = new Set<() => void>();

  get open(): number {
    return this.#open;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Whether every slot is taken. */
  isFull({ maxConnections }: Limits): boolean {
    return this.#open >= maxConnections;
  }

  /** Takes a slot if there is one; for what cannot wait, such as a TCP session. */
  tryOpen(limits: Limits): boolean {
    if (this.isFull(limits)) return false;
    this.#open++;
    return true;
  }

  /** Takes a slot, or lets `wake` be called once when a slot or a connection has become free. */
  openOrWait(limits: Limits, wake: () => void): SlotOutcome {
    if (this.tryOpen(limits)) return 'granted';
    if (this.#waiting.size >= limits.maxPendingRequests) return 'refused';
    this.#waiting.add(wake);
    return 'waiting';
  }

  /** Waits no more. */
  cancel(wake: () => void): void {
    if (this.#waiting.size > 0) this.#waiting.delete(wake);
  }

  /** A connection is gone, or was never made. */
  release(): void {
    this.#open--;
    this.wakeNext();
  }

  /** A connection is free: whoever waits longest may have it. */
  wakeNext(): void {
    if (this.#waiting.size === 0) return;
    for (const wake of this.#waiting) {
      this.#waiting.delete(wake);
      return wake();
    }
  }
}
