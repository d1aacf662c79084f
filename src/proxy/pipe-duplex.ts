import { Duplex } from 'node:stream';
import type { BytePipe } from './pipe.ts';

/** A pipe as a stream of Node.js, for clients that are not ours: those that ask providers. */
export class PipeDuplex extends Duplex {
  readonly #pipe: BytePipe;
  #written: (() => void) | undefined;

  constructor(pipe: BytePipe) {
    super({ allowHalfOpen: true });
    this.#pipe = pipe;
    pipe.attach({
      onData: (chunk) => {
        // The chunk is only lent.
        if (!this.push(Buffer.from(chunk))) pipe.pause();
      },
      onEnd: () => this.push(null),
      onDrain: () => this.#drained(),
      onClose: () => this.destroy(),
    });
    pipe.resume();
  }

  override _read(): void {
    this.#pipe.resume();
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    if (this.#pipe.writeLent(chunk, 0, chunk.length)) return done();
    this.#written = done;
  }

  override _final(done: () => void): void {
    this.#pipe.end();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#drained();
    this.#pipe.destroy();
    done(error);
  }

  #drained(): void {
    const done = this.#written;
    this.#written = undefined;
    done?.();
  }

  /** As sockets have it, which HTTP clients call. */
  setNoDelay(): this {
    return this;
  }

  /** As sockets have it, which HTTP clients call. */
  setKeepAlive(): this {
    return this;
  }

  /** As sockets have it, which HTTP clients call; whoever asks has a time budget of its own. */
  setTimeout(): this {
    return this;
  }

  /** As sockets have it, which HTTP clients call. */
  ref(): this {
    return this;
  }

  /** As sockets have it, which HTTP clients call. */
  unref(): this {
    return this;
  }
}
