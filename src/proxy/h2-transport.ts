import { H2Connection, type H2Events, type H2Limits } from '#protocol';
import type { BytePipe } from './pipe.ts';

/** How an HTTP/2 connection is put on a pipe. */
export type H2TransportOptions = {
  readonly role: 'client' | 'server';
  readonly limits?: Partial<H2Limits>;
  readonly events: Omit<H2Events, 'onOutput'>;
  /** What the pipe runs in will end. */
  readonly onRetire?: () => void;
  /** Called once and last, however the pipe ended. */
  readonly onClose: () => void;
};

/**
 * An HTTP/2 connection on a pipe: bytes in, and its output written with as few system calls as may
 * be: what one event brings leaves together when it has been handled.
 */
export class H2Transport {
  readonly connection: H2Connection;
  readonly #pipe: BytePipe;
  readonly #onClose: () => void;
  readonly #onRetire: (() => void) | undefined;
  #isReading = false;
  #isScheduled = false;
  #isFinishing = false;

  constructor(pipe: BytePipe, options: H2TransportOptions) {
    this.#pipe = pipe;
    this.#onClose = options.onClose;
    this.#onRetire = options.onRetire;
    this.connection = new H2Connection({
      role: options.role,
      limits: options.limits ?? {},
      events: { ...options.events, onOutput: () => this.#schedule() },
    });
  }

  /** Begins to speak and to read; `early` came before and is only lent. */
  start(early?: Buffer): void {
    this.connection.start();
    this.#pipe.attach({
      onData: (chunk) => this.#receive(chunk),
      onEnd: () => this.#pipe.end(),
      onDrain: () => this.#flush(),
      onRetire: () => this.#onRetire?.(),
      onClose: () => {
        this.connection.closed();
        this.#onClose();
      },
    });
    if (early !== undefined) this.#receive(early);
    this.#pipe.resume();
  }

  /** Sends what there is to send, then ends the pipe. */
  finish(): void {
    this.#isFinishing = true;
    this.#flush();
  }

  destroy(): void {
    this.#pipe.destroy();
  }

  /** Bytes that the peer has not taken yet. */
  get unsentBytes(): number {
    return this.#pipe.unsentBytes;
  }

  #receive(chunk: Buffer): void {
    this.#isReading = true;
    this.connection.receive(chunk, performance.now());
    this.#isReading = false;
    this.#isFinishing ||= this.connection.failed !== undefined;
    this.#flush();
  }

  readonly #flushLater = (): void => {
    this.#isScheduled = false;
    this.#flush();
  };

  #schedule(): void {
    if (this.#isReading || this.#isScheduled) return;
    this.#isScheduled = true;
    process.nextTick(this.#flushLater);
  }

  #flush(): void {
    const pipe = this.#pipe;
    if (pipe.closed || !pipe.writable) return;
    // SECURITY: streams of a peer that does not read wait in the connection, which bounds them.
    while (!pipe.isBehind) {
      const out = this.connection.takeOutput();
      if (out === undefined) break;
      pipe.write(out, this.#onWritten);
    }
    if (this.#isFinishing && !this.connection.hasOutput) pipe.end();
  }

  readonly #onWritten = (out: Buffer): void => this.connection.release(out);
}
