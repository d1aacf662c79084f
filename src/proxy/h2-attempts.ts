import type { Connector } from './connector.ts';
import type { EndpointState } from './endpoint-group.ts';
import type { H2Reached } from './h2-pool.ts';
import type { H2Upstream } from './h2-upstream.ts';
import type { TryOutcome } from './outlier.ts';
import type { Failure } from './respond.ts';

/** Tries to find a server that takes a call. */
const MAX_TRIES = 3;

/** What a call hears of its tries. */
export type H2AttemptSink = {
  /** A connection with room for a stream: the call sends its request. */
  readonly onReached: (connection: H2Upstream) => void;
  /** No try is left. */
  readonly respond: (failure: Failure) => void;
};

/**
 * The tries of one HTTP/2 call: which endpoint, and whether another one. Only what no server has
 * processed is tried again.
 * INVARIANT: what a call took of its group it gives back exactly once, in `finish`.
 */
export class H2Attempts {
  readonly #sink: H2AttemptSink;
  readonly #connector: Connector;
  readonly #tried: EndpointState[] = [];
  #endpoint: EndpointState | undefined;
  #tries = 0;
  #isOver = false;

  constructor(connector: Connector, sink: H2AttemptSink) {
    this.#connector = connector;
    this.#sink = sink;
    connector.group.calls++;
  }

  /** Begins a try; the first one, or after a server did not process the one before. */
  next(): void {
    this.#leave();
    this.#tries++;
    const endpoint = this.#connector.choose(this.#tried);
    if (endpoint === undefined) return this.#sink.respond({ kind: 'no_healthy_endpoint' });
    this.#endpoint = endpoint;
    this.#tried.push(endpoint);
    endpoint.active++;
    this.#connector.http2?.(endpoint, (reached) => this.#onReached(endpoint, reached));
  }

  /** Whether there may be another try. */
  get hasMore(): boolean {
    return this.#tries < MAX_TRIES;
  }

  /** Says how the endpoint's try ended, for outlier detection. */
  report(outcome: TryOutcome): void {
    if (this.#endpoint !== undefined) this.#connector.group.report(this.#endpoint, outcome);
  }

  finish(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#leave();
    this.#connector.group.calls--;
  }

  #onReached(endpoint: EndpointState, reached: H2Reached): void {
    // The call may have ended while the connection was being made.
    if (this.#isOver || this.#endpoint !== endpoint) return;
    if (reached.kind === 'connected') return this.#sink.onReached(reached.connection);
    this.report('connect_failed');
    const other = this.#connector.choose(this.#tried);
    // Nothing was sent, so another endpoint may do; asking the same one again is no use.
    if (this.hasMore && other !== undefined && !this.#tried.includes(other)) return this.next();
    this.#sink.respond(reached.failure);
  }

  #leave(): void {
    if (this.#endpoint !== undefined) this.#endpoint.active--;
    this.#endpoint = undefined;
  }
}
