import { performance } from 'node:perf_hooks';
import type { EndpointGroup } from './endpoint-group.ts';
import type { UpstreamConnection, UpstreamEvents } from './upstream-connection.ts';

/** Servers close idle connections after their time-out; we let go of ours well before. */
export const IDLE_SHARE = 0.75;
/** Idle connections kept for one server. */
const MAX_IDLE = 256;
const SWEEP_MS = 1_000;

/** What a connection is to: connections of one `key` are the same to a call. */
export type PoolUse = { readonly key: string; readonly group: EndpointGroup };

/** Idle connections by server, last used first, so that those not needed grow old and go. */
export class ConnectionPool {
  readonly #idle = new Map<string, UpstreamConnection[]>();
  readonly #all = new Set<UpstreamConnection>();
  readonly #idleMs: () => number;
  readonly #now: () => number;
  readonly #timer: NodeJS.Timeout;
  #closed = false;

  /** `now` is performance.now to a tenth of a second, which is near enough for what idles. */
  constructor(idleMs: () => number, now: () => number) {
    this.#idleMs = idleMs;
    this.#now = now;
    this.#timer = setInterval(() => this.#sweep(), SWEEP_MS);
    this.#timer.unref();
  }

  /** A connection to `key` that was idle for no longer than `maxIdleMs` and may still be used, or undefined. */
  take(key: string, maxIdleMs = Number.POSITIVE_INFINITY): UpstreamConnection | undefined {
    const idle = this.#idle.get(key);
    for (;;) {
      const connection = idle?.pop();
      if (connection === undefined) return undefined;
      const fresh = connection.idleSince > this.#now() - maxIdleMs;
      if (fresh && connection.usable && !isSpent(connection)) return connection;
      connection.destroy();
    }
  }

  /** Ends the connection of a group that has idled longest, be it not to `key`; its slot is free at once. */
  giveUpIdle(group: EndpointGroup, key: string): void {
    let oldest: UpstreamConnection | undefined;
    for (const [first] of this.#idle.values()) {
      if (first?.use?.group !== group || first.use.key === key) continue;
      if (oldest === undefined || first.idleSince < oldest.idleSince) oldest = first;
    }
    if (oldest?.use === undefined) return;
    oldest.destroy();
    this.#forget(oldest.use, oldest);
  }

  /** Registers what `make` builds; it comes back by itself whenever an exchange on it ended well. */
  adopt(use: PoolUse, make: (events: UpstreamEvents) => UpstreamConnection): UpstreamConnection {
    const connection = make({
      onIdle: (idle) => this.#putBack(use, idle),
      onGone: (gone) => this.#forget(use, gone),
    });
    connection.madeAt = performance.now();
    connection.use = use;
    this.#all.add(connection);
    return connection;
  }

  /** Ends idle connections now and the others after their exchange. */
  flush(): void {
    for (const connection of this.#all) connection.retire();
  }

  /** As `flush`, for those that `mayGo` names. */
  retireWhere(mayGo: (connection: UpstreamConnection) => boolean): void {
    for (const connection of this.#all) if (mayGo(connection)) connection.retire();
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#timer);
    this.flush();
  }

  #putBack(use: PoolUse, connection: UpstreamConnection): void {
    const idle = this.#idle.get(use.key);
    const isFull = idle !== undefined && idle.length >= MAX_IDLE;
    if (this.#closed || isFull || isSpent(connection)) return connection.destroy();
    connection.idleSince = this.#now();
    if (idle === undefined) this.#idle.set(use.key, [connection]);
    else idle.push(connection);
    use.group.slots.wakeNext();
  }

  #forget(use: PoolUse, connection: UpstreamConnection): void {
    // Told twice, it would give back a slot that is not its own.
    if (!this.#all.delete(connection)) return;
    const idle = this.#idle.get(use.key);
    const at = idle?.indexOf(connection) ?? -1;
    if (at >= 0) idle?.splice(at, 1);
    if (idle?.length === 0) this.#idle.delete(use.key);
    use.group.slots.release();
  }

  #sweep(): void {
    const now = this.#now();
    const idleMs = this.#idleMs();
    for (const idle of this.#idle.values()) {
      // Over a copy: whoever is retired leaves the list.
      for (const connection of Array.from(idle)) {
        const limits = connection.use?.group.traffic.limits;
        const isOld = connection.idleSince < now - Math.min(idleMs, limits?.maxIdleMs ?? idleMs);
        if (isOld || isSpent(connection)) connection.retire();
      }
    }
  }
}

/** It has served as many requests, or lived as long, as its Service lets it. */
function isSpent({ use, begun, madeAt }: UpstreamConnection): boolean {
  const limits = use?.group.traffic.limits;
  if (limits === undefined) return false;
  if (begun >= limits.maxRequestsPerConnection) return true;
  const { maxConnectionMs } = limits;
  // Most have no such limit, and asking for the time costs as much as all of this.
  return Number.isFinite(maxConnectionMs) && madeAt < performance.now() - maxConnectionMs;
}
