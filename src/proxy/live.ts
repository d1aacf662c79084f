/** A connection or exchange that is watched for deadlines and judged again when policy changes. */
export type Live = {
  /** Milliseconds on the proxy's coarse clock after which `expire` is called; 0 for none. */
  deadlineAt: number;
  /** The deadline passed. */
  readonly expire: () => void;
  /** Policy, bundle or identity changed: cut what may no longer be. */
  readonly judgeAgain: () => void;
  /** Ends the connection once its exchange is over; at once if it is idle. */
  readonly drain: () => void;
  readonly destroy: () => void;
};

const TICK_MS = 100;

/**
 * Every live connection of a proxy.
 * INVARIANT: a connection is added before it is judged, so that a change of policy between the two
 * finds it.
 */
export class LiveConnections {
  /** Milliseconds, refreshed ten times a second: deadlines need no more. */
  now: number;
  readonly #all = new Set<Live>();
  readonly #clock: () => number;
  readonly #timer: NodeJS.Timeout;
  #whenEmpty: (() => void) | undefined;

  constructor(clock: () => number = () => performance.now()) {
    this.#clock = clock;
    this.now = clock();
    // One timer for all: a timer for each request costs more than parsing it.
    this.#timer = setInterval(() => this.tick(), TICK_MS);
    this.#timer.unref();
  }

  get size(): number {
    return this.#all.size;
  }

  add(live: Live): void {
    this.#all.add(live);
  }

  remove(live: Live): void {
    this.#all.delete(live);
    if (this.#all.size === 0) this.#whenEmpty?.();
  }

  /** Calls `expire` of all whose deadline has passed. */
  tick(): void {
    this.now = this.#clock();
    for (const live of this.#all) {
      if (live.deadlineAt !== 0 && live.deadlineAt <= this.now) {
        live.deadlineAt = 0;
        live.expire();
      }
    }
  }

  judgeAgain(): void {
    for (const live of this.#all) live.judgeAgain();
  }

  /** Resolves when all are gone; after `timeoutMs` those left are cut. */
  async drain(timeoutMs: number): Promise<void> {
    for (const live of this.#all) live.drain();
    if (this.#all.size === 0) return;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#whenEmpty = resolve;
      timer = setTimeout(resolve, timeoutMs);
    });
    clearTimeout(timer);
    this.destroy();
  }

  destroy(): void {
    for (const live of this.#all) live.destroy();
  }

  /** Stops the clock; connections still there live without deadlines. */
  close(): void {
    this.destroy();
    clearInterval(this.#timer);
  }
}
