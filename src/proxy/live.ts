import type { FailureKind } from './respond.ts';

/**
 * A connection, exchange, session or stream that is watched for deadlines and judged again when
 * policy, trust bundle or revocations change. Each HTTP/2 stream and each tunnel stream is one.
 */
export type Live = {
  /** Milliseconds on the proxy's coarse clock after which `expire` is called; 0 for none. */
  deadlineAt: number;
  /**
   * On the same clock, when `cut` is called because it may no longer be; 0 for never. Set by
   * `judgeAgain`; whoever goes on to another exchange sets it to 0.
   */
  cutAt: number;
  /**
   * A `request` may finish within the Mesh's grace. A `stream` has no end to wait for: upgrades, TCP
   * sessions, tunnels. May change while it lives.
   */
  readonly manner: 'request' | 'stream';
  /** The deadline passed. */
  readonly expire: () => void;
  /** Why it may no longer be under what is enforced now; undefined if it may go on. */
  readonly judge: () => FailureKind | undefined;
  /** Ends it at once and records why. */
  readonly cut: (reason: FailureKind) => void;
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

  /** Calls `expire` of all whose deadline has passed, and cuts those whose grace is over. */
  tick(): void {
    this.now = this.#clock();
    for (const live of this.#all) {
      if (live.cutAt !== 0 && live.cutAt <= this.now) this.#endGrace(live);
      else if (live.deadlineAt !== 0 && live.deadlineAt <= this.now) {
        live.deadlineAt = 0;
        live.expire();
      }
    }
  }

  /**
   * Judges everything again, before the event that brought the change is over. What may no longer be
   * is cut; plain requests get `graceMs` to finish, unless it is the peer that counts no more.
   * Returns how many were cut and how many let finish.
   */
  judgeAgain(graceMs: number): { readonly cut: number; readonly finishing: number } {
    let cut = 0;
    let finishing = 0;
    for (const live of this.#all) {
      const reason = live.judge();
      if (reason === undefined) {
        // Allowed again before its grace was over.
        live.cutAt = 0;
      } else if (mayFinish(live, reason) && graceMs > 0) {
        finishing++;
        // A second change does not lengthen the grace of the first.
        if (live.cutAt === 0) live.cutAt = this.#clock() + graceMs;
      } else {
        cut++;
        live.cutAt = 0;
        live.cut(reason);
      }
    }
    return { cut, finishing };
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

  // Judged once more: what is under way now may be another exchange, or allowed again.
  #endGrace(live: Live): void {
    live.cutAt = 0;
    const reason = live.judge();
    if (reason !== undefined) live.cut(reason);
  }
}

// SECURITY: whoever holds a revoked key gets not one byte more; a caller that is merely no longer
// allowed was honest about who it is.
function mayFinish(live: Live, reason: FailureKind): boolean {
  return (
    live.manner === 'request' &&
    reason !== 'peer_unauthenticated' &&
    reason !== 'upstream_identity_mismatch'
  );
}
