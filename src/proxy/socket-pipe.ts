import type { Socket } from 'node:net';
import type { BytePipe, PipeEvents } from './pipe.ts';
import { RawWriter } from './raw-write.ts';

/** Receives what a connection reads, chunks being lent. */
export type ChunkSink = { onChunk: (chunk: Buffer) => void };

/** What `net.connect` and `tls.connect` take as `onread`. */
export type LentRead = { readonly buffer: Buffer; readonly callback: (count: number) => boolean };

// Every read lands in this buffer and is handled before the next one. Node.js would otherwise take
// 64 KiB from the allocator for each read, and most of a busy proxy's memory would be their remains.
const LENT = Buffer.allocUnsafeSlow(64 * 1024);

/** Makes a connection read into the process's one read buffer. */
export function lentRead(sink: ChunkSink): LentRead {
  // Messages of a connection are often of one size: then the view of the last read does.
  let chunk = LENT.subarray(0, 0);
  return {
    buffer: LENT,
    callback(count) {
      if (chunk.length !== count) chunk = LENT.subarray(0, count);
      sink.onChunk(chunk);
      return true;
    },
  };
}

/** Where chunks go before anybody reads; a socket just dialled has none. */
export function createChunkSink(): ChunkSink {
  return { onChunk: () => undefined };
}

/** What an accepted socket has inside when Node.js is as we know it. */
type Inside = Socket & {
  readonly _handle?: { readonly useUserBuffer?: (buffer: Buffer) => void } | null;
} & Record<symbol, unknown>;

/**
 * Makes a connection that was accepted read into the lent buffer too; false if this Node.js does not
 * let it, and it reads into its stream. Node.js offers `onread` to dialled sockets only, though the
 * same inside serves both: for accepted ones it saves the stream's part and 64 KiB of memory a read.
 */
function lendReads(socket: Socket, sink: ChunkSink): boolean {
  const inside = socket as Inside;
  const handle = inside._handle;
  let buffer: symbol | undefined;
  let callback: symbol | undefined;
  for (const symbol of Object.getOwnPropertySymbols(socket)) {
    if (symbol.description === 'kBuffer') buffer = symbol;
    else if (symbol.description === 'kBufferCb') callback = symbol;
  }
  if (typeof handle?.useUserBuffer !== 'function') return false;
  if (buffer === undefined || callback === undefined || inside[buffer] !== null) return false;
  const reads = lentRead(sink);
  inside[buffer] = reads.buffer;
  inside[callback] = reads.callback;
  handle.useUserBuffer(reads.buffer);
  return true;
}

const NOBODY: PipeEvents = {
  onData: () => undefined,
  onEnd: () => undefined,
  onDrain: () => undefined,
  onClose: () => undefined,
};

// Lent bytes are gathered in these, and go out together at the end of the loop's turn: a TLS
// connection reads 16 KiB at a time, and a write for each would be most of a large answer's cost.
const GATHERS: Buffer[] = [];
const GATHER_BYTES = 128 * 1024;
const MAX_GATHERS = 16;

// Pipes with a write that waits for the end of `writeTogether`: the first `waitingCount` places.
const waiting: (SocketPipe | undefined)[] = [];
let waitingCount = 0;
let isTogether = false;

/**
 * Runs `work` and only then writes what it gave to plain connections, right after one another. A read of a tunnel brings calls
 * for many connections: whoever is at the other end is woken once for all of them, where a write every few microseconds wakes
 * it anew for each, and neither our code nor the kernel's is driven out of the processor's caches by the other. With 64
 * connections that is 7 % of a pair's CPU a request.
 */
export function writeTogether<T>(work: () => T): T {
  if (isTogether) return work();
  isTogether = true;
  try {
    return work();
  } finally {
    isTogether = false;
    const count = waitingCount;
    waitingCount = 0;
    for (let i = 0; i < count; i++) {
      waiting[i]?.flush();
      waiting[i] = undefined;
    }
  }
}

/** A TCP or TLS connection as a pipe. */
export class SocketPipe implements BytePipe {
  closed: boolean;
  readonly halfCloses: boolean;
  readonly drainsByPeer = false;
  isRetired = false;
  readonly #socket: Socket;
  readonly #reads: ChunkSink;
  readonly #isLent: boolean;
  /** Past the stream, where that can be. */
  readonly #raw: RawWriter | undefined;
  #events = NOBODY;
  #gather: Buffer | undefined;
  #gathered = 0;
  /** The write that waits for the end of `writeTogether`, before what is gathered. */
  #held: Buffer | undefined;
  #onHeldSent: ((bytes: Buffer) => void) | undefined;
  #isAttached = false;
  #isPaused: boolean;
  /** What came while nobody read; everything that comes later waits behind it. */
  #early: Buffer | undefined;

  /** `reads` is what the socket was opened with, if it reads into lent memory. */
  constructor(socket: Socket, reads?: ChunkSink) {
    this.#socket = socket;
    this.#reads = reads ?? createChunkSink();
    this.#reads.onChunk = (chunk) => this.#onChunk(chunk);
    this.#isLent = reads !== undefined || lendReads(socket, this.#reads);
    this.#isPaused = socket.isPaused();
    this.closed = socket.closed;
    this.halfCloses = !('encrypted' in socket);
    this.#raw = RawWriter.of(socket, () => this.#events.onDrain());
    socket.on('end', () => this.#events.onEnd());
    socket.on('drain', () => this.#events.onDrain());
    socket.on('error', ignoreError);
    socket.on('close', () => {
      this.closed = true;
      this.#events.onClose();
    });
  }

  get writable(): boolean {
    return this.#socket.writable;
  }

  get isBehind(): boolean {
    return this.#socket.writableNeedDrain || this.#raw?.isBehind === true;
  }

  get unsentBytes(): number {
    // What the stream has given to the kernel and waits for is in both.
    const unsent = Math.max(this.#socket.writableLength, this.#raw?.unsentBytes ?? 0);
    return unsent + this.#gathered + (this.#held?.length ?? 0);
  }

  attach(events: PipeEvents): void {
    const isFirst = !this.#isAttached;
    this.#isAttached = true;
    this.#events = events;
    if (this.closed) process.nextTick(() => events.onClose());
    else if (isFirst && this.#isLent) this.#takeEarly();
    else if (isFirst) this.#socket.on('data', (chunk: Buffer) => this.#events.onData(chunk));
  }

  write(bytes: Buffer, onWritten?: (bytes: Buffer) => void): boolean {
    this.flush();
    // Whoever is behind has to hear of it at once; TLS connections have their streams' queues.
    if (!isTogether || this.#raw?.mayWrite !== true || this.#raw.isBehind) {
      return this.#send(bytes, onWritten);
    }
    this.#held = bytes;
    this.#onHeldSent = onWritten;
    waiting[waitingCount++] = this;
    return true;
  }

  writeLent(chunk: Buffer, start: number, end: number): boolean {
    if (end - start > GATHER_BYTES - this.#gathered) this.flush();
    if (end - start > GATHER_BYTES) {
      return this.#send(Buffer.from(chunk.subarray(start, end)));
    }
    if (this.#gather === undefined) {
      this.#gather = GATHERS.pop() ?? Buffer.allocUnsafeSlow(GATHER_BYTES);
      setImmediate(flushPipe, this);
    }
    this.#gathered += chunk.copy(this.#gather, this.#gathered, start, end);
    // Behind or not after this turn's write: the next one is told, so a turn's worth is the most.
    return !this.isBehind;
  }

  end(): void {
    this.flush();
    this.#socket.end();
  }

  pause(): void {
    this.#isPaused = true;
    this.#socket.pause();
  }

  resume(): void {
    this.#isPaused = false;
    if (this.#early !== undefined) process.nextTick(() => this.#deliverEarly());
    else this.#socket.resume();
  }

  destroy(): void {
    // As far as the kernel takes it; what was written before counts as sent.
    this.flush();
    this.#socket.destroy();
  }

  reset(): void {
    // A TLS connection ends with its alert; only a plain one can be reset through Node.js.
    if (this.halfCloses) this.#socket.resetAndDestroy();
    else this.#socket.destroy();
  }

  /** Sends what waits for others, and what was gathered in this turn of the loop. */
  flush(): void {
    if (this.#held !== undefined) this.#flushHeld();
    const gather = this.#gather;
    if (gather === undefined) return;
    const bytes = gather.subarray(0, this.#gathered);
    this.#gather = undefined;
    this.#gathered = 0;
    if (!this.#socket.writable) return;
    this.#send(bytes, () => {
      if (GATHERS.length < MAX_GATHERS) GATHERS.push(gather);
    });
  }

  #flushHeld(): void {
    const held = this.#held as Buffer;
    const onSent = this.#onHeldSent;
    this.#held = undefined;
    this.#onHeldSent = undefined;
    if (this.#socket.writable) this.#send(held, onSent);
    else onSent?.(held);
  }

  /** Sends bytes that nobody alters before `onSent`; false if more should wait. */
  #send(bytes: Buffer, onSent?: (bytes: Buffer) => void): boolean {
    const raw = this.#raw;
    if (raw?.mayWrite === true) {
      raw.write(bytes, onSent);
      return !raw.isBehind;
    }
    if (onSent === undefined) return this.#socket.write(bytes);
    return this.#socket.write(bytes, () => onSent(bytes));
  }

  // A TLS connection that is paused still hands over what it has decrypted of the last read; in lent memory it would be
  // gone, so it is kept. It is no more than what one read brought.
  #onChunk(chunk: Buffer): void {
    if (this.#isAttached && !this.#isPaused && this.#early === undefined) {
      this.#events.onData(chunk);
    } else {
      this.#early = Buffer.concat([this.#early ?? EMPTY, chunk]);
    }
  }

  // What was looked at and put back lies in the stream, before what comes into lent memory.
  #takeEarly(): void {
    if (this.#socket.readableLength > 0) {
      const inStream = (this.#socket.read() as Buffer | null) ?? EMPTY;
      this.#early = Buffer.concat([inStream, this.#early ?? EMPTY]);
      // Reading from the stream starts the socket again.
      if (this.#isPaused) this.#socket.pause();
    }
    if (!this.#isPaused && this.#early !== undefined) process.nextTick(() => this.#deliverEarly());
  }

  #deliverEarly(): void {
    const early = this.#early;
    if (early === undefined || this.closed || this.#isPaused) return;
    this.#early = undefined;
    this.#events.onData(early);
    if (!this.#isPaused) this.#socket.resume();
  }
}

// One for all: there may be ten thousand connections that idle.
function ignoreError(): void {
  // Told by `close`, which always follows.
}

function flushPipe(pipe: SocketPipe): void {
  pipe.flush();
}

const EMPTY = Buffer.alloc(0);
