import { performance } from 'node:perf_hooks';
import { H2Connection, type H2Events, type H2Limits } from '#protocol';
import type { BytePipe } from './pipe.ts';
import { writeTogether } from './socket-pipe.ts';

/** How an HTTP/2 connection is put on a pipe. */
export type H2TransportOptions = {
  readonly role: 'client' | 'server';
  /**
   * `tunnel`: frames of all streams that arise in one turn of the event loop go out in one write, and the connection ends with
   * its peer. `calls`: what one event brings leaves when it has been handled, and what was asked is answered to a peer that
   * has said all.
   */
  readonly carries: 'tunnel' | 'calls';
  readonly limits?: Partial<H2Limits>;
  readonly events: Omit<H2Events, 'onOutput'>;
  /** Bytes came and were handled. */
  readonly onRead?: () => void;
  /** What the pipe runs in will end. */
  readonly onRetire?: () => void;
  /** The pipe is gone, however it ended. Called once, before the streams hear of it: some will dial anew at once. */
  readonly onClose: () => void;
};

/** With no more streams in a tunnel there is nothing to wait for. */
const FEW_STREAMS = 2;
/**
 * Requests that one connection may begin in a turn of the event loop. SECURITY: a read may bring hundreds, and whoever sends
 * them would have everybody else wait for all of them.
 */
const REQUESTS_A_TURN = 16;
/** Frames of any kind that it may have read in a turn: a read has room for thousands of them. */
const FRAMES_A_TURN = 128;

/**
 * An HTTP/2 connection on a pipe: bytes in, and its output written with as few system calls as may be, since under load they
 * are what a proxy costs.
 */
export class H2Transport {
  readonly connection: H2Connection;
  readonly #options: H2TransportOptions;
  #pipe: BytePipe | undefined;
  /** What was read beyond the requests of this turn; the pipe is paused meanwhile. */
  #rest: Buffer | undefined;
  #hasEnded = false;
  #isReading = false;
  #isScheduled = false;
  #isWriting = false;
  #isFinishing = false;

  constructor(options: H2TransportOptions) {
    this.#options = options;
    this.connection = new H2Connection({
      role: options.role,
      limits: {
        requestsPerRead: REQUESTS_A_TURN,
        framesPerRead: FRAMES_A_TURN,
        ...options.limits,
      },
      events: { ...options.events, onOutput: () => this.#schedule() },
    });
  }

  /** Begins to speak and to read; `early` came before and is only lent. */
  start(pipe: BytePipe, early?: Buffer): void {
    this.#pipe = pipe;
    this.connection.start();
    pipe.attach({
      onData: (chunk) => this.#onData(chunk),
      onEnd: () => this.#onEnd(),
      onDrain: () => this.#flush(),
      onRetire: () => this.#options.onRetire?.(),
      onClose: () => this.#onClose(),
    });
    if (early !== undefined) this.#onData(early);
    if (this.#rest === undefined) pipe.resume();
    this.#schedule();
  }

  /** Sends what there is to send, then ends the pipe. */
  finish(): void {
    this.#isFinishing = true;
    this.#schedule();
  }

  destroy(): void {
    this.#pipe?.destroy();
  }

  #onData(chunk: Buffer): void {
    if (this.#rest === undefined) this.#read(chunk, true);
    // It was under way when the pipe was paused.
    else this.#rest = Buffer.concat([this.#rest, chunk]);
  }

  /** Reads as much as one turn may; the rest of a chunk that is only lent is copied. */
  #read(chunk: Buffer, isLent: boolean): void {
    this.#isReading = true;
    const end = writeTogether(() => this.connection.receive(chunk, performance.now()));
    this.#isReading = false;
    this.#isFinishing ||= this.connection.failed !== undefined;
    if (end < chunk.length && this.connection.failed === undefined) {
      const rest = chunk.subarray(end);
      this.#rest = isLent ? Buffer.from(rest) : rest;
      this.#pipe?.pause();
      setImmediate(this.#readRest);
    }
    if (this.#options.carries === 'calls') this.#flush();
    else if (this.#isFinishing) this.#schedule();
    this.#options.onRead?.();
  }

  readonly #readRest = (): void => {
    const rest = this.#rest;
    this.#rest = undefined;
    if (rest === undefined || this.#pipe === undefined || this.#pipe.closed) return;
    this.#read(rest, false);
    if (this.#rest !== undefined) return;
    if (this.#hasEnded) this.#onEnd();
    else this.#pipe.resume();
  };

  #onEnd(): void {
    this.#hasEnded = true;
    if (this.#rest !== undefined) return;
    if (this.#options.carries === 'tunnel') this.#pipe?.destroy();
    else this.#pipe?.end();
  }

  // Output that arises while a peer of calls is read goes out when that is done.
  #schedule(): void {
    const isTunnel = this.#options.carries === 'tunnel';
    if (this.#isScheduled || this.#isWriting || (this.#isReading && !isTunnel)) return;
    this.#isScheduled = true;
    if (isTunnel && this.connection.streamCount > FEW_STREAMS) setImmediate(this.#flushLater);
    else process.nextTick(this.#flushLater);
  }

  readonly #flushLater = (): void => {
    this.#isScheduled = false;
    this.#flush();
  };

  // One write at a time: what arises meanwhile gathers behind it.
  // SECURITY: streams of a peer that does not read wait in the connection, which bounds them.
  #flush(): void {
    const pipe = this.#pipe;
    if (pipe === undefined || this.#isWriting || pipe.isBehind) return;
    if (pipe.closed || !pipe.writable) return;
    const out = this.connection.takeOutput();
    if (out !== undefined) {
      this.#isWriting = true;
      pipe.write(out, this.#onWritten);
    } else if (this.#isFinishing) pipe.end();
  }

  readonly #onWritten = (out: Buffer): void => {
    this.connection.release(out);
    this.#isWriting = false;
    this.#flush();
  };

  #onClose(): void {
    this.#rest = undefined;
    this.#options.onClose();
    this.connection.closed();
  }
}
