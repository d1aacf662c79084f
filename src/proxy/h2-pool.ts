import type { EndpointState } from './endpoint-group.ts';
import type { H2Upstream, H2UpstreamEvents } from './h2-upstream.ts';
import type { Failure } from './respond.ts';

/** An HTTP/2 connection with room for a stream, or why there is none. */
export type H2Reached =
  | { readonly kind: 'connected'; readonly connection: H2Upstream }
  | { readonly kind: 'failed'; readonly failure: Failure };

/** Finds an HTTP/2 connection to an endpoint; calls back once, maybe at once. */
export type H2Reach = (endpoint: EndpointState, done: (reached: H2Reached) => void) => void;

/** Makes a connection; calls back once. */
export type H2Dial = (
  make: (build: (events: H2UpstreamEvents) => H2Upstream) => H2Upstream,
  done: (reached: H2Reached) => void,
) => void;

const SWEEP_MS = 1_000;
/** Calls that wait for one connection to be made. */
const MAX_WAITING = 1_024;

type Server = {
  readonly connections: H2Upstream[];
  /** Calls that wait for the connection being made; undefined while none is. */
  waiting: ((reached: H2Reached) => void)[] | undefined;
};

/** HTTP/2 connections by server: as few as have room for the streams there are. */
export class H2Pool {
  readonly #servers = new Map<string, Server>();
  readonly #idleMs: () => number;
  readonly #onRefused: (error: string) => void;
  readonly #timer: NodeJS.Timeout;

  constructor(idleMs: () => number, onRefused: (error: string) => void) {
    this.#idleMs = idleMs;
    this.#onRefused = onRefused;
    this.#timer = setInterval(() => this.#sweep(), SWEEP_MS);
    this.#timer.unref();
  }

  /** A connection to `key` with room for a stream, or undefined. */
  take(key: string): H2Upstream | undefined {
    const connections = this.#servers.get(key)?.connections;
    if (connections === undefined) return undefined;
    for (const connection of connections) if (connection.canOpen) return connection;
    return undefined;
  }

  /** As `take`, and where there is none makes one: one at a time for each server. */
  reach(key: string, dial: H2Dial, done: (reached: H2Reached) => void): void {
    const connection = this.take(key);
    if (connection !== undefined) return done({ kind: 'connected', connection });
    const server = this.#serverOf(key);
    if (server.waiting !== undefined) {
      if (server.waiting.length < MAX_WAITING) server.waiting.push(done);
      else done({ kind: 'failed', failure: { kind: 'no_healthy_endpoint', detail: 'h2_waiting' } });
      return;
    }
    server.waiting = [done];
    dial(
      (build) => this.#adopt(key, build),
      (reached) => {
        const { waiting = [] } = server;
        server.waiting = undefined;
        for (const waiter of waiting) {
          // One connection may have room for fewer streams than calls have waited.
          const isFull = reached.kind === 'connected' && !reached.connection.canOpen;
          if (isFull) this.reach(key, dial, waiter);
          else waiter(reached);
        }
      },
    );
  }

  /** Ends unused connections now and the others after their streams. */
  flush(): void {
    for (const { connections } of this.#servers.values()) {
      for (const connection of connections.slice()) connection.retire();
    }
  }

  close(): void {
    clearInterval(this.#timer);
    for (const { connections } of this.#servers.values()) {
      for (const connection of connections.slice()) connection.destroy();
    }
  }

  #adopt(key: string, build: (events: H2UpstreamEvents) => H2Upstream): H2Upstream {
    const connection = build({
      onGone: (gone) => this.#forget(key, gone),
      onRefused: this.#onRefused,
    });
    this.#serverOf(key).connections.push(connection);
    return connection;
  }

  #forget(key: string, connection: H2Upstream): void {
    const server = this.#servers.get(key);
    const at = server?.connections.indexOf(connection) ?? -1;
    if (at >= 0) server?.connections.splice(at, 1);
    if (server?.connections.length === 0 && server.waiting === undefined) this.#servers.delete(key);
  }

  #serverOf(key: string): Server {
    let server = this.#servers.get(key);
    if (server === undefined) {
      server = { connections: [], waiting: undefined };
      this.#servers.set(key, server);
    }
    return server;
  }

  #sweep(): void {
    const oldest = performance.now() - this.#idleMs();
    for (const { connections } of this.#servers.values()) {
      for (const connection of connections.slice()) {
        if (connection.streamCount === 0 && connection.idleSince < oldest) connection.retire();
      }
    }
  }
}
