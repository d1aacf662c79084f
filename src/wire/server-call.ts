import { EventEmitter } from 'node:events';
import { type DescMessage, fromBinary } from '@bufbuild/protobuf';
import { status } from '@grpc/grpc-js';
import type { H2Connection, H2Stream, H2StreamSink } from '#protocol';
import {
  type BadHead,
  type CallHead,
  type CallMetadata,
  type CallRefusal,
  RESPONSE_HEAD,
  statusTrailers,
} from './call-head.ts';
import { MessageReader } from './message-reader.ts';
import { encodeFrame } from './service.ts';

/** Answers a unary call, once. */
export type Reply<Response> = (refusal: CallRefusal | null, response?: Response) => void;

/** How a method is answered. */
export type Method = {
  readonly kind: 'unary' | 'server_streaming' | 'bidi_streaming';
  readonly input: DescMessage;
  readonly output: DescMessage;
  /** Called with the `GrpcCall`, and for a unary one with its `Reply`. */
  readonly handle: (call: never, done: never) => unknown;
};

/** Where a call came from, and how it is answered. */
export type CallOptions = {
  readonly connection: H2Connection;
  readonly stream: H2Stream;
  readonly method: Method;
  readonly head: CallHead;
  /** The name of its connection. */
  readonly peer: string;
  readonly maxMessageBytes: number;
  /** A handler threw: who called is told that it was not its fault. */
  readonly onFailed: (error: unknown) => void;
};

// setTimeout takes no more; nobody waits for so long (24 days).
const MAX_TIMER_MS = 0x7fff_ffff;
const ONE_MESSAGE: CallRefusal = { code: status.INTERNAL, details: 'the call has one message' };

/**
 * One call at its server. Events: `data` with each message of a caller that streams, and `end` after its last; `drain` when
 * more may be written; `cancelled` when the caller is gone, or its time is up; `close` at last, however it went. Messages
 * wait until somebody listens to them, and while the call is paused: then the caller's window keeps it from sending more.
 */
export class GrpcCall<Request, Response> extends EventEmitter implements H2StreamSink {
  readonly metadata: CallMetadata;
  /** Nobody reads what is written any more. */
  cancelled = false;
  readonly #options: CallOptions;
  readonly #reader: MessageReader;
  readonly #deadline: NodeJS.Timeout | undefined;
  #request: Request | undefined;
  #waiting: Buffer[] = [];
  /** Bytes of waiting messages that their sender has no credit for yet. */
  #uncredited = 0;
  #isFlowing = false;
  /** The caller has said all; whether `end` has told so. */
  #hasAllCome = false;
  #hasToldEnd = false;
  #hasHead = false;
  #isBlocked = false;
  #isOver = false;

  constructor(options: CallOptions) {
    super();
    const { head, maxMessageBytes } = options;
    this.#options = options;
    this.metadata = head.metadata;
    this.#reader = new MessageReader(maxMessageBytes, head.encoding);
    if (head.timeoutMs !== undefined) {
      const ms = Math.min(head.timeoutMs, MAX_TIMER_MS);
      this.#deadline = setTimeout(() => this.#expire(), ms).unref();
    }
  }

  /** The message of a caller that sends one; it is there before the handler is called. */
  get request(): Request {
    return this.#request as Request;
  }

  /** Whether what is written has to wait: `drain` follows. */
  get isBlocked(): boolean {
    return this.#isBlocked;
  }

  /** The name of the connection that the call came on. */
  getPeer(): string {
    return this.#options.peer;
  }

  /** Begins: `isEnd` where the caller has said all it had to say. Returns who hears what it says. */
  start(isEnd: boolean): H2StreamSink {
    if (this.#options.method.kind === 'bidi_streaming') this.#handle();
    if (isEnd) this.#onEnd();
    return this;
  }

  override on(event: string, listener: (...values: never[]) => void): this {
    super.on(event, listener as (...values: unknown[]) => void);
    // As a stream of Node.js has it: who listens wants to hear, and may say more about it in this turn.
    if (event === 'data') process.nextTick(() => this.resume());
    return this;
  }

  /** Sends one message; false if what follows should wait for `drain`. */
  write(message: Response): boolean {
    if (this.#isOver) return false;
    const { connection, method, stream } = this.#options;
    this.sendMetadata();
    const frame = encodeFrame(method.output, message as object);
    this.#isBlocked = !connection.sendData(stream, frame, 0, frame.length, false);
    return !this.#isBlocked;
  }

  /** Tells the caller that the call is being answered, before there is anything to say. */
  sendMetadata(): void {
    if (this.#hasHead || this.#isOver) return;
    this.#hasHead = true;
    const { connection, stream } = this.#options;
    connection.respond(stream, RESPONSE_HEAD, false);
  }

  /** Ends the call well. */
  end(): void {
    this.#finish(undefined);
  }

  /** Ends the call with a status that is none of success. */
  refuse(refusal: CallRefusal): void {
    this.#finish(refusal);
  }

  /** Lets no more messages come. */
  pause(): void {
    this.#isFlowing = false;
  }

  resume(): void {
    if (this.#isFlowing || this.#isOver) return;
    this.#isFlowing = true;
    this.#deliver();
  }

  onData(chunk: Buffer, start: number, end: number, isEnd: boolean): void {
    if (this.#isOver) return;
    const problem = this.#reader.take(chunk, start, end, (bytes) => this.#waiting.push(bytes));
    if (problem !== undefined) return this.refuse(problem);
    const isStreaming = this.#options.method.kind === 'bidi_streaming';
    // SECURITY: at once, not at the end: a caller that never ends its call would have as many kept as it likes.
    if (!isStreaming && this.#waiting.length > 1) return this.refuse(ONE_MESSAGE);
    this.#uncredited += end - start;
    if (!isStreaming) this.#credit();
    else if (this.#isFlowing) this.#deliver();
    if (isEnd) this.#onEnd();
  }

  onTrailers(): void {
    if (!this.#isOver) this.#onEnd();
  }

  onReset(): void {
    if (!this.#isOver) this.#cancel();
  }

  onDrain(): void {
    if (this.#isOver) return;
    this.#isBlocked = false;
    this.emit('drain');
  }

  #onEnd(): void {
    this.#hasAllCome = true;
    if (this.#reader.isPartial) {
      return this.refuse({ code: status.INTERNAL, details: 'a message is not complete' });
    }
    if (this.#options.method.kind === 'bidi_streaming') {
      if (this.#isFlowing) this.#deliver();
      return;
    }
    const [bytes] = this.#waiting;
    if (bytes === undefined) return this.refuse(ONE_MESSAGE);
    this.#request = this.#decode(bytes);
    if (this.#request !== undefined) this.#handle();
  }

  #deliver(): void {
    while (this.#isFlowing && !this.#isOver) {
      const bytes = this.#waiting.shift();
      if (bytes === undefined) break;
      const message = this.#decode(bytes);
      if (message !== undefined) this.emit('data', message);
    }
    if (!this.#isFlowing || this.#isOver) return;
    this.#credit();
    if (!this.#hasAllCome || this.#hasToldEnd) return;
    this.#hasToldEnd = true;
    // A call that Node.js cancels ends for a moment before it is reset, hence the second look.
    setImmediate(() => {
      if (!this.#isOver) this.emit('end');
    });
  }

  #credit(): void {
    const { connection, stream } = this.#options;
    connection.credit(stream, this.#uncredited);
    this.#uncredited = 0;
  }

  #decode(bytes: Buffer): Request | undefined {
    try {
      return fromBinary(this.#options.method.input, bytes) as Request;
    } catch {
      // SECURITY: whatever it is, it is no message of this method.
      this.refuse({ code: status.INTERNAL, details: 'a message is malformed' });
      return undefined;
    }
  }

  #handle(): void {
    const { method } = this.#options;
    const done: Reply<Response> = (refusal, response) => {
      if (refusal === null && response !== undefined) this.write(response);
      this.#finish(refusal ?? undefined);
    };
    try {
      const working = method.handle(this as never, done as never);
      if (working instanceof Promise) working.catch((error: unknown) => this.#fail(error));
    } catch (error) {
      this.#fail(error);
    }
  }

  // SECURITY: what broke is for the server's own log.
  #fail(error: unknown): void {
    this.#options.onFailed(error);
    this.refuse({ code: status.INTERNAL, details: 'the server failed; its log says why' });
  }

  #expire(): void {
    this.#finish({ code: status.DEADLINE_EXCEEDED, details: 'the call took too long' });
    this.#cancel();
  }

  #finish(refusal: CallRefusal | undefined): void {
    if (this.#isOver) return;
    const { connection, stream } = this.#options;
    const trailers = statusTrailers(refusal);
    if (this.#hasHead) connection.sendTrailers(stream, trailers);
    // PROTOCOL-HTTP2.md, `Trailers-Only`.
    else connection.respond(stream, [...RESPONSE_HEAD, ...trailers], true);
    // RFC 9113 section 8.1: a caller that still streams is told to stop, once it has been answered.
    if (!stream.remoteClosed) connection.endEarly(stream);
    this.#close();
  }

  #cancel(): void {
    this.cancelled = true;
    this.#close();
    this.emit('cancelled');
  }

  #close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#waiting = [];
    clearTimeout(this.#deadline);
    process.nextTick(() => this.emit('close'));
  }
}

/** Answers a request that is no call: as HTTP has it, or as gRPC. */
export function answerNoCall(
  connection: H2Connection,
  stream: H2Stream,
  why: BadHead,
): H2StreamSink {
  const head =
    why.kind === 'http'
      ? [':status', why.status]
      : [...RESPONSE_HEAD, ...statusTrailers(why.refusal)];
  connection.respond(stream, head, true);
  if (!stream.remoteClosed) connection.endEarly(stream);
  return NOBODY;
}

/** For what still comes on a stream that was answered. */
const NOBODY: H2StreamSink = {
  onData: () => undefined,
  onTrailers: () => undefined,
  onReset: () => undefined,
  onDrain: () => undefined,
};
