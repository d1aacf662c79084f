import type { RetryCause } from '#snapshot';
import type { Connector } from './connector.ts';
import type { EndpointState } from './endpoint-group.ts';
import type { Tries } from './h2-leg.ts';
import type { H2Reached } from './h2-pool.ts';
import type { H2Upstream } from './h2-upstream.ts';
import type { TryOutcome } from './outlier.ts';
import type { Failure, FailureKind } from './respond.ts';
import { CallRetries, causeOfAnswer, isGatewayError, type RetryCounter } from './retry-rules.ts';

/** The call whose tries these are. */
export type H2AttemptSink = {
  /** Idempotent and without a body: having it sent twice does no harm (RFC 9110 section 9.2.2). Never a gRPC call. */
  readonly isRepeatable: boolean;
  /** All of it can be sent again, and nothing of an answer has been passed on. */
  readonly isWhole: boolean;
  /** A connection with room for a stream: the call sends its request. */
  readonly onReached: (connection: H2Upstream) => void;
  /** A try begins: from now on its answer is waited for. */
  readonly onTry: () => void;
  /** The server of the try so far is asked no more. */
  readonly letGo: () => void;
  /** No try is left. */
  readonly respond: (failure: Failure) => void;
};

/** How a server broke off. */
export type H2Break = {
  readonly detail: string;
  /** It cannot have acted on the request (RFC 9113 sections 6.8 and 8.7). */
  readonly unprocessed: boolean;
  /** Not one byte of an answer came. */
  readonly untouched: boolean;
  /** Why the other end of a tunnel would not have the connection. */
  readonly refused: FailureKind | undefined;
};

/** Failures of our own that another endpoint would not mend. */
const OURS = new Set<FailureKind>(['peer_unauthenticated', 'cannot_decide']);

/**
 * The tries of one HTTP/2 call, by the same rules as those of HTTP/1.1 (`Attempts`): which endpoint,
 * and whether another one.
 * INVARIANT: a request that is not repeatable goes to another server only if none before has processed it.
 * INVARIANT: what a call took of its group it gives back exactly once, in `finish`.
 */
export class H2Attempts implements Tries {
  readonly #sink: H2AttemptSink;
  readonly #connector: Connector;
  readonly #retries: CallRetries;
  readonly #tried: EndpointState[] = [];
  #endpoint: EndpointState | undefined;
  #isReaching = false;
  #redialled = false;
  #isOver = false;

  constructor(connector: Connector, sink: H2AttemptSink, count: RetryCounter) {
    this.#connector = connector;
    this.#sink = sink;
    this.#retries = new CallRetries(count);
  }

  begin(): void {
    const { group } = this.#connector;
    group.calls++;
    group.retries.noteCall();
    this.#try();
  }

  get perTryMs(): number | undefined {
    return this.#connector.group.traffic.retries.perTryMs;
  }

  /** Whether an answer is left to another try; then nothing of it is to be passed on. */
  declines(status: number, reason: string | undefined): boolean {
    const cause = causeOfAnswer(status, reason);
    if (cause === undefined || !this.#mayRepeat(cause)) return false;
    this.report('gateway_error');
    this.#sink.letGo();
    this.#try();
    return true;
  }

  /** The stream ended before its answer did; answers the call unless it is tried again. */
  fail({ detail, unprocessed, untouched, refused }: H2Break): void {
    if (refused !== undefined) return this.#turnedAway(refused);
    if (unprocessed && this.#sink.isWhole) {
      // A connection may end just when it is used. That is nobody's failure, so it costs no retry
      // (gRPC A6 calls it a transparent one); a server that refuses again is one that is overloaded.
      if (!this.#redialled || this.#retries.tryTake(this.#connector.group, 'reset')) {
        this.#redialled = true;
        return this.#try();
      }
    } else if (untouched && this.#mayRepeat('reset')) {
      this.report('gateway_error');
      return this.#try();
    }
    this.report('gateway_error');
    this.#sink.respond({ kind: 'upstream_failed', detail: `upstream_${detail}` });
  }

  expire(): boolean {
    // A connection that is still being made has time-outs of its own.
    if (this.#isReaching) return false;
    this.report('gateway_error');
    if (this.perTryMs === undefined || !this.#mayRepeat('reset')) return false;
    this.#sink.letGo();
    this.#try();
    return true;
  }

  /** Says how the endpoint's try ended, for outlier detection. */
  report(outcome: TryOutcome): void {
    if (this.#endpoint !== undefined) this.#connector.group.report(this.#endpoint, outcome);
  }

  /** Says by the status that an answer began with how its try went. */
  reportStatus(status: number): void {
    this.report(isGatewayError(status) ? 'gateway_error' : 'ok');
  }

  finish(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#leave();
    this.#connector.group.calls--;
  }

  #try(): void {
    this.#leave();
    const endpoint = this.#connector.choose(this.#tried);
    if (endpoint === undefined) return this.#sink.respond({ kind: 'no_healthy_endpoint' });
    this.#endpoint = endpoint;
    this.#tried.push(endpoint);
    endpoint.active++;
    this.#isReaching = true;
    this.#sink.onTry();
    this.#connector.http2?.(endpoint, (reached) => this.#onReached(reached));
  }

  #onReached(reached: H2Reached): void {
    // The call may have ended while the connection was being made; there is no other way to a second try.
    if (this.#isOver) return;
    this.#isReaching = false;
    if (reached.kind === 'connected') return this.#sink.onReached(reached.connection);
    const { failure } = reached;
    if (OURS.has(failure.kind)) return this.#sink.respond(failure);
    if (!this.#goElsewhere()) this.#sink.respond(failure);
  }

  #turnedAway(kind: FailureKind): void {
    if (kind !== 'upstream_connect_failed') this.report('ok');
    else if (this.#sink.isWhole && this.#goElsewhere()) return;
    this.#sink.respond({ kind, detail: 'tunnel_refused' });
  }

  // Nothing was sent, so another endpoint may do; asking the same one again is no use.
  #goElsewhere(): boolean {
    this.report('connect_failed');
    const other = this.#connector.choose(this.#tried);
    const isElsewhere = other !== undefined && !this.#tried.includes(other);
    const { group } = this.#connector;
    if (!isElsewhere || !this.#retries.tryTake(group, 'connect-failure', true)) return false;
    this.#try();
    return true;
  }

  #mayRepeat(cause: RetryCause): boolean {
    return this.#sink.isRepeatable && this.#retries.tryTake(this.#connector.group, cause);
  }

  /** The endpoint of the try under way has one call less. */
  #leave(): void {
    if (this.#endpoint !== undefined) this.#endpoint.active--;
    this.#endpoint = undefined;
  }
}
