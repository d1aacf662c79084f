import type { EndpointGroup, EndpointState } from './endpoint-group.ts';
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
/** Calls that wait for one connection. */
const MAX_WAITING = 1_024;
/** What a server gets to say its first words (RFC 9113 section 3.4), which need nothing of ours. */
const SETTINGS_MS = 10_000;

/** It has accepted the connection and does not speak HTTP/2; of those who wait nothing was sent. */
const NO_SETTINGS: H2Reached = {
  kind: 'failed',
  failure: { kind: 'upstream_connect_failed', detail: 'h2_settings_timeout' },
};

/** What a connection is to: those of one `key` are the same to a call. */
export type H2Use = { readonly key: string; readonly group: EndpointGroup };

type Waiter = { readonly dial: H2Dial; readonly done: (reached: H2Reached) => void };

type Server = {
  use: H2Use;
  readonly connections: H2Upstream[];
  /** Calls that wait while a connection is made, or has not said how many streams it takes; undefined while none is. */
  waiting: Waiter[] | undefined;
  /** The one that has not said so. */
  unready: H2Upstream | undefined;
};

/** HTTP/2 connections by server: as few as have room for the streams there are. */
export class H2Pool {
  readonly #servers = new Map<string, Server>();
  readonly #idleMs: () => number;
  readonly #onRefused: (error: string) => void;
  readonly #settingsMs: number;
  readonly #timer: NodeJS.Timeout;

  constructor(
    idleMs: () => number,
    onRefused: (error: string) => void,
    settingsMs: number = SETTINGS_MS,
  ) {
    this.#idleMs = idleMs;
    this.#onRefused = onRefused;
    this.#settingsMs = settingsMs;
    this.#timer = setInterval(() => this.#sweep(), SWEEP_MS);
    this.#timer.unref();
  }

  /** A connection with room for a stream; where there is none one is made, one at a time for each server. */
  reach(use: H2Use, dial: H2Dial, done: (reached: H2Reached) => void): void {
    const connection = this.#take(use);
    if (connection !== undefined) return done({ kind: 'connected', connection });
    const server = this.#serverOf(use);
    if (server.waiting === undefined) {
      server.waiting = [{ dial, done }];
      return this.#dial(server, dial);
    }
    if (server.waiting.length < MAX_WAITING) server.waiting.push({ dial, done });
    else done({ kind: 'failed', failure: { kind: 'no_healthy_endpoint', detail: 'h2_waiting' } });
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

  #take({ key, group }: H2Use): H2Upstream | undefined {
    const connections = this.#servers.get(key)?.connections;
    if (connections === undefined) return undefined;
    for (const connection of connections) {
      if (isSpent(connection, group)) connection.retire();
      else if (connection.canOpen) return connection;
    }
    return undefined;
  }

  #dial(server: Server, dial: H2Dial): void {
    dial(
      (build) => this.#adopt(server, build),
      (reached) => {
        if (reached.kind === 'failed') {
          return this.#refuse(server, reached);
        }
        const { connection } = reached;
        const isUsable = connection.canOpen;
        // The first call goes out with our first words; the others when it is known how many may.
        if (isUsable) server.waiting?.shift()?.done(reached);
        if (isUsable && !connection.isReady && !connection.isGone) server.unready = connection;
        else this.#serve(server);
      },
    );
  }

  #refuse(server: Server, why: H2Reached): void {
    for (const { done } of release(server)) done(why);
    this.#deleteUnused(server);
  }

  /** Whoever waited looks anew: what is there may have room for fewer than have waited. */
  #serve(server: Server): void {
    for (const { dial, done } of release(server)) this.reach(server.use, dial, done);
  }

  #adopt(server: Server, build: (events: H2UpstreamEvents) => H2Upstream): H2Upstream {
    const settle = (connection: H2Upstream): void => {
      if (server.unready === connection) this.#serve(server);
    };
    const connection = build({
      onReady: settle,
      onGone: (gone) => {
        this.#forget(server, gone);
        settle(gone);
      },
      onRefused: this.#onRefused,
    });
    server.connections.push(connection);
    return connection;
  }

  #forget(server: Server, connection: H2Upstream): void {
    const at = server.connections.indexOf(connection);
    if (at >= 0) server.connections.splice(at, 1);
    this.#deleteUnused(server);
  }

  #deleteUnused({ connections, waiting, use }: Server): void {
    if (connections.length === 0 && waiting === undefined) this.#servers.delete(use.key);
  }

  #serverOf(use: H2Use): Server {
    let server = this.#servers.get(use.key);
    if (server === undefined) {
      server = { use, connections: [], waiting: undefined, unready: undefined };
      this.#servers.set(use.key, server);
    }
    // Its group is another one once nobody had called it for a while.
    server.use = use;
    return server;
  }

  #sweep(): void {
    const now = performance.now();
    for (const server of this.#servers.values()) {
      const { use, connections, unready } = server;
      if (unready !== undefined && unready.madeAt < now - this.#settingsMs) {
        unready.destroy();
        this.#refuse(server, NO_SETTINGS);
      }
      const oldest = now - Math.min(this.#idleMs(), use.group.traffic.limits.maxIdleMs);
      for (const connection of connections.slice()) {
        const isIdle = connection.streamCount === 0 && connection.idleSince < oldest;
        if (isIdle || isSpent(connection, use.group)) connection.retire();
      }
    }
  }
}

/** Nobody waits any more; returns who did. */
function release(server: Server): readonly Waiter[] {
  const { waiting = [] } = server;
  server.waiting = undefined;
  server.unready = undefined;
  return waiting;
}

/** It has served as many requests, or lived as long, as its Service lets it. */
function isSpent({ begun, madeAt }: H2Upstream, { traffic: { limits } }: EndpointGroup): boolean {
  if (begun >= limits.maxRequestsPerConnection) return true;
  const { maxConnectionMs } = limits;
  return Number.isFinite(maxConnectionMs) && madeAt < performance.now() - maxConnectionMs;
}
