import type { H2Connection } from '#protocol';
import type { BytePipe } from './pipe.ts';

const FEW_STREAMS = 2;

/** What a carrier tells its owner. */
export type CarrierEvents = {
  /** Bytes came and were handled. */
  readonly onRead?: () => void;
  /** The transport is gone. Called once, before the streams hear of it: some will dial anew at once. */
  readonly onClosed: () => void;
};

/**
 * Carries an HTTP/2 connection over a pipe. Frames of all streams that arise while one turn of the
 * event loop handles its events go out in one write: under load, system calls are what a proxy costs.
 */
export class H2Carrier {
  readonly #pipe: BytePipe;
  readonly #connection: H2Connection;
  readonly #clock: () => number;
  readonly #events: CarrierEvents;
  /** The connection has told of output and none has been taken since; it tells once. */
  #isWanted = false;
  #isScheduled = false;
  #isWriting = false;
  #isEnding = false;

  /** `connection` tells `outputReady` of its output; `clock` is a coarse monotonic one, in ms. */
  constructor(
    pipe: BytePipe,
    connection: H2Connection,
    clock: () => number,
    events: CarrierEvents,
  ) {
    this.#pipe = pipe;
    this.#connection = connection;
    this.#clock = clock;
    this.#events = events;
  }

  /** Begins to read and write. */
  start(): void {
    this.#pipe.attach({
      onData: (chunk) => this.#onData(chunk),
      onEnd: () => this.destroy(),
      onDrain: () => this.#flush(),
      onClose: () => this.#onClose(),
    });
    this.#connection.start();
    this.#pipe.resume();
  }

  /** To be the connection's `onOutput`. */
  outputReady(): void {
    this.#isWanted = true;
    if (this.#isScheduled || this.#isWriting) return;
    this.#isScheduled = true;
    // With few streams there is nothing to wait for; with many, the other events of this turn.
    if (this.#connection.streamCount <= FEW_STREAMS) process.nextTick(this.#onImmediate);
    else setImmediate(this.#onImmediate);
  }

  /** Writes what is gathered, then ends the transport. */
  end(): void {
    this.#isEnding = true;
    this.outputReady();
  }

  /** Ends the transport at once. */
  destroy(): void {
    this.#pipe.destroy();
  }

  readonly #onImmediate = (): void => {
    this.#isScheduled = false;
    this.#flush();
  };

  #onData(chunk: Buffer): void {
    this.#connection.receive(chunk, this.#clock());
    if (this.#connection.failed !== undefined) this.end();
    this.#events.onRead?.();
  }

  // One write at a time: what arises meanwhile gathers behind it.
  #flush(): void {
    if (this.#isWriting || this.#pipe.closed) return;
    this.#isWanted = false;
    const out = this.#connection.takeOutput();
    if (out === undefined) {
      if (this.#isEnding) this.#pipe.end();
      return;
    }
    this.#isWriting = true;
    this.#pipe.write(out, this.#onWritten);
  }

  readonly #onWritten = (out: Buffer): void => {
    this.#connection.release(out);
    this.#isWriting = false;
    if (this.#isWanted || this.#isEnding) this.#flush();
  };

  #onClose(): void {
    this.#events.onClosed();
    this.#connection.closed();
  }
}
