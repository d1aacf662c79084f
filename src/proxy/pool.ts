import type { UpstreamConnection, UpstreamEvents } from './upstream-connection.ts';

/** Servers close idle connections after their time-out; we let go of ours well before. */
export const IDLE_SHARE = 0.75;
/** Idle connections kept for one server. */
const MAX_IDLE = 256;
const SWEEP_MS = 1_000;

/** Idle connections by server, last used first, so that those not needed grow old and go. */
export class ConnectionPool {
  readonly #idle = new Map<string, UpstreamConnection[]>();
  readonly #all = new Set<UpstreamConnection>();
  readonly #keys = new WeakMap<UpstreamConnection, string>();
  readonly #idleMs: () => number;
  readonly #timer: NodeJS.Timeout;
  #closed = false;

  constructor(idleMs: () => number) {
    this.#idleMs = idleMs;
    this.#timer = setInterval(() => this.#sweep(), SWEEP_MS);
    this.#timer.unref();
  }

  /** A connection to `key` that was idle for no longer than `maxIdleMs`, or undefined. */
  take(key: string, maxIdleMs = Number.POSITIVE_INFINITY): UpstreamConnection | undefined {
    const idle = this.#idle.get(key);
    for (;;) {
      const connection = idle?.pop();
      if (connection === undefined) return undefined;
      const fresh = connection.idleSince > performance.now() - maxIdleMs;
      if (fresh && connection.usable) return connection;
      connection.destroy();
    }
  }

  /** Registers what `make` builds; it comes back by itself whenever an exchange on it ended well. */
  adopt(key: string, make: (events: UpstreamEvents) => UpstreamConnection): UpstreamConnection {
    const connection = make({
      onIdle: (idle) => this.#putBack(idle),
      onGone: (gone) => this.#forget(gone),
    });
    this.#all.add(connection);
    this.#keys.set(connection, key);
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

  #putBack(connection: UpstreamConnection): void {
    const key = this.#keys.get(connection) ?? '';
    const idle = this.#idle.get(key);
    if (this.#closed || (idle !== undefined && idle.length >= MAX_IDLE))
      return connection.destroy();
    connection.idleSince = performance.now();
    if (idle === undefined) this.#idle.set(key, [connection]);
    else idle.push(connection);
  }

  #forget(connection: UpstreamConnection): void {
    this.#all.delete(connection);
    const key = this.#keys.get(connection) ?? '';
    const idle = this.#idle.get(key);
    const at = idle?.indexOf(connection) ?? -1;
    if (at >= 0) idle?.splice(at, 1);
    if (idle?.length === 0) this.#idle.delete(key);
  }

  #sweep(): void {
    const oldest = performance.now() - this.#idleMs();
    for (const idle of this.#idle.values()) {
      for (const connection of idle.filter(({ idleSince }) => idleSince < oldest)) {
        connection.retire();
      }
    }
  }
}
