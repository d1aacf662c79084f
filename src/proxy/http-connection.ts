import {
  FIELD,
  type Http1Error,
  isSizeError,
  type RequestHead,
  type ResponseHead,
} from '#protocol';
import type { Timeouts } from '#snapshot';
import type { RecordedCall } from '#telemetry';
import { type BodyPart, copyPart } from './answer.ts';
import { AnswerWriter } from './answer-writer.ts';
import { type AttemptingCall, Attempts } from './attempts.ts';
import type { Permit } from './authorize.ts';
import type { Connector } from './connector.ts';
import type { ProxyContext } from './context.ts';
import { serializeForwarded } from './forward.ts';
import type { ForwardOptions, HttpCall, HttpDirection } from './http-call.ts';
import type { Live } from './live.ts';
import type { BytePipe, PipeEvents } from './pipe.ts';
import { type CallFacts, CallRecorder } from './record.ts';
import { type IntakeEvents, RequestIntake } from './request-intake.ts';
import {
  countRefusal,
  type Failure,
  type FailureKind,
  parsePeerDenial,
  parsePeerReason,
  serializeFailure,
  statusOf,
} from './respond.ts';
import { SwitchedConnection } from './switched.ts';
import type { UpstreamConnection } from './upstream-connection.ts';

const NO_PART: BodyPart = { chunk: Buffer.alloc(0), start: 0, end: 0, last: true };
const LINGER_MS = 2_000;
const JSON_NAMED = /\bjson\b/;
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'TRACE']);

/**
 * A caller's HTTP/1.1 connection: hands each request that its intake reads to its direction, and carries body and answer
 * both ways without keeping them. It is the state of the call under way.
 */
export class HttpConnection implements HttpCall, Live, AttemptingCall, PipeEvents, IntakeEvents {
  deadlineAt = 0;
  cutAt = 0;
  /** Records of this connection's calls, one after another. */
  readonly calls: CallRecorder;
  /** Time limits of the call under way: the workload's own until a service's are known. */
  timeouts: Timeouts;
  /** The request under way, and the connection that answers it. */
  head: RequestHead | undefined;
  consented: HttpCall['consented'];
  user: HttpCall['user'];
  calledFqdn: string | undefined;
  readonly #pipe: BytePipe;
  readonly #context: ProxyContext;
  readonly #direction: HttpDirection;
  readonly #intake: RequestIntake;
  readonly #answer: AnswerWriter;
  #part = NO_PART;
  readonly #attempts: Attempts;
  /** On the coarse clock: when the call began, and when it has to be over; 0 for no limit. */
  #begunAt = 0;
  #overAt = 0;
  #acceptsJson: boolean | undefined;
  #switched: SwitchedConnection | undefined;
  /** The caller has said all it will say. */
  #ended = false;
  #gone = false;

  constructor(pipe: BytePipe, context: ProxyContext, direction: HttpDirection, facts: CallFacts) {
    this.#pipe = pipe;
    this.#context = context;
    this.#direction = direction;
    this.#intake = new RequestIntake(pipe, this, (host) => direction.pathNormalization(host));
    this.calls = new CallRecorder(context.options, facts);
    this.#answer = new AnswerWriter(pipe, direction.side, this.calls.record);
    this.timeouts = context.timeouts();
    const { metrics } = context.options;
    this.#attempts = new Attempts(this, (outcome) => metrics.retry(outcome).value++);
  }

  /** Registers the connection and begins to read; `early` came before and is only lent. */
  start(early?: Buffer): void {
    this.#awaitRequest();
    this.#context.live.add(this);
    this.#countOpen(1);
    this.#pipe.attach(this);
    this.#pipe.resume();
    if (early !== undefined) this.onData(early);
  }

  /** The record of the call under way; handlers fill it in as they learn. */
  get record(): RecordedCall {
    return this.calls.record;
  }

  /** The connection that answers the call under way. */
  get upstream(): UpstreamConnection | undefined {
    return this.#attempts.upstream;
  }

  get method(): string {
    return this.record.method ?? '';
  }

  get upgrade(): string {
    return this.head?.upgrade ?? '';
  }

  get requestComplete(): boolean {
    return this.#intake.isWhole;
  }

  /** Answers instead of a server. The connection stays if the whole request has come. */
  respond(failure: Failure): void {
    countRefusal(this.#context.options.metrics, failure);
    this.record.reason = failure.kind;
    this.record.denialId = failure.denialId ?? null;
    // Too late for words once an answer has begun.
    if (this.#answer.begun) return this.destroy();
    this.record.status = statusOf(failure.kind);
    const close = !this.#mayKeep(this.head?.keepAlive ?? false);
    const json = this.#acceptsJson ?? acceptsJson(this.head);
    const headOnly = this.record.method === 'HEAD';
    this.#pipe.write(serializeFailure(failure, { json, headOnly, close }));
    this.#finish(close);
  }

  /** One buffer, the request's head with its first body bytes, over what the connector finds. */
  forward(permit: Permit, options: ForwardOptions): void {
    const { head } = this;
    if (!permit.granted || head === undefined) return;
    this.#dispatch(serializeForwarded(head, this.#part, options), options.connector);
  }

  #dispatch(message: Buffer, connector: Connector): void {
    const bodyless = this.requestComplete && this.#part.end === this.#part.start;
    const repeatable = bodyless && IDEMPOTENT.has(this.method) && this.upgrade === '';
    const { requestMs } = this.timeouts;
    this.#overAt = requestMs === undefined ? 0 : this.#begunAt + requestMs;
    // What is judged again after a switch must outlive the bytes it was read from.
    if (this.upgrade !== '') this.head?.fields.detach();
    // From here on the bytes of the head are not ours any more.
    this.#acceptsJson = acceptsJson(this.head);
    this.#attempts.begin({ message, connector, repeatable });
  }

  onReached(connection: UpstreamConnection, flowing: boolean): void {
    this.calls.facts = connection.facts ?? this.calls.facts;
    this.calls.reached();
    if (!this.#intake.isInBody) return;
    if (flowing) this.#pipe.resume();
    else this.#pipe.pause();
  }

  onTry(): void {
    this.#expectMore();
  }

  onResponseHead(head: ResponseHead, part: BodyPart): void {
    const request = this.head;
    if (request === undefined) return;
    if (head.interim) return this.#written(this.#answer.interim(head, part, request), false);
    if (this.#attempts.declines(head, part.last)) return;
    this.calls.answered();
    // RFC 9112 section 6.1: it cannot be read by whom it is for.
    if (request.minor === 0 && head.framing.kind === 'chunked') {
      this.#attempts.cut();
      return this.respond({ kind: 'upstream_failed', detail: 'upstream_chunked_for_http10' });
    }
    if (this.#direction.side === 'outbound' && head.status >= 400) this.#copyReason(head);
    const flowing = this.#answer.head(head, part, request, this.#mayKeep(request.keepAlive));
    this.#written(flowing, part.last);
    this.#answered(part.last);
  }

  onResponseBody(part: BodyPart): void {
    this.#written(this.#answer.body(part), part.last);
    this.#answered(part.last);
  }

  onSwitched(head: ResponseHead): void {
    const { head: request, upstream } = this;
    if (request === undefined || upstream === undefined) return;
    this.#answer.switching(head, request);
    const onActivity = (): void => this.#expectIn(this.timeouts.sessionMs);
    const switched = new SwitchedConnection(this.#pipe, upstream, this.record, onActivity);
    this.#switched = switched;
    // The limit for a whole call is none for a conversation.
    this.#overAt = 0;
    onActivity();
    const early = this.#intake.release();
    if (early !== undefined) switched.fromCaller(early);
    if (this.#ended) switched.callerEnded();
    else this.#pipe.resume();
  }

  onSwitchedBytes(chunk: Buffer, start: number, end: number): void {
    this.#switched?.fromServer(chunk, start, end);
  }

  onSwitchedEnd(): void {
    this.#switched?.serverEnded();
  }

  onUpstreamDrain(): void {
    if (this.#switched !== undefined) return this.#switched.serverDrained();
    if (this.#intake.isInBody) this.#pipe.resume();
  }

  onUpstreamFailure(detail: string, untouched: boolean): void {
    if (this.#switched?.ended === true) return this.#finish(true);
    this.#attempts.fail(detail, untouched);
  }

  expire(): void {
    const intake = this.#intake;
    if (intake.isClosed) return this.destroy();
    if (intake.isWhole && !this.#answer.begun) {
      const isOver = this.#overAt !== 0 && this.#overAt <= this.#context.live.now;
      if (!isOver && this.#attempts.expire()) return;
      this.#attempts.cut();
      return this.respond({ kind: 'upstream_timeout' });
    }
    if (intake.isIdle) return this.#closeSoon();
    if (intake.isInHead) return this.#refuse({ kind: 'request_timeout', detail: 'header_timeout' });
    if (intake.isInBody && !this.#answer.begun) {
      this.#attempts.cut();
      return this.respond({ kind: 'request_timeout', detail: 'body_timeout' });
    }
    this.record.reason ??= this.#whyIdle();
    this.destroy();
  }

  #whyIdle(): string {
    if (this.#switched !== undefined) return 'idle_timeout';
    // The server waits for the caller to take what there is of its answer.
    return this.#pipe.isBehind ? 'caller_gone' : 'upstream_timeout';
  }

  get manner(): 'request' | 'stream' {
    return this.#switched === undefined ? 'request' : 'stream';
  }

  judge(): FailureKind | undefined {
    return this.#direction.judge(this);
  }

  cut(reason: FailureKind): void {
    this.record.denialId = this.#direction.noteCut(this, this.record) ?? null;
    this.record.verdict = 'deny';
    this.record.reason = reason;
    this.destroy();
  }

  drain(): void {
    // Closing here would race with a request that is on its way.
    if (this.#pipe.drainsByPeer) return;
    if (this.#intake.isIdle) this.#closeSoon();
  }

  destroy(): void {
    this.#attempts.cut();
    // Bytes of an unknown protocol may look whole when they are not: a cut has to be seen as one.
    if (this.#switched === undefined) this.#pipe.destroy();
    else this.#pipe.reset();
    this.onClose();
  }

  onData(chunk: Buffer): void {
    if (this.#switched !== undefined) this.#switched.fromCaller(chunk);
    else this.#intake.take(chunk);
  }

  onHeadBegun(): void {
    this.#expectIn(this.#context.timeouts().headerMs);
  }

  onRequest(head: RequestHead, part: BodyPart, problem: Http1Error | undefined): void {
    this.calls.begin(head);
    this.record.bytesIn = part.end - part.start;
    this.head = head;
    this.#part = part;
    this.#answer.reset();
    this.#acceptsJson = undefined;
    this.timeouts = this.#context.timeouts();
    this.#begunAt = this.#context.live.now;
    this.#expectMore();
    if (problem !== undefined) return this.respond(malformed(problem));
    this.#direction.serve(this, head);
    if (this.head === head && this.upstream === undefined) this.#awaitUpstream(head);
  }

  /** The call goes on in a later event: what it still needs of the chunk is copied, no more is read. */
  #awaitUpstream(head: RequestHead): void {
    if (this.#intake.isInBody) this.#pipe.pause();
    if (this.#attempts.isReaching) return;
    head.fields.detach();
    const chunk = copyPart(this.#part);
    this.#part = { chunk, start: 0, end: chunk.length, last: this.#part.last };
  }

  onRequestBody(chunk: Buffer, start: number, end: number): void {
    this.record.bytesIn += end - start;
    this.#expectMore();
    const flowing = this.upstream?.write(chunk, start, end);
    if (flowing === false && !this.requestComplete) this.#pipe.pause();
  }

  onBadHead(error: Http1Error): void {
    this.#refuse(malformed(error));
  }

  onBadBody(error: Http1Error): void {
    // INVARIANT: a body found malformed midway never completes at its receiver.
    this.#attempts.cut();
    this.respond(malformed(error));
  }

  #answered(last: boolean): void {
    if (!last) {
      this.#expectIn(this.timeouts.idleMs);
      return;
    }
    this.#finish(this.#answer.closeAfter || !this.requestComplete);
  }

  #finish(close: boolean): void {
    this.calls.finish();
    this.#attempts.finish();
    this.#overAt = 0;
    this.cutAt = 0;
    this.head = undefined;
    this.#switched = undefined;
    this.#part = NO_PART;
    if (close) return this.#closeSoon();
    this.#awaitRequest();
    this.#takeHeld();
  }

  #takeHeld(): void {
    if (!this.#intake.takeHeld()) return;
    if (this.#ended && this.#intake.isInHead) this.#closeSoon();
  }

  onDrain(): void {
    if (this.#switched !== undefined) this.#switched.callerDrained();
    else if (this.upstream !== undefined) this.upstream.resume();
    else if (this.#intake.isInHead) this.#takeHeld();
  }

  /** A request that cannot be read: no call of a direction, but recorded and answered all the same. */
  #refuse(failure: Failure): void {
    this.calls.begin();
    this.head = undefined;
    this.#answer.reset();
    this.#acceptsJson = false;
    this.respond(failure);
  }

  #awaitRequest(): void {
    this.#intake.awaitRequest();
    this.#answer.reset();
    const { idleMs } = this.#context.timeouts();
    this.#expectIn(idleMs);
  }

  /** The rest of the request, or the answer to all of it, has to come in time. */
  #expectMore(): void {
    if (!this.requestComplete) return this.#expectIn(this.timeouts.idleMs);
    const { responseMs } = this.timeouts;
    this.#expectIn(Math.min(responseMs, this.#attempts.perTryMs ?? responseMs));
  }

  #expectIn(ms: number): void {
    const at = this.#context.live.now + ms;
    this.deadlineAt = this.#overAt === 0 ? at : Math.min(at, this.#overAt);
  }

  #countOpen(change: 1 | -1): void {
    this.#context.options.metrics.connections(this.#direction.side, 'http').value += change;
  }

  #mayKeep(keepAlive: boolean): boolean {
    const more = !this.#ended || this.#intake.hasHeld;
    const isWanted = !this.#context.draining && !this.#direction.isOutdated;
    return keepAlive && more && this.requestComplete && isWanted;
  }

  // After the last bytes of an answer its connection is not ours any more to be paused.
  #written(flowing: boolean, last: boolean): void {
    if (!flowing && !last) this.upstream?.pause();
  }

  // What the server's sidecar said is worth a line in ours: it carries the id to explain.
  #copyReason(head: ResponseHead): void {
    this.record.reason = parsePeerReason(head.fields.value('x-palisade-reason')) ?? null;
    if (this.record.reason !== null) {
      this.record.denialId = parsePeerDenial(head.fields.value('x-palisade-denial'));
    }
  }

  /** Ends our side and reads on for a while, so that the answer is not lost to a reset. */
  #closeSoon(): void {
    this.#intake.close();
    this.#pipe.resume();
    this.#pipe.end();
    // A caller that still has to take its answer gets the time it would have had for more of it.
    this.#expectIn(this.#pipe.unsentBytes === 0 ? LINGER_MS : this.timeouts.idleMs);
  }

  onEnd(): void {
    this.#ended = true;
    if (this.#switched !== undefined) return this.#switched.callerEnded();
    // A caller may half-close and still read its answers; half a request is none. Over TLS callers
    // do not do that: there it is one that left, and the server should hear of it.
    const left = this.requestComplete && !this.#pipe.halfCloses;
    if (this.#intake.isInBody) this.destroy();
    else if (left) this.#pipe.destroy();
    else if (this.#intake.isInHead && !this.#intake.hasHeld) this.#closeSoon();
  }

  onClose(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#context.live.remove(this);
    this.#countOpen(-1);
    this.#intake.release();
    const isCut = this.#switched?.ended === false;
    if (isCut) this.#attempts.cut();
    else this.#attempts.abandon();
    if (this.head === undefined) return;
    if (this.#switched?.ended !== true) this.record.reason ??= 'caller_gone';
    this.calls.finish();
    this.head = undefined;
  }
}

function malformed(error: Http1Error): Failure {
  return { kind: isSizeError(error) ? 'too_large' : 'bad_request', detail: error };
}

function acceptsJson(head: RequestHead | undefined): boolean {
  const accepted = head?.fields.valueOf(FIELD.ACCEPT);
  return accepted !== undefined && JSON_NAMED.test(accepted);
}
