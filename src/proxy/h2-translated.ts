import {
  BodyReader,
  ChunkDecoder,
  createRequestReader,
  encodeChunk,
  encodeLastChunk,
  FIELD,
  fieldSet,
  HOP_BY_HOP,
  type RequestHead,
} from '#protocol';
import type { Leg, LegSink, OutgoingRequest } from './h2-leg.ts';
import type { H2Upstream } from './h2-upstream.ts';
import type { BytePipe, PipeEvents } from './pipe.ts';

/** What HTTP/2 says otherwise: the authority, and where the body ends. */
const DROPPED = HOP_BY_HOP | fieldSet(FIELD.HOST, FIELD.TRANSFER_ENCODING);
/** How long the end of a stream may take whose answer has all its bytes. */
const LATE_END_MS = 250;

/** What looks like an HTTP/1.1 connection, good for one exchange, to a server that speaks HTTP/2. */
export function translated(server: H2Upstream): BytePipe {
  return new TranslatedPipe(server);
}

/** Speaks HTTP/1.1 to whoever writes to it, and is a stream of an HTTP/2 connection. */
class TranslatedPipe implements BytePipe, LegSink {
  closed = false;
  isBehind = false;
  readonly unsentBytes = 0;
  readonly halfCloses = true;
  readonly drainsByPeer = false;
  readonly isRetired = false;
  readonly #server: H2Upstream;
  readonly #reader = createRequestReader({ pathNormalization: () => 'NONE' });
  readonly #body = new BodyReader();
  #events: PipeEvents | undefined;
  #head: RequestHead | undefined;
  #method = '';
  #chunks: ChunkDecoder | undefined;
  #leg: Leg | undefined;
  #isPaused = false;
  #owed = 0;
  #isChunkedAnswer = false;
  /** Bytes of the answer that have not come; unknown where it does not say how long it is. */
  #left = Number.POSITIVE_INFINITY;

  constructor(server: H2Upstream) {
    this.#server = server;
  }

  get writable(): boolean {
    return !this.closed;
  }

  attach(events: PipeEvents): void {
    this.#events = events;
  }

  write(bytes: Buffer, onWritten?: (bytes: Buffer) => void): boolean {
    const isFlowing = this.writeLent(bytes, 0, bytes.length);
    onWritten?.(bytes);
    return isFlowing;
  }

  writeLent(chunk: Buffer, start: number, end: number): boolean {
    let at = start;
    const bytes = chunk.subarray(0, end);
    if (this.#head === undefined) {
      const head = this.#reader.read(bytes, at);
      if (head.kind === 'more') return true;
      // It was read by the same rules before it was written to us.
      if (head.kind === 'refuse') return this.#failLater();
      at += head.consumed;
      if (!this.#begin(head)) return this.#failLater();
    }
    if (at === end || this.#body.complete) return true;
    return this.#sendBody(bytes, at);
  }

  end(): void {
    // One exchange ends by itself; there is nothing more to say.
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    const owed = this.#owed;
    this.#owed = 0;
    if (owed > 0) this.#leg?.credit(owed);
  }

  destroy(): void {
    if (this.closed) return;
    // Its user is content with the length; a server may end the stream in a frame of its own, and one that
    // sees it cancelled takes it for an attack when there are many.
    if (this.#left === 0 && this.#body.complete) setTimeout(this.#cancel, LATE_END_MS).unref();
    else this.#cancel();
    this.#close();
  }

  reset(): void {
    this.destroy();
  }

  onAnswer(status: number, fields: readonly string[], isEnd: boolean): void {
    // A final answer is the last one: the next exchange gets a stream of its own.
    const lines = [`HTTP/1.1 ${status} `, ...(status < 200 ? [] : ['connection: close'])];
    for (let at = 0; at < fields.length; at += 2) {
      if (fields[at] === 'content-length') this.#left = Number(fields[at + 1]);
      lines.push(`${fields[at]}: ${fields[at + 1]}`);
    }
    const isBodyless = status < 200 || status === 204 || status === 304 || this.#method === 'HEAD';
    if (isBodyless && status >= 200) this.#left = 0;
    if (!isBodyless && this.#left === Number.POSITIVE_INFINITY) {
      this.#isChunkedAnswer = !isEnd;
      lines.push(isEnd ? 'content-length: 0' : 'transfer-encoding: chunked');
    }
    if (isEnd) this.#answered();
    this.#tell(Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'));
  }

  onAnswerData(chunk: Buffer, start: number, end: number, isEnd: boolean): void {
    const length = end - start;
    if (this.#isPaused) this.#owed += length;
    else this.#leg?.credit(length);
    this.#left -= length;
    if (isEnd) this.#answered();
    const data = chunk.subarray(start, end);
    this.#tell(this.#isChunkedAnswer ? encodeChunk(data, isEnd) : data);
  }

  onAnswerTrailers(fields: readonly string[]): void {
    this.#answered();
    if (this.#isChunkedAnswer) this.#tell(encodeLastChunk(fields));
  }

  onLegDrain(): void {
    this.isBehind = false;
    this.#events?.onDrain();
  }

  onLegFailure(): void {
    this.#leg = undefined;
    this.#close();
  }

  #begin(head: RequestHead): boolean {
    this.#head = head;
    this.#method = head.method;
    this.#body.start(head.framing);
    if (head.framing.kind === 'chunked') this.#chunks = new ChunkDecoder();
    else if (head.framing.kind === 'none') this.#body.read(Buffer.alloc(0), 0);
    this.#leg = this.#server.open(outgoingOf(head), this);
    return this.#leg !== undefined;
  }

  #sendBody(bytes: Buffer, start: number): boolean {
    const end = this.#body.read(bytes, start);
    if (this.#body.error !== undefined) return this.#failLater();
    const isEnd = this.#body.complete;
    const leg = this.#leg;
    if (leg === undefined) return true;
    let isFlowing = true;
    if (this.#chunks === undefined) isFlowing = leg.sendData(bytes, start, end, isEnd);
    else {
      this.#chunks.read(bytes, { start, end }, (from, to) => {
        isFlowing = leg.sendData(bytes, from, to, false);
      });
      if (isEnd && this.#chunks.trailers.length > 0) leg.sendTrailers(this.#chunks.trailers);
      else if (isEnd) isFlowing = leg.sendData(bytes, end, end, true);
    }
    this.isBehind = !isFlowing && !isEnd;
    return !this.isBehind;
  }

  // Once the request has been sent whole too, the stream is over by itself.
  #answered(): void {
    if (this.#body.complete) this.#leg = undefined;
  }

  readonly #cancel = (): void => {
    const leg = this.#leg;
    this.#leg = undefined;
    leg?.cancel();
  };

  #tell(bytes: Buffer): void {
    if (!this.closed && bytes.length > 0) this.#events?.onData(bytes);
  }

  // Not from within a method of the pipe: its user expects an event.
  #failLater(): boolean {
    setImmediate(() => this.destroy());
    return true;
  }

  #close(): void {
    if (this.closed) return;
    this.closed = true;
    this.#events?.onClose();
  }
}

function outgoingOf(head: RequestHead): OutgoingRequest {
  const { fields, framing } = head;
  const kept: string[] = [];
  for (let index = 0; index < fields.count; index++) {
    if (((DROPPED >> fields.code(index)) & 1) !== 0) continue;
    kept.push(fields.nameAt(index), fields.valueAt(index));
  }
  return {
    method: head.method,
    target: head.target,
    host: head.host,
    fields: kept,
    contentLength: framing.kind === 'length' ? framing.length : -1,
    isEnd: framing.kind === 'none',
  };
}
