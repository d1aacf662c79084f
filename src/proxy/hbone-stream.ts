import { H2_CODE, type H2Connection, type H2Stream, type H2StreamSink } from '#protocol';
import type { BytePipe, PipeEvents } from './pipe.ts';
import { type FailureKind, isFailureKind, statusOf } from './respond.ts';

const EMPTY = Buffer.alloc(0);
const NOBODY: PipeEvents = {
  onData: () => undefined,
  onEnd: () => undefined,
  onDrain: () => undefined,
  onClose: () => undefined,
};

/**
 * One CONNECT stream of a tunnel as a pipe (RFC 9113 section 8.5): its DATA frames are the bytes.
 * The window is given back as fast as the reader takes them, so that back-pressure goes end to end.
 */
export class TunnelStream implements BytePipe, H2StreamSink {
  readonly halfCloses = true;
  readonly drainsByPeer = true;
  isRetired = false;
  closed = false;
  isBehind = false;
  refused: FailureKind | undefined;
  readonly #connection: H2Connection;
  #stream: H2Stream | undefined;
  #events = NOBODY;
  /** What came while nobody would have it; bounded by the stream's window. */
  #held: Buffer[] = [];
  #paused: boolean;
  /** Bytes taken in and not given back to the window. */
  #owed = 0;
  #localEnded = false;
  #remoteEnded = false;
  #endTold = false;
  #answered: boolean;

  private constructor(connection: H2Connection, isServer: boolean) {
    this.#connection = connection;
    this.#answered = !isServer;
    // A stream that was opened is read from at once, like a connection that was made.
    this.#paused = isServer;
  }

  /** Client: opens a stream to `authority`; undefined if the connection takes no more. */
  static open(connection: H2Connection, authority: string): TunnelStream | undefined {
    const opened = new TunnelStream(connection, false);
    const head = [':method', 'CONNECT', ':authority', authority];
    opened.#stream = connection.open(head, false, opened);
    return opened.#stream === undefined ? undefined : opened;
  }

  /** Server: takes a stream that the peer opened. It is answered once somebody wants its bytes. */
  static accept(connection: H2Connection, stream: H2Stream): TunnelStream {
    const accepted = new TunnelStream(connection, true);
    accepted.#stream = stream;
    return accepted;
  }

  get writable(): boolean {
    return !this.closed && !this.#localEnded;
  }

  get unsentBytes(): number {
    return this.#stream?.pendingBytes ?? 0;
  }

  attach(events: PipeEvents): void {
    this.#events = events;
    if (this.closed) process.nextTick(() => events.onClose());
  }

  write(bytes: Buffer, onWritten?: (bytes: Buffer) => void): boolean {
    const flowing = this.writeLent(bytes, 0, bytes.length);
    // The connection has copied them.
    onWritten?.(bytes);
    return flowing;
  }

  writeLent(chunk: Buffer, start: number, end: number): boolean {
    const stream = this.#stream;
    if (stream === undefined || !this.writable) return true;
    this.#answer();
    this.isBehind = !this.#connection.sendData(stream, chunk, start, end, false);
    return !this.isBehind;
  }

  end(): void {
    const stream = this.#stream;
    if (stream === undefined || !this.writable) return;
    this.#answer();
    this.#localEnded = true;
    this.#connection.sendData(stream, EMPTY, 0, 0, true);
    this.#closeIfOver();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    if (this.closed || !this.#paused) return;
    this.#answer();
    this.#paused = false;
    if (this.#held.length > 0 || (this.#remoteEnded && !this.#endTold)) {
      // INVARIANT: events come from an event of their own.
      process.nextTick(() => this.#deliverHeld());
    }
    this.#giveBack();
  }

  destroy(): void {
    this.#fail(H2_CODE.CANCEL);
  }

  reset(reason?: FailureKind): void {
    const stream = this.#stream;
    if (stream === undefined || this.#answered || this.closed) {
      return this.#fail(H2_CODE.CONNECT_ERROR);
    }
    this.#answered = true;
    const kind = reason ?? 'upstream_failed';
    const fields = [':status', `${statusOf(kind)}`, 'x-palisade-reason', kind];
    this.#connection.respond(stream, fields, true);
    // RFC 9113 section 8.1: the answer is complete, so the rest of the request is not wanted.
    this.#fail(H2_CODE.NO_ERROR);
  }

  // Client: the answer to CONNECT. RFC 9110 section 9.3.6: any 2xx is success.
  onResponse({ status, fields }: ConnectAnswer): void {
    if (status < 300) return;
    this.refused = refusalOf(status, fields);
    this.#fail(H2_CODE.CANCEL);
  }

  onData(chunk: Buffer, start: number, end: number, isEnd: boolean): void {
    if (this.closed) return;
    if (isEnd) this.#remoteEnded = true;
    if (this.#paused || this.#held.length > 0) {
      if (end > start) this.#held.push(Buffer.from(chunk.subarray(start, end)));
      return;
    }
    if (end > start) this.#deliver(chunk.subarray(start, end));
    this.#tellEnd();
  }

  // RFC 9113 section 8.5: nothing but DATA may come on a tunnel, so this ends it.
  onTrailers(): void {
    this.#fail(H2_CODE.PROTOCOL_ERROR);
  }

  onReset(): void {
    this.#close();
  }

  /** The tunnel will end: whoever keeps the stream for later should not. */
  retire(): void {
    this.isRetired = true;
    if (!this.closed) this.#events.onRetire?.();
  }

  onDrain(): void {
    this.isBehind = false;
    if (!this.closed) this.#events.onDrain();
  }

  #answer(): void {
    if (this.#answered || this.#stream === undefined) return;
    this.#answered = true;
    this.#connection.respond(this.#stream, OK, false);
  }

  #deliver(bytes: Buffer): void {
    this.#owed += bytes.length;
    this.#events.onData(bytes);
    this.#giveBack();
  }

  #deliverHeld(): void {
    while (this.#held.length > 0 && !this.#paused && !this.closed) {
      this.#deliver(this.#held.shift() as Buffer);
    }
    if (this.#held.length === 0) this.#tellEnd();
  }

  #tellEnd(): void {
    if (!this.#remoteEnded || this.#endTold || this.#paused || this.closed) return;
    this.#endTold = true;
    this.#events.onEnd();
    this.#closeIfOver();
  }

  // A reader that paused has what it was given still on its way: the peer waits with it.
  #giveBack(): void {
    if (this.#paused || this.#owed === 0 || this.#stream === undefined) return;
    const owed = this.#owed;
    this.#owed = 0;
    if (!this.closed) this.#connection.credit(this.#stream, owed);
  }

  #closeIfOver(): void {
    if (this.#localEnded && this.#endTold && !this.closed) this.#closeSoon();
  }

  #fail(code: number): void {
    if (this.closed) return;
    if (this.#stream !== undefined) this.#connection.reset(this.#stream, code);
    this.#closeSoon();
  }

  #closeSoon(): void {
    if (this.closed) return;
    this.closed = true;
    this.#held = [];
    process.nextTick(() => this.#events.onClose());
  }

  #close(): void {
    if (this.closed) return;
    this.closed = true;
    this.#held = [];
    this.#events.onClose();
  }
}

const OK = [':status', '200'];

type ConnectAnswer = { readonly status: number; readonly fields: readonly string[] };

/**
 * What a refused CONNECT comes to. Sidecars of ours say it; a ztunnel says 401 for what policy denies, Envoy 403, and
 * 400, 404 or 503 for what it cannot reach or does not know.
 */
function refusalOf(status: number, fields: readonly string[]): FailureKind {
  const at = fields.indexOf('x-palisade-reason');
  const reason = at % 2 === 0 ? fields[at + 1] : undefined;
  if (reason !== undefined && isFailureKind(reason)) return reason;
  return status === 401 || status === 403 ? 'policy_denied' : 'upstream_connect_failed';
}
