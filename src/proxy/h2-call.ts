import {
  FIELD,
  fieldSet,
  H2_CODE,
  type H2Connection,
  type H2Request,
  type H2RequestHead,
  type H2Stream,
  type H2StreamSink,
  HOP_AND_SIDECAR,
  HOP_BY_HOP,
  interpretRequest,
  isSizeError,
} from '#protocol';
import type { Timeouts } from '#snapshot';
import type { RecordedCall } from '#telemetry';
import type { Permit } from './authorize.ts';
import type { ProxyContext } from './context.ts';
import { isGrpc, parseGrpcStatus, parseGrpcTimeout } from './grpc.ts';
import { type H2AttemptSink, H2Attempts } from './h2-attempts.ts';
import { answerFields, fieldOf, keptFields } from './h2-fields.ts';
import { Http1Leg, type Http1LegSink } from './h2-http1-leg.ts';
import type { Leg, LegSink, OutgoingRequest, Tries } from './h2-leg.ts';
import { H2RequestBody } from './h2-request-body.ts';
import type { H2Upstream } from './h2-upstream.ts';
import type { ForwardOptions, HttpCall, HttpDirection } from './http-call.ts';
import type { Live } from './live.ts';
import { type CallFacts, CallRecorder } from './record.ts';
import {
  countRefusal,
  type Failure,
  type FailureKind,
  grpcFailure,
  grpcStatusOf,
  h2Failure,
  isFailureKind,
  parsePeerDenial,
  parsePeerReason,
  statusOf,
} from './respond.ts';
import { IDEMPOTENT, type RetryCounter } from './retry-rules.ts';

/** What a call works with. */
export type H2CallOptions = {
  readonly connection: H2Connection;
  readonly stream: H2Stream;
  readonly context: ProxyContext;
  readonly direction: HttpDirection;
  readonly facts: CallFacts;
};

const DROPPED = HOP_AND_SIDECAR | fieldSet(FIELD.TRACEPARENT);
/** Of answers: what the own application may not say, and what a peer's sidecar may not. */
const DROPPED_INBOUND = HOP_AND_SIDECAR;
const DROPPED_OUTBOUND = HOP_BY_HOP | fieldSet(FIELD.CLIENT_CERT);
const JSON_NAMED = /\bjson\b/;
/** gRPC's status of a service that cannot be reached. */
const UNAVAILABLE = 14;

/**
 * One HTTP/2 request and its answer: hands the request to its direction and carries body and answer
 * both ways, with the windows as back-pressure. Failures of gRPC calls become gRPC statuses.
 */
export class H2Call implements HttpCall, Live, LegSink, Http1LegSink, H2AttemptSink, H2StreamSink {
  deadlineAt = 0;
  cutAt = 0;
  readonly calls: CallRecorder;
  timeouts: Timeouts;
  /** The request; undefined before it is understood and once it is over. */
  head: H2Request | undefined;
  upstream: Leg | undefined;
  consented?: ReadonlySet<string> | undefined;
  readonly #connection: H2Connection;
  readonly #stream: H2Stream;
  readonly #context: ProxyContext;
  readonly #direction: HttpDirection;
  #isGrpc = false;
  #begunAt = 0;
  /** When the caller stops waiting, on the coarse clock; 0 if it did not say. */
  #grpcDeadline = 0;
  #json = false;
  #isAnswering = false;
  #isOver = false;
  #options: ForwardOptions | undefined;
  #attempts: H2Attempts | undefined;
  /** A way to a server over HTTP/1.1 on which none has been reached yet. */
  #unreached: Leg | undefined;
  /** Whether one or another is begun if need be: of `#attempts`, or of the way over HTTP/1.1. */
  #tries: Tries | undefined;
  readonly #body: H2RequestBody;
  /** The head that the server got said that there is no body. */
  #isEndSent = false;
  /** Something of an answer came, be it an interim one. */
  #isTouched = false;
  /** Bytes to credit to the server when the caller has taken them. */
  #owedToServer = 0;

  constructor(options: H2CallOptions) {
    const { context } = options;
    this.#connection = options.connection;
    this.#stream = options.stream;
    this.#context = context;
    this.#direction = options.direction;
    this.#body = new H2RequestBody(options.connection, options.stream);
    this.calls = new CallRecorder(context.options, options.facts);
    this.timeouts = context.timeouts();
  }

  /** Takes the request, which is judged before this returns. */
  begin(head: H2RequestHead | 'tooLarge', isEnd: boolean): void {
    this.#body.isComplete = isEnd;
    this.#begunAt = this.#context.live.now;
    this.#context.live.add(this);
    if (head === 'tooLarge') {
      this.calls.begin();
      return this.respond({ kind: 'too_large', detail: 'h2_headers_too_large' });
    }
    this.#isGrpc = isGrpc(head.fields);
    const request = interpretRequest(head, (host) => this.#direction.pathNormalization(host));
    if (!request.ok) {
      this.calls.begin();
      const kind = isSizeError(request.error) ? 'too_large' : 'bad_request';
      return this.respond({ kind, detail: request.error });
    }
    const { fields } = request.value;
    this.calls.begin(request.value);
    this.head = request.value;
    this.#json = JSON_NAMED.test(fields.valueOf(FIELD.ACCEPT) ?? '');
    const timeoutMs = this.#isGrpc ? parseGrpcTimeout(fields.value('grpc-timeout')) : undefined;
    if (timeoutMs !== undefined) this.#grpcDeadline = this.#context.live.now + timeoutMs;
    this.#expectMore();
    this.#direction.serve(this, request.value);
  }

  /** When the whole call has to be over, on the coarse clock; 0 for never. */
  get #overAt(): number {
    const { requestMs } = this.timeouts;
    return requestMs === undefined ? 0 : this.#begunAt + requestMs;
  }

  get record(): RecordedCall {
    return this.calls.record;
  }

  // A gRPC call may go on for ever, so waiting for its end would be letting it be.
  get manner(): 'request' | 'stream' {
    return this.#isGrpc ? 'stream' : 'request';
  }

  forward(permit: Permit, options: ForwardOptions): void {
    const { head } = this;
    if (!permit.granted || head === undefined) return;
    this.#options = options;
    const { connector } = options;
    const count: RetryCounter = (outcome) => this.#context.options.metrics.retry(outcome).value++;
    if (connector.http2 === undefined) {
      const leg = new Http1Leg(this.#outgoing(head, options), this, count);
      this.#unreached = leg;
      this.#tries = leg;
      return leg.begin(connector);
    }
    this.#attempts = new H2Attempts(connector, this, count);
    this.#tries = this.#attempts;
    this.#attempts.begin();
  }

  respond(failure: Failure): void {
    if (this.#isOver) return;
    countRefusal(this.#context.options.metrics, failure);
    this.record.reason = failure.kind;
    this.record.denialId = failure.denialId ?? null;
    if (!this.#isAnswering) this.record.status = statusOf(failure.kind);
    if (this.#isGrpc) this.record.grpcStatus = grpcStatusOf(failure.kind);
    this.#cancelServer();
    if (this.#isAnswering) this.#breakOff(failure);
    else {
      const headOnly = this.record.method === 'HEAD';
      const style = { json: this.#json, headOnly, grpc: this.#isGrpc };
      const { fields, body } = h2Failure(failure, style);
      this.#connection.respond(this.#stream, fields, body === '');
      const bytes = Buffer.from(body);
      if (body !== '') this.#connection.sendData(this.#stream, bytes, 0, bytes.length, true);
    }
    this.#finish();
  }

  onData(chunk: Buffer, start: number, end: number, isEnd: boolean): void {
    if (this.#isOver) return;
    this.record.bytesIn += end - start;
    this.#body.take(chunk, { start, end, isEnd }, this.upstream);
    this.#expectMore();
  }

  onTrailers(fields: readonly string[]): void {
    if (this.#isOver) return;
    this.#body.takeTrailers(fields, this.upstream);
    this.#expectMore();
  }

  onReset(): void {
    if (this.#isOver) return;
    // Taken back by its caller, or ended because that does not take its answer.
    this.record.reason ??= 'caller_gone';
    this.#cancelServer();
    this.#finish();
  }

  onDrain(): void {
    const owed = this.#owedToServer;
    this.#owedToServer = 0;
    if (owed > 0) this.upstream?.credit(owed);
  }

  onAnswer(status: number, fields: readonly string[], isEnd: boolean): void {
    if (this.#isOver) return;
    this.#isTouched = true;
    // An answer that is already over has given its stream back by itself.
    if (isEnd && this.#body.isComplete) this.upstream = undefined;
    const isInbound = this.#direction.side === 'inbound';
    if (this.#attempts?.declines(status, fieldOf(fields, 'x-palisade-reason')) === true) return;
    const answer = answerFields(status, fields, isInbound ? DROPPED_INBOUND : DROPPED_OUTBOUND);
    this.#connection.respond(this.#stream, answer, isEnd);
    if (status < 200) return;
    this.calls.answered();
    this.#isAnswering = true;
    this.#body.forget();
    this.record.status = status;
    // gRPC says how it went at the end.
    if (!this.#isGrpc || status !== 200) this.#attempts?.reportStatus(status);
    if (!isInbound && (status >= 400 || this.#isGrpc)) this.#copyReason(fields);
    // gRPC over HTTP/2, "Trailers-Only".
    if (isEnd) this.#noteGrpcStatus(fields);
    this.#expectAnswer();
    if (isEnd) this.#finish();
  }

  onAnswerData(chunk: Buffer, start: number, end: number, isEnd: boolean): void {
    if (this.#isOver) return;
    this.record.bytesOut += end - start;
    const isFlowing = this.#connection.sendData(this.#stream, chunk, start, end, isEnd);
    if (isEnd) return this.#finish();
    if (isFlowing) this.upstream?.credit(end - start);
    else this.#owedToServer += end - start;
    this.#expectAnswer();
  }

  onAnswerTrailers(fields: readonly string[]): void {
    if (this.#isOver) return;
    const isInbound = this.#direction.side === 'inbound';
    const kept = keptFields(fields, isInbound ? DROPPED_INBOUND : DROPPED_OUTBOUND);
    if (!isInbound && this.#isGrpc) this.#copyReason(fields);
    this.#noteGrpcStatus(fields);
    this.#connection.sendTrailers(this.#stream, kept);
    this.#finish();
  }

  onLegDrain(): void {
    this.#body.drained();
  }

  onLegFailure(detail: string, unprocessed: boolean): void {
    if (this.#isOver) return;
    const refused = this.upstream?.refused;
    this.upstream = undefined;
    if (this.#attempts === undefined)
      return this.respond({ kind: 'upstream_failed', detail: `upstream_${detail}` });
    this.#attempts.fail({ detail, unprocessed, untouched: !this.#isTouched, refused });
  }

  get isRepeatable(): boolean {
    const isSafe = !this.#isGrpc && IDEMPOTENT.has(this.record.method ?? '');
    return isSafe && this.#body.isNone && !this.#isAnswering;
  }

  get isWhole(): boolean {
    return this.#body.isKept && !this.#isAnswering;
  }

  letGo(): void {
    this.#cancelServer();
    this.#isTouched = false;
  }

  expire(): void {
    const { now } = this.#context.live;
    const isLate = [this.#grpcDeadline, this.#overAt].some((at) => at !== 0 && at <= now);
    if (!this.#isAnswering && !this.#body.isComplete && !isLate)
      return this.respond({ kind: 'request_timeout', detail: 'body_timeout' });
    // The server waits for the caller to take what there is of its answer.
    if (this.#stream.pendingBytes > 0 && !isLate) return this.destroy();
    const mayTry = !this.#isAnswering && !isLate;
    if (mayTry && this.#tries?.expire() === true) return;
    this.respond({ kind: 'upstream_timeout' });
  }

  judge(): FailureKind | undefined {
    return this.head === undefined ? undefined : this.#direction.judge(this);
  }

  cut(reason: FailureKind): void {
    const denialId = this.#direction.noteCut(this, this.record);
    this.record.verdict = 'deny';
    this.respond({ kind: reason, ...(denialId === undefined ? {} : { denialId }) });
  }

  drain(): void {
    // Its connection takes no further requests; this one goes on.
  }

  destroy(): void {
    if (this.#isOver) return;
    this.record.reason ??= 'caller_gone';
    this.#cancelServer();
    this.#connection.reset(this.#stream, H2_CODE.CANCEL);
    this.#finish();
  }

  onReached(connection: H2Upstream): void {
    const { head } = this;
    const options = this.#options;
    if (head === undefined || options === undefined) return;
    const leg = connection.open(this.#outgoing(head, options), this);
    if (leg === undefined) return this.onLegFailure('full', true);
    this.onLegReached(leg);
  }

  onTry(): void {
    this.#expectMore();
  }

  onLegReached(leg: Leg): void {
    this.upstream = leg;
    this.#unreached = undefined;
    this.calls.reached();
    if (leg.facts !== undefined) this.calls.facts = leg.facts;
    this.#expectMore();
    if (!this.#isEndSent) this.#body.sendTo(leg);
  }

  #outgoing(head: H2Request, options: ForwardOptions): OutgoingRequest {
    const fields: string[] = [];
    head.fields.copyTo(fields, DROPPED, options.headers?.remove);
    for (const [name, value] of options.headers?.add ?? []) fields.push(name, value);
    if (options.clientCert !== undefined)
      fields.push('x-forwarded-client-cert', options.clientCert);
    fields.push('traceparent', options.traceparent);
    this.#isEndSent = this.#body.isNone;
    return {
      method: head.method,
      target: head.target,
      host: options.host ?? head.host,
      fields,
      contentLength: head.contentLength,
      isEnd: this.#isEndSent,
    };
  }

  #cancelServer(): void {
    const leg = this.upstream ?? this.#unreached;
    this.upstream = undefined;
    this.#unreached = undefined;
    leg?.cancel();
  }

  // INVARIANT: what broke off never looks complete; gRPC has a way to say so at the end.
  #breakOff(failure: Failure): void {
    if (this.#isGrpc) this.#connection.sendTrailers(this.#stream, grpcFailure(failure));
    else this.#connection.reset(this.#stream, H2_CODE.INTERNAL_ERROR);
  }

  // The peer's sidecar has stripped what its application said, so what remains is its own word.
  #copyReason(fields: readonly string[]): void {
    const reason = parsePeerReason(fieldOf(fields, 'x-palisade-reason'));
    if (reason === undefined) return;
    this.record.reason = reason;
    this.record.denialId = parsePeerDenial(fieldOf(fields, 'x-palisade-denial'));
    // gRPC answers every failure with 200; records tell which one it was.
    if (this.#isGrpc && isFailureKind(reason)) this.record.status = statusOf(reason);
  }

  #noteGrpcStatus(fields: readonly string[]): void {
    const status = this.#isGrpc ? parseGrpcStatus(fieldOf(fields, 'grpc-status')) : undefined;
    if (status === undefined) return;
    this.record.grpcStatus = status;
    this.#attempts?.report(status === UNAVAILABLE ? 'gateway_error' : 'ok');
  }

  #finish(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#cancelIfUnread();
    this.#attempts?.finish();
    this.#context.live.remove(this);
    this.calls.finish();
    this.head = undefined;
    this.#body.forget();
  }

  // The answer is complete before the request: nobody will read the rest.
  #cancelIfUnread(): void {
    if (this.#body.isComplete) {
      this.upstream = undefined;
      return;
    }
    this.#cancelServer();
    this.#connection.endEarly(this.#stream);
  }

  /** The rest of the request, or the answer to all of it, has to come in time. */
  #expectMore(): void {
    const { idleMs, responseMs } = this.timeouts;
    if (!this.#body.isComplete) return this.#expectIn(idleMs);
    this.#expectIn(Math.min(responseMs, this.#tries?.perTryMs ?? responseMs));
  }

  #expectAnswer(): void {
    this.#expectIn(this.timeouts.idleMs);
  }

  // A gRPC call has the time that its caller gives it, and without a word all of it: streams idle.
  #expectIn(ms: number): void {
    const soon = this.#isGrpc ? this.#grpcDeadline : this.#context.live.now + ms;
    const overAt = this.#overAt;
    this.deadlineAt = soon !== 0 && (overAt === 0 || soon < overAt) ? soon : overAt;
  }
}
