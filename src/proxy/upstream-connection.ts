import {
  type AnsweredRequest,
  BodyReader,
  createResponseReader,
  type ResponseHead,
} from '#protocol';
import type { BodyPart } from './answer.ts';
import type { BytePipe } from './pipe.ts';
import type { PoolUse } from './pool.ts';
import type { CallFacts } from './record.ts';
import type { FailureKind } from './respond.ts';
import type { TlsPeer } from './tls-peer.ts';

/** The exchange that an upstream connection is answering. Bytes handed over are not kept. */
export type AnswerSink = AnsweredRequest & {
  /** All of the request has been written: the connection may serve another one afterwards. */
  readonly requestComplete: boolean;
  readonly onResponseHead: (head: ResponseHead, part: BodyPart) => void;
  readonly onResponseBody: (part: BodyPart) => void;
  /** The server agreed to another protocol. */
  readonly onSwitched: (head: ResponseHead) => void;
  /** Bytes of that protocol, lent. */
  readonly onSwitchedBytes: (chunk: Buffer, start: number, end: number) => void;
  /** The server said all it will say in that protocol. */
  readonly onSwitchedEnd: () => void;
  /** More of the request may be written. */
  readonly onUpstreamDrain: () => void;
  /** `untouched`: not one byte of an answer came. */
  readonly onUpstreamFailure: (detail: string, untouched: boolean) => void;
};

/** What a connection tells its pool. */
export type UpstreamEvents = {
  readonly onIdle: (connection: UpstreamConnection) => void;
  readonly onGone: (connection: UpstreamConnection) => void;
};

const NOTHING = Buffer.alloc(0);
const NO_REQUEST = { method: '', upgrade: '', requestComplete: false };
/** How long an answer may take that nobody waits for. */
const ABANDONED_MS = 250;

/** One HTTP/1.1 connection to a server: answers one exchange at a time, strictly read. */
export class UpstreamConnection {
  /** SPIFFE ID of a verified server; undefined for the own application. */
  readonly peerId: string | undefined;
  /** The connection to it, or the one that this is a stream of, to be judged again. */
  readonly secure: TlsPeer | undefined;
  /** Records' constant part for calls over this connection; undefined where the caller's side has it. */
  readonly facts: CallFacts | undefined;
  /** What the pool that keeps it knows it by. */
  use: PoolUse | undefined;
  /** Exchanges begun, so that a first failure is told from a stale connection. */
  begun = 0;
  /** When it was made, on the pool's clock. */
  madeAt = 0;
  /** When it became idle, on the pool's clock. */
  idleSince = 0;
  readonly #pipe: BytePipe;
  readonly #events: UpstreamEvents;
  readonly #reader = createResponseReader();
  readonly #body = new BodyReader();
  #sink: AnswerSink | undefined;
  #hasHead = false;
  #touched = false;
  #switched = false;
  #reusable: boolean;

  constructor(
    pipe: BytePipe,
    events: UpstreamEvents,
    peer?: { readonly secure: TlsPeer; readonly id: string; readonly facts: CallFacts },
  ) {
    this.#pipe = pipe;
    this.#events = events;
    this.secure = peer?.secure;
    this.peerId = peer?.id;
    this.facts = peer?.facts;
    this.#reusable = !pipe.isRetired;
    pipe.attach({
      onData: (chunk) => this.#onData(chunk),
      onEnd: () => this.#onEnd(),
      onDrain: () => this.#sink?.onUpstreamDrain(),
      onClose: () => this.#onClose(),
      onRetire: () => this.retire(),
    });
  }

  /** Whether another exchange may be begun on it; an ended one stays in the pool for a moment. */
  get usable(): boolean {
    return this.#reusable && this.#pipe.writable;
  }

  /** Why the other end of a tunnel would not have it; nothing of the exchange reached an application then. */
  get refused(): FailureKind | undefined {
    return this.#pipe.refused;
  }

  /** Starts an exchange with the head and first body bytes; false if writing should pause. */
  begin(sink: AnswerSink, message: Buffer): boolean {
    this.#sink = sink;
    this.#hasHead = false;
    this.#touched = false;
    this.begun++;
    // SECURITY: a server that ignores the wish may still take early bytes of the new protocol for a
    // request, and answer it to the next caller.
    if (sink.upgrade !== '') this.#reusable = false;
    return this.#pipe.write(message);
  }

  /** Writes more of the request's body, which is lent; false if writing should pause. */
  write(chunk: Buffer, start: number, end: number): boolean {
    return this.#pipe.writeLent(chunk, start, end);
  }

  /** The caller said all it will say; only of a protocol switched to. */
  end(): void {
    this.#pipe.end();
  }

  pause(): void {
    this.#pipe.pause();
  }

  resume(): void {
    this.#pipe.resume();
  }

  /** Nothing was begun on it after all: somebody else may. */
  giveBack(): void {
    if (this.usable) this.#events.onIdle(this);
    else this.destroy();
  }

  /** No exchange will be begun on it any more; one under way goes on. */
  retire(): void {
    this.#reusable = false;
    if (this.#sink === undefined) this.destroy();
  }

  /**
   * Nobody waits for the answer any more. What of it comes at once is dropped, which saves the
   * handshake of a new connection; then the connection ends, which tells the server to stop.
   */
  abandon(): void {
    const { method, upgrade, requestComplete } = this.#sink ?? NO_REQUEST;
    if (!requestComplete || (upgrade !== '' && !this.#switched)) return this.destroy();
    const nobody: AnswerSink = {
      method,
      upgrade,
      requestComplete,
      onResponseHead: () => undefined,
      onResponseBody: () => undefined,
      onSwitched: () => undefined,
      onSwitchedBytes: () => undefined,
      onSwitchedEnd: () => undefined,
      onUpstreamDrain: () => undefined,
      onUpstreamFailure: () => undefined,
    };
    this.#sink = nobody;
    this.#pipe.resume();
    const end = (): void => {
      if (this.#sink === nobody) this.destroy();
    };
    setTimeout(end, ABANDONED_MS).unref();
  }

  /** Ends it with whatever is under way, without telling the exchange. */
  destroy(): void {
    this.#sink = undefined;
    this.#reusable = false;
    this.#pipe.destroy();
  }

  #onData(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      const sink = this.#sink;
      // SECURITY: bytes that nobody asked for would become the answer to somebody's next request.
      if (sink === undefined) return this.destroy();
      this.#touched = true;
      if (this.#switched) return sink.onSwitchedBytes(chunk, at, chunk.length);
      const next = this.#hasHead
        ? this.#takeBody(sink, chunk, at)
        : this.#takeHead(sink, chunk, at);
      if (next < 0) return;
      at = next;
    }
  }

  #takeHead(sink: AnswerSink, chunk: Buffer, from: number): number {
    const head = this.#reader.read(chunk, from, sink);
    if (head.kind === 'more') return chunk.length;
    if (head.kind === 'refuse') return this.#fail(head.error);
    const start = from + head.consumed;
    if (head.interim) {
      sink.onResponseHead(head, { chunk, start, end: start, last: false });
      return start;
    }
    if (head.switched) {
      this.#switched = true;
      sink.onSwitched(head);
      if (start < chunk.length) sink.onSwitchedBytes(chunk, start, chunk.length);
      return chunk.length;
    }
    this.#body.start(head.framing);
    const end = this.#body.read(chunk, start);
    if (this.#body.error !== undefined) return this.#fail(this.#body.error);
    this.#hasHead = true;
    this.#reusable &&= head.keepAlive;
    const last = this.#body.complete;
    if (last) this.#release(end < chunk.length);
    sink.onResponseHead(head, { chunk, start, end, last });
    return end;
  }

  #takeBody(sink: AnswerSink, chunk: Buffer, start: number): number {
    const end = this.#body.read(chunk, start);
    if (this.#body.error !== undefined) return this.#fail(this.#body.error);
    const last = this.#body.complete;
    if (last) this.#release(end < chunk.length);
    sink.onResponseBody({ chunk, start, end, last });
    return end;
  }

  // Before the exchange is told, so that its connection is there for the next one.
  #release(moreCame: boolean): void {
    const sink = this.#sink;
    this.#sink = undefined;
    if (moreCame || !this.#reusable || sink?.requestComplete !== true) this.destroy();
    else this.#events.onIdle(this);
  }

  #onEnd(): void {
    const sink = this.#sink;
    if (this.#switched) return sink?.onSwitchedEnd();
    if (sink !== undefined && this.#hasHead && this.#body.end()) {
      this.#sink = undefined;
      this.destroy();
      sink.onResponseBody({ chunk: NOTHING, start: 0, end: 0, last: true });
    } else this.#fail('closed');
  }

  #onClose(): void {
    this.#fail('closed');
    this.#events.onGone(this);
  }

  #fail(detail: string): -1 {
    const sink = this.#sink;
    this.destroy();
    sink?.onUpstreamFailure(detail, !this.#touched);
    return -1;
  }
}
