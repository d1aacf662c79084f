import type { ResponseHead } from '#protocol';
import type { RetryCause } from '#snapshot';
import type { Connector, DialOutcome } from './connector.ts';
import type { EndpointState } from './endpoint-group.ts';
import type { TryOutcome } from './outlier.ts';
import type { Failure, FailureKind } from './respond.ts';
import { CallRetries, causeOfAnswer, isGatewayError, type RetryCounter } from './retry-rules.ts';
import type { AnswerSink, UpstreamConnection } from './upstream-connection.ts';

/** The call whose way to a server this is: it gets the answer, or why there is none. */
export type AttemptingCall = AnswerSink & {
  /** A server has the request's head; `flowing`: more of its body may be written. */
  readonly onReached: (connection: UpstreamConnection, flowing: boolean) => void;
  /** A try begins: from now on its answer is waited for. */
  readonly onTry: () => void;
  /** No try is left. */
  readonly respond: (failure: Failure) => void;
};

/** A request to send. */
export type Dispatch = {
  /** Its head and the first bytes of its body. */
  readonly message: Buffer;
  readonly connector: Connector;
  /** Idempotent and without a body: having it sent twice does no harm (RFC 9110 section 9.2.2). */
  readonly repeatable: boolean;
};

const NONE_TRIED: readonly EndpointState[] = [];
/** Failures of our own that another endpoint would not mend. */
const OURS = new Set<FailureKind>(['peer_unauthenticated', 'cannot_decide']);

/**
 * The tries of one call after another: which endpoint, over which connection, and whether to try once
 * more. One object serves all calls of a caller's connection, one at a time.
 * INVARIANT: a request that is not repeatable is written to at most one connection, and no body byte
 * is ever written twice.
 * INVARIANT: what a call took of its group (a call, a try, a place in the queue) it gives back
 * exactly once, in `#release`.
 */
export class Attempts {
  upstream: UpstreamConnection | undefined;
  readonly #call: AttemptingCall;
  readonly #retries: CallRetries;
  #dispatch: Dispatch | undefined;
  #endpoint: EndpointState | undefined;
  /** Made by the first retry: most connections never have one. */
  #tried: readonly EndpointState[] = NONE_TRIED;
  #redialled = false;
  /** Changes with every try, so that a late outcome of an earlier one is told. */
  #turn = 0;

  constructor(call: AttemptingCall, count: RetryCounter) {
    this.#call = call;
    this.#retries = new CallRetries(count);
  }

  /** A connection is being made or waited for. */
  get isReaching(): boolean {
    return this.#dispatch !== undefined && this.upstream === undefined;
  }

  /** How long one try may take, in milliseconds; undefined for as long as the call. */
  get perTryMs(): number | undefined {
    return this.#dispatch?.connector.group.traffic.retries.perTryMs;
  }

  begin(dispatch: Dispatch): void {
    this.#dispatch = dispatch;
    this.#retries.reset();
    this.#redialled = false;
    const { group } = dispatch.connector;
    group.calls++;
    group.retries.noteCall();
    this.#try(dispatch);
  }

  /** Whether an answer is left to another try; then nothing of it is to be passed on. */
  declines(head: ResponseHead, isWhole: boolean): boolean {
    if (!isGatewayError(head.status)) {
      this.#report('ok');
      return false;
    }
    this.#report('gateway_error');
    const cause = causeOfAnswer(head.status, head.fields.value('x-palisade-reason'));
    if (cause === undefined || !this.#mayRetry(cause)) return false;
    // An answer that is already over has given its connection back by itself.
    if (!isWhole) this.upstream?.abandon();
    this.#again();
    return true;
  }

  /** The connection ended before its answer did; answers the call unless it is tried again. */
  fail(detail: string, untouched: boolean): void {
    const { upstream } = this;
    const dispatch = this.#dispatch;
    this.upstream = undefined;
    if (dispatch === undefined) return;
    if (upstream?.refused !== undefined) return this.#turnedAway(dispatch, upstream.refused);
    const isFirst = (upstream?.begun ?? 0) <= 1;
    // A kept connection may be closed just when it is used. That is nobody's failure, so it costs no retry.
    if (untouched && !isFirst && dispatch.repeatable && !this.#redialled) {
      this.#redialled = true;
      return this.#open(dispatch, this.#endpoint);
    }
    this.#report('gateway_error');
    if (untouched && this.#mayRetry('reset')) return this.#again();
    this.#call.respond({ kind: 'upstream_failed', detail: `upstream_${detail}` });
  }

  /** The try took too long; whether another one has begun. */
  expire(): boolean {
    const wasReaching = this.isReaching;
    this.upstream?.destroy();
    this.upstream = undefined;
    if (!wasReaching) this.#report('gateway_error');
    // Without a limit of its own a try has the whole call's, which is over then.
    if (wasReaching || this.perTryMs === undefined || !this.#mayRetry('reset')) return false;
    this.#again();
    return true;
  }

  /** The answer came whole: its connection has gone back to the pool by itself. */
  finish(): void {
    this.upstream = undefined;
    this.#release();
  }

  /** Ends the exchange at once, with its connection. */
  cut(): void {
    this.upstream?.destroy();
    this.finish();
  }

  /** Nobody waits for the answer any more. */
  abandon(): void {
    this.upstream?.abandon();
    this.finish();
  }

  #try(dispatch: Dispatch): void {
    const endpoint = dispatch.connector.choose(this.#tried);
    if (endpoint === undefined) return this.#call.respond({ kind: 'no_healthy_endpoint' });
    this.#leave();
    this.#endpoint = endpoint;
    endpoint.active++;
    this.#call.onTry();
    this.#reach(dispatch, endpoint);
  }

  #reach(dispatch: Dispatch, endpoint: EndpointState | undefined): void {
    const idle = endpoint === undefined ? undefined : dispatch.connector.take(endpoint);
    if (idle !== undefined) this.#attach(dispatch, idle);
    else this.#open(dispatch, endpoint);
  }

  #open(dispatch: Dispatch, endpoint: EndpointState | undefined): void {
    if (endpoint === undefined) return;
    const { connector } = dispatch;
    const { slots, traffic } = connector.group;
    // Otherwise whoever waits for this endpoint waits until idle connections to others have grown old.
    if (slots.isFull(traffic.limits)) connector.makeRoom?.(endpoint);
    const slot = slots.openOrWait(traffic.limits, this.#wake);
    if (slot === 'refused')
      return this.#call.respond({ kind: 'rate_limited', detail: 'max_pending_requests' });
    if (slot === 'waiting') return;
    const turn = ++this.#turn;
    connector.dial(endpoint, (outcome) => {
      // The call may have ended, and another one begun, while the connection was being made.
      if (turn === this.#turn) this.#dialled(dispatch, outcome);
      else if (outcome.kind === 'connected') outcome.connection.giveBack();
    });
  }

  readonly #wake = (): void => {
    const dispatch = this.#dispatch;
    if (dispatch !== undefined) this.#reach(dispatch, this.#endpoint);
  };

  #dialled(dispatch: Dispatch, outcome: DialOutcome): void {
    if (outcome.kind === 'connected') return this.#attach(dispatch, outcome.connection);
    if (OURS.has(outcome.failure.kind)) return this.#call.respond(outcome.failure);
    this.#report('connect_failed');
    // Nothing was sent, so any request may be tried elsewhere; asking the same one again is no use.
    const next = this.#elsewhere(dispatch);
    if (next && this.#mayRetry('connect-failure', true)) return this.#again();
    this.#call.respond(outcome.failure);
  }

  // A body may have been read of its caller meanwhile, so only what has none is sent once more.
  #turnedAway(dispatch: Dispatch, kind: FailureKind): void {
    const mayChange = kind === 'upstream_connect_failed';
    this.#report(mayChange ? 'connect_failed' : 'ok');
    if (mayChange && this.#elsewhere(dispatch) && this.#mayRetry('connect-failure')) {
      return this.#again();
    }
    this.#call.respond({ kind, detail: 'tunnel_refused' });
  }

  #elsewhere({ connector }: Dispatch): boolean {
    const tried = this.#endpoint === undefined ? this.#tried : [...this.#tried, this.#endpoint];
    const next = connector.choose(tried);
    return next !== undefined && !tried.includes(next);
  }

  #attach({ message }: Dispatch, connection: UpstreamConnection): void {
    this.upstream = connection;
    this.#turn++;
    const flowing = connection.begin(this.#call, message);
    this.#call.onReached(connection, flowing);
  }

  #mayRetry(cause: RetryCause, nothingSent = false): boolean {
    const dispatch = this.#dispatch;
    if (dispatch === undefined || !(dispatch.repeatable || nothingSent)) return false;
    return this.#retries.tryTake(dispatch.connector.group, cause, nothingSent);
  }

  #again(): void {
    const dispatch = this.#dispatch;
    if (dispatch === undefined) return;
    this.upstream = undefined;
    this.#redialled = false;
    if (this.#endpoint !== undefined) this.#tried = [...this.#tried, this.#endpoint];
    this.#try(dispatch);
  }

  #report(outcome: TryOutcome): void {
    if (this.#endpoint !== undefined)
      this.#dispatch?.connector.group.report(this.#endpoint, outcome);
  }

  /** The endpoint of the try under way has one call less. */
  #leave(): void {
    if (this.#endpoint !== undefined) this.#endpoint.active--;
    this.#endpoint = undefined;
  }

  #release(): void {
    const dispatch = this.#dispatch;
    if (dispatch === undefined) return;
    this.#dispatch = undefined;
    this.#turn++;
    this.#leave();
    this.#tried = NONE_TRIED;
    const { group } = dispatch.connector;
    group.calls--;
    group.slots.cancel(this.#wake);
  }
}
