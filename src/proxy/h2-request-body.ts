import type { H2Connection, H2Stream } from '#protocol';
import type { Leg } from './h2-leg.ts';

/** Body bytes that are kept in case their server has not processed them. */
const MAX_KEPT = 4096;

/**
 * The body of one HTTP/2 request on its way to a server, with the caller's window as back-pressure:
 * what came before there was a server waits, and what was sent is kept while it is little.
 */
export class H2RequestBody {
  /** All of the request has come. */
  isComplete = false;
  /** Bytes that have come. */
  bytes = 0;
  readonly #connection: H2Connection;
  readonly #stream: H2Stream;
  #kept: Buffer[] | undefined = [];
  /** Of those that have come: not sent to any server, so not credited to the caller. */
  #unsent = 0;
  #trailers: readonly string[] | undefined;
  /** Bytes to credit to the caller when the server has taken them. */
  #owed = 0;

  constructor(connection: H2Connection, stream: H2Stream) {
    this.#connection = connection;
    this.#stream = stream;
  }

  /** The request is over, and had neither body nor trailers. */
  get isNone(): boolean {
    return this.isComplete && this.bytes === 0 && this.#trailers === undefined;
  }

  /** All that has come can be sent to another server. */
  get isKept(): boolean {
    return this.#kept !== undefined;
  }

  /** More of the body, which is only lent; `leg` is the server, if there is one. */
  take(chunk: Buffer, range: { start: number; end: number; isEnd: boolean }, leg?: Leg): void {
    const { start, end, isEnd } = range;
    this.isComplete = isEnd;
    this.bytes += end - start;
    if (leg === undefined) {
      this.#unsent += end - start;
      // Bounded by the caller's window, which is opened once a server takes the bytes.
      if (end > start) this.#kept?.push(Buffer.from(chunk.subarray(start, end)));
      return;
    }
    if (this.bytes > MAX_KEPT) this.forget();
    else if (end > start) this.#kept?.push(Buffer.from(chunk.subarray(start, end)));
    if (leg.sendData(chunk, start, end, isEnd)) this.#credit(end - start);
    else this.#owed += end - start;
  }

  /** The request ends with these. */
  takeTrailers(fields: readonly string[], leg?: Leg): void {
    this.isComplete = true;
    this.#trailers = fields;
    leg?.sendTrailers(fields);
  }

  /** Sends what has come so far to a server that has the head. */
  sendTo(leg: Leg): void {
    const held = this.#kept ?? [];
    const unsent = this.#unsent;
    this.#unsent = 0;
    const isEnd = this.isComplete && this.#trailers === undefined;
    let isFlowing = true;
    for (const [index, part] of held.entries()) {
      const isLast = isEnd && index === held.length - 1;
      isFlowing = leg.sendData(part, 0, part.length, isLast);
    }
    if (this.#trailers !== undefined) leg.sendTrailers(this.#trailers);
    else if (isEnd && held.length === 0) leg.sendData(NOTHING, 0, 0, true);
    if (this.bytes > MAX_KEPT) this.forget();
    if (isFlowing) this.#credit(unsent);
    else this.#owed += unsent;
  }

  /** The server has taken what it was sent. */
  drained(): void {
    const owed = this.#owed;
    this.#owed = 0;
    this.#credit(owed);
  }

  /** No other server will be asked. */
  forget(): void {
    this.#kept = undefined;
  }

  #credit(bytes: number): void {
    if (bytes > 0) this.#connection.credit(this.#stream, bytes);
  }
}

const NOTHING = Buffer.alloc(0);
