import {
  ChunkDecoder,
  encodeChunk,
  encodeLastChunk,
  HOP_BY_HOP,
  type ResponseHead,
} from '#protocol';
import type { BodyPart } from './answer.ts';
import { type AttemptingCall, Attempts } from './attempts.ts';
import type { Connector } from './connector.ts';
import type { Leg, LegSink, OutgoingRequest, Tries } from './h2-leg.ts';
import type { CallFacts } from './record.ts';
import type { Failure } from './respond.ts';
import { IDEMPOTENT, type RetryCounter } from './retry-rules.ts';
import type { TlsPeer } from './tls-peer.ts';
import type { UpstreamConnection } from './upstream-connection.ts';

/** Bytes of an answer that its caller has not taken before the server has to wait. */
const MAX_UNTAKEN = 32 * 1024;
/** Methods whose requests have a length even if it is 0 (RFC 9110 section 8.6). */
const WITH_LENGTH = new Set(['POST', 'PUT', 'PATCH']);

/** What a call hears of the way to its server. */
export type Http1LegSink = {
  /** A try begins: its answer is waited for. */
  readonly onTry: () => void;
  /** A server has the request's head. */
  readonly onLegReached: (leg: Leg) => void;
  /** No try is left. */
  readonly respond: (failure: Failure) => void;
};

/** An HTTP/1.1 connection as the server's side of an HTTP/2 call (RFC 9113 section 8, RFC 9112). */
export class Http1Leg implements Leg, Tries, AttemptingCall {
  readonly method: string;
  readonly upgrade = '';
  requestComplete: boolean;
  readonly #sink: LegSink & Http1LegSink;
  readonly #attempts: Attempts;
  readonly #isChunked: boolean;
  readonly #message: Buffer;
  #connection: UpstreamConnection | undefined;
  #answerChunks: ChunkDecoder | undefined;
  #untaken = 0;
  #isPaused = false;
  #isOver = false;

  constructor(request: OutgoingRequest, sink: LegSink & Http1LegSink, count: RetryCounter) {
    this.#attempts = new Attempts(this, count);
    this.method = request.method;
    this.requestComplete = request.isEnd;
    this.#sink = sink;
    this.#isChunked = !request.isEnd && request.contentLength < 0;
    this.#message = serialize(request, this.#isChunked);
  }

  /** Sends the request over what `connector` finds; the sink hears of it. */
  begin(connector: Connector): void {
    const repeatable = this.requestComplete && IDEMPOTENT.has(this.method);
    this.#attempts.begin({ message: this.#message, connector, repeatable });
  }

  onTry(): void {
    this.#sink.onTry();
  }

  onReached(connection: UpstreamConnection): void {
    this.#connection = connection;
    this.#sink.onLegReached(this);
  }

  respond(failure: Failure): void {
    this.#connection = undefined;
    this.#isOver = true;
    this.#attempts.finish();
    this.#sink.respond(failure);
  }

  get perTryMs(): number | undefined {
    return this.#attempts.perTryMs;
  }

  expire(): boolean {
    return this.#attempts.expire();
  }

  get secure(): TlsPeer | undefined {
    return this.#connection?.secure;
  }

  get facts(): CallFacts | undefined {
    return this.#connection?.facts;
  }

  sendData(chunk: Buffer, start: number, end: number, isEnd: boolean): boolean {
    this.requestComplete = isEnd;
    const data = Buffer.from(chunk.subarray(start, end));
    const bytes = this.#isChunked ? encodeChunk(data, isEnd) : data;
    if (bytes.length === 0 || this.#connection === undefined) return true;
    return this.#connection.write(bytes, 0, bytes.length);
  }

  // Where the request has a length there is no place for them, and RFC 9110 section 6.5.1 lets them go.
  sendTrailers(fields: readonly string[]): void {
    this.requestComplete = true;
    if (!this.#isChunked) return;
    const bytes = encodeLastChunk(fields);
    this.#connection?.write(bytes, 0, bytes.length);
  }

  credit(bytes: number): void {
    this.#untaken -= bytes;
    if (!this.#isPaused || this.#untaken > MAX_UNTAKEN / 2) return;
    this.#isPaused = false;
    this.#connection?.resume();
  }

  cancel(): void {
    this.#isOver = true;
    this.#connection = undefined;
    this.#attempts.abandon();
  }

  onResponseHead(head: ResponseHead, part: BodyPart): void {
    if (!head.interim && this.#attempts.declines(head, part.last)) return;
    const fields = fieldsOf(head);
    if (head.interim) return this.#sink.onAnswer(head.status, fields, false);
    if (head.framing.kind === 'chunked') this.#answerChunks = new ChunkDecoder();
    const isEnd = part.last && part.start === part.end;
    this.#sink.onAnswer(head.status, fields, isEnd);
    if (isEnd) this.#end();
    else this.onResponseBody(part);
  }

  onResponseBody({ chunk, start, end, last }: BodyPart): void {
    const decoder = this.#answerChunks;
    if (last) this.#end();
    if (decoder === undefined) return this.#deliver(chunk, start, end, last);
    decoder.read(chunk, { start, end }, (from, to) => this.#deliver(chunk, from, to, false));
    if (!last) return;
    if (decoder.trailers.length > 0) this.#sink.onAnswerTrailers(decoder.trailers);
    else this.#sink.onAnswerData(chunk, end, end, true);
  }

  onSwitched(): void {
    // Nothing was asked for, so `UpstreamConnection` refuses it before it comes here.
    this.cancel();
  }

  onSwitchedBytes(): void {
    // See `onSwitched`.
  }

  onSwitchedEnd(): void {
    // See `onSwitched`.
  }

  onUpstreamDrain(): void {
    this.#sink.onLegDrain();
  }

  onUpstreamFailure(detail: string, untouched: boolean): void {
    this.#connection = undefined;
    if (!this.#isOver) this.#attempts.fail(detail, untouched);
  }

  #deliver(chunk: Buffer, start: number, end: number, isEnd: boolean): void {
    if (end === start && !isEnd) return;
    this.#untaken += end - start;
    this.#sink.onAnswerData(chunk, start, end, isEnd);
    if (this.#untaken <= MAX_UNTAKEN || this.#isPaused || this.#connection === undefined) return;
    this.#isPaused = true;
    this.#connection.pause();
  }

  #end(): void {
    this.#isOver = true;
    this.#connection = undefined;
    this.#attempts.finish();
  }
}

// INVARIANT: names are tokens and values have no line ends: the codec refused everything else.
function serialize(request: OutgoingRequest, isChunked: boolean): Buffer {
  const { method, target, host, fields, contentLength, isEnd } = request;
  const lines = [`${method} ${target} HTTP/1.1`, `host: ${host}`];
  const cookies: string[] = [];
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at] as string;
    // RFC 9113 section 8.2.3: crumbs of a cookie are put together again.
    if (name === 'cookie') cookies.push(fields[at + 1] as string);
    else if (name !== 'te') lines.push(`${name}: ${fields[at + 1]}`);
  }
  if (cookies.length > 0) lines.push(`cookie: ${cookies.join('; ')}`);
  if (isChunked) lines.push('transfer-encoding: chunked');
  else if (isEnd && contentLength < 0 && WITH_LENGTH.has(method)) lines.push('content-length: 0');
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
}

// Without what ends at the hop; in HTTP/2 it must not be there.
function fieldsOf(head: ResponseHead): readonly string[] {
  const { fields, status } = head;
  const isLengthless = status < 200 || status === 204;
  const found: string[] = [];
  for (let index = 0; index < fields.count; index++) {
    if (((HOP_BY_HOP >> fields.code(index)) & 1) !== 0) continue;
    const name = fields.nameAt(index);
    if (name === 'transfer-encoding' || (isLengthless && name === 'content-length')) continue;
    found.push(name, fields.valueAt(index));
  }
  return found;
}
