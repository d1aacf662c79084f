import type { Socket } from 'node:net';
import { H2_CODE, H2Connection, type H2Events, type H2Limits } from '#protocol';

/** How a server's end of an HTTP/2 connection is put on a socket. */
export type H2SocketOptions = {
  readonly onRequest: NonNullable<H2Events['onRequest']>;
  /** Why the connection is given up, where its peer broke a rule. */
  readonly onBroken: (reason: string) => void;
  readonly maxStreams: number;
  /** Whether a silent peer is asked for a sign of life: across a network nothing else tells that it is gone. */
  readonly isProbed: boolean;
};

const LIMITS = {
  // The soft and hard limits of gRPC's own servers for a call's metadata are 8 and 16 KiB.
  maxFieldBytes: 16 * 1024,
  // SECURITY: what one connection may have done in a turn of the event loop: others wait meanwhile.
  requestsPerRead: 16,
  framesPerRead: 128,
  // A watcher that has what it wanted cancels: that is a reset each time. CVE-2023-44487 needs many times as many.
  resetBurst: 1_000,
} as const satisfies Partial<H2Limits>;
/** For a preface and SETTINGS to be acknowledged, and for a header block that has begun. */
const HEAD_MS = 10_000;
const PROBED_AFTER_MS = 20_000;
// Less than this is copied: a thousand connections that are told a word at once would each hold a buffer of 128 KiB until it
// has left, and that many are not kept at hand.
const COPIED_BYTES = 4 * 1024;
/** What a peer gets to read what was said last. */
const LINGER_MS = 1_000;

/**
 * The server's end of an HTTP/2 connection. What one read brings is answered in one write, as far as the answers are there;
 * what is said later leaves at the end of its turn. One write at a time: of a peer that does not read, what waits is bounded
 * by the connection (`maxGatherBytes`, windows).
 */
export class H2Socket {
  readonly #socket: Socket;
  readonly #options: H2SocketOptions;
  readonly #connection: H2Connection;
  /** What was read beyond what one turn takes. */
  #rest: Buffer | undefined;
  #isReading = false;
  #isScheduled = false;
  #isWriting = false;
  #isFinishing = false;
  readonly #startedAt = performance.now();
  #wholeAt = this.#startedAt;
  #heardAt = this.#startedAt;
  #probedAt: number | undefined;

  constructor(socket: Socket, options: H2SocketOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#connection = new H2Connection({
      role: 'server',
      limits: { ...LIMITS, maxStreams: options.maxStreams },
      events: {
        onOutput: () => this.#schedule(),
        onRequest: options.onRequest,
        onRefused: (error, scope) => {
          if (scope === 'connection') options.onBroken(error);
        },
      },
    });
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('close', () => this.#connection.closed());
    this.#connection.start();
  }

  get connection(): H2Connection {
    return this.#connection;
  }

  /** Looks after what no frame tells: silence. To be called every few seconds; `nowMs` is a monotonic clock. */
  tick(nowMs: number): void {
    const connection = this.#connection;
    connection.tick(nowMs);
    if (!connection.isHeadPartial) this.#wholeAt = nowMs;
    // RFC 9113 section 6.5.3. A preface that never comes is one that was not acknowledged either.
    const isSilent = !connection.isSettled && nowMs - this.#startedAt > HEAD_MS;
    if (isSilent || nowMs - this.#wholeAt > HEAD_MS) {
      connection.abort(H2_CODE.SETTINGS_TIMEOUT, 'h2_settings_timeout');
      return this.finish();
    }
    if (this.#options.isProbed) this.#probe(nowMs);
  }

  /** Takes no more calls, says so, and ends the connection once that has left; those under way end with it. */
  shutdown(): void {
    this.#connection.shutdown();
    this.finish();
  }

  /** Sends what there is to send, then ends the connection. */
  finish(): void {
    if (this.#isFinishing) return;
    this.#isFinishing = true;
    setTimeout(() => this.#socket.destroy(), LINGER_MS).unref();
    this.#schedule();
  }

  #probe(nowMs: number): void {
    if (this.#probedAt !== undefined && nowMs - this.#probedAt > PROBED_AFTER_MS) {
      this.#socket.destroy();
    } else if (this.#probedAt === undefined && nowMs - this.#heardAt > PROBED_AFTER_MS) {
      this.#probedAt = nowMs;
      this.#connection.ping();
    }
  }

  #take(chunk: Buffer): void {
    // It was under way when the socket was paused.
    if (this.#rest === undefined) this.#read(chunk);
    else this.#rest = Buffer.concat([this.#rest, chunk]);
  }

  #read(chunk: Buffer): void {
    const nowMs = performance.now();
    this.#heardAt = nowMs;
    this.#probedAt = undefined;
    this.#isReading = true;
    const end = this.#connection.receive(chunk, nowMs);
    this.#isReading = false;
    if (this.#connection.failed !== undefined) this.finish();
    else if (end < chunk.length) {
      this.#rest = chunk.subarray(end);
      this.#socket.pause();
      setImmediate(this.#readRest);
    }
    this.#flush();
  }

  readonly #readRest = (): void => {
    const rest = this.#rest;
    this.#rest = undefined;
    if (rest === undefined || this.#socket.destroyed) return;
    this.#read(rest);
    if (this.#rest === undefined) this.#socket.resume();
  };

  #schedule(): void {
    if (this.#isScheduled || this.#isWriting || this.#isReading) return;
    this.#isScheduled = true;
    process.nextTick(this.#flushLater);
  }

  readonly #flushLater = (): void => {
    this.#isScheduled = false;
    this.#flush();
  };

  #flush(): void {
    if (this.#isWriting || !this.#socket.writable) return;
    const out = this.#connection.takeOutput();
    if (out === undefined) {
      if (this.#isFinishing) this.#socket.destroySoon();
      return;
    }
    this.#isWriting = true;
    if (out.length > COPIED_BYTES) {
      this.#socket.write(out, () => {
        this.#connection.release(out);
        this.#onWritten();
      });
      return;
    }
    const copy = Buffer.from(out);
    this.#connection.release(out);
    this.#socket.write(copy, this.#onWritten);
  }

  // Called when it failed as well: then the socket closes.
  readonly #onWritten = (): void => {
    this.#isWriting = false;
    this.#flush();
  };
}
