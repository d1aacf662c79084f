import type { RecordedCall } from '#telemetry';
import type { BytePipe } from './pipe.ts';
import type { UpstreamConnection } from './upstream-connection.ts';

/**
 * Both directions of a connection after a 101 (RFC 9110 section 7.8): opaque bytes with half-close
 * and back-pressure, counted in the record of the request that asked for the switch.
 */
export class SwitchedConnection {
  readonly #caller: BytePipe;
  readonly #server: UpstreamConnection;
  readonly #record: RecordedCall;
  readonly #onActivity: () => void;
  #callerEnded = false;
  #serverEnded = false;

  constructor(
    caller: BytePipe,
    server: UpstreamConnection,
    record: RecordedCall,
    onActivity: () => void,
  ) {
    this.#caller = caller;
    this.#server = server;
    this.#record = record;
    this.#onActivity = onActivity;
  }

  /** Both sides said all they had to say. */
  get ended(): boolean {
    return this.#callerEnded && this.#serverEnded;
  }

  /** Bytes of the caller's, lent. */
  fromCaller(chunk: Buffer): void {
    this.#record.bytesIn += chunk.length;
    this.#onActivity();
    if (!this.#server.write(chunk, 0, chunk.length)) this.#caller.pause();
  }

  /** Bytes of the server's, lent. */
  fromServer(chunk: Buffer, start: number, end: number): void {
    this.#record.bytesOut += end - start;
    this.#onActivity();
    if (!this.#caller.writeLent(chunk, start, end)) this.#server.pause();
  }

  callerEnded(): void {
    this.#callerEnded = true;
    this.#server.end();
  }

  serverEnded(): void {
    this.#serverEnded = true;
    this.#caller.end();
  }

  callerDrained(): void {
    this.#server.resume();
  }

  serverDrained(): void {
    this.#caller.resume();
  }
}
