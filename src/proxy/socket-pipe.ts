import type { Socket } from 'node:net';
import type { BytePipe, PipeEvents } from './pipe.ts';

/** Receives what a connection reads, chunks being lent. */
export type ChunkSink = { onChunk: (chunk: Buffer) => void };

/** What `net.connect` and `tls.connect` take as `onread`. */
export type LentRead = { readonly buffer: Buffer; readonly callback: (count: number) => boolean };

// Every read lands in this buffer and is handled before the next one. Node.js would otherwise take
// 64 KiB from the allocator for each read, and most of a busy proxy's memory would be their remains.
const LENT = Buffer.allocUnsafeSlow(64 * 1024);

/** Makes a connection read into the process's one read buffer. */
export function lentRead(sink: ChunkSink): LentRead {
  return {
    buffer: LENT,
    callback(count) {
      sink.onChunk(LENT.subarray(0, count));
      return true;
    },
  };
}

/** Where chunks go before anybody reads; a socket just dialled has none. */
export function createChunkSink(): ChunkSink {
  return { onChunk: () => undefined };
}

const NOBODY: PipeEvents = {
  onData: () => undefined,
  onEnd: () => undefined,
  onDrain: () => undefined,
  onClose: () => undefined,
};

/** A TCP or TLS connection as a pipe. */
export class SocketPipe implements BytePipe {
  closed: boolean;
  readonly halfCloses: boolean;
  readonly drainsByPeer = false;
  readonly #socket: Socket;
  readonly #reads: ChunkSink | undefined;
  #events = NOBODY;

  /** `reads` is what the socket was opened with, if it reads into lent memory. */
  constructor(socket: Socket, reads?: ChunkSink) {
    this.#socket = socket;
    this.#reads = reads;
    this.closed = socket.closed;
    this.halfCloses = !('encrypted' in socket);
    socket.on('end', () => this.#events.onEnd());
    socket.on('drain', () => this.#events.onDrain());
    socket.on('error', () => {
      // Told by `close`, which always follows.
    });
    socket.on('close', () => {
      this.closed = true;
      this.#events.onClose();
    });
  }

  get writable(): boolean {
    return this.#socket.writable;
  }

  get isBehind(): boolean {
    return this.#socket.writableNeedDrain;
  }

  get unsentBytes(): number {
    return this.#socket.writableLength;
  }

  attach(events: PipeEvents): void {
    const isFirst = this.#events === NOBODY;
    this.#events = events;
    if (this.closed) process.nextTick(() => events.onClose());
    else if (this.#reads !== undefined) this.#reads.onChunk = events.onData;
    else if (isFirst) this.#socket.on('data', (chunk: Buffer) => this.#events.onData(chunk));
  }

  write(bytes: Buffer, onWritten?: (bytes: Buffer) => void): boolean {
    if (onWritten === undefined) return this.#socket.write(bytes);
    return this.#socket.write(bytes, () => onWritten(bytes));
  }

  writeLent(chunk: Buffer, start: number, end: number): boolean {
    return this.#socket.write(Buffer.from(chunk.subarray(start, end)));
  }

  end(): void {
    this.#socket.end();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  reset(): void {
    // A TLS connection ends with its alert; only a plain one can be reset through Node.js.
    if (this.halfCloses) this.#socket.resetAndDestroy();
    else this.#socket.destroy();
  }
}
