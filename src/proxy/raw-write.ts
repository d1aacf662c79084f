import { Socket } from 'node:net';

/** What Node.js calls a write of a handle by: only looked at by it if the kernel did not take all at once. */
type WriteRequest = {
  oncomplete?: (this: WriteRequest, status: number) => void;
  /** Keeps the bytes alive until they were sent. */
  buffer?: Buffer;
};

/** What a plain TCP socket has inside when Node.js is as we know it. */
type TcpHandle = {
  readonly writeBuffer: (request: WriteRequest, bytes: Buffer) => number;
  readonly writeQueueSize: number;
};

/** The release whose inside this was written for; any other one uses its streams. */
const KNOWN_MAJOR = '24';
const HIGH_WATER_BYTES = 64 * 1024;

/**
 * Writes to a plain TCP connection past its stream: a stream queues, counts and calls back for each write, which costs more
 * than the system call's way through Node.js, and most writes of a proxy are taken by the kernel at once.
 * Writes through the stream and past it may follow each other: behind both is one queue.
 */
export class RawWriter {
  /** False: pipes made from now on use their streams, so that tests see both. */
  static isWanted = true;
  /** So much waits that nothing should follow until `onDrain`. */
  isBehind = false;
  readonly #socket: Socket;
  readonly #handle: TcpHandle;
  readonly #onDrain: () => void;

  private constructor(socket: Socket, handle: TcpHandle, onDrain: () => void) {
    this.#socket = socket;
    this.#handle = handle;
    this.#onDrain = onDrain;
  }

  /** For a connected socket; undefined if it is no plain TCP one, or Node.js is not as we know it. */
  static of(socket: Socket, onDrain: () => void): RawWriter | undefined {
    const handle = (socket as Socket & { readonly _handle?: unknown })._handle;
    if (!RawWriter.isWanted || createRequest === undefined) return undefined;
    if (!isTcpHandle(handle)) return undefined;
    return new RawWriter(socket, handle, onDrain);
  }

  /** Whether nothing waits in the stream, which would come after what is written past it. */
  get mayWrite(): boolean {
    return this.#socket.writable && this.#socket.writableLength === 0;
  }

  /** Bytes that the kernel has not taken yet. */
  get unsentBytes(): number {
    return this.#socket.destroyed ? 0 : this.#handle.writeQueueSize;
  }

  /**
   * Sends bytes that nobody alters before `onTaken`, which is called at once if the kernel took all. A failure ends the
   * connection, as in a stream.
   */
  write(bytes: Buffer, onTaken?: (bytes: Buffer) => void): void {
    const request = spare ?? createRequest?.();
    if (request === undefined) return;
    const status = this.#handle.writeBuffer(request, bytes);
    if (status !== 0) {
      spare = undefined;
      onTaken?.(bytes);
      this.#socket.destroy();
      return;
    }
    const left = this.#handle.writeQueueSize;
    if (left === 0) {
      // Node.js has not looked at the request.
      spare = request;
      onTaken?.(bytes);
      return;
    }
    spare = undefined;
    request.buffer = bytes;
    request.oncomplete = (failure) => {
      onTaken?.(bytes);
      this.#onSent(failure);
    };
    if (left >= HIGH_WATER_BYTES) this.isBehind = true;
  }

  #onSent(failure: number): void {
    if (failure !== 0) {
      this.#socket.destroy();
    } else if (this.isBehind && this.unsentBytes === 0) {
      this.isBehind = false;
      this.#onDrain();
    }
  }
}

/** Serves all writes of the process that are taken at once, one after another. */
let spare: WriteRequest | undefined;
const createRequest = learnRequest();

function isTcpHandle(handle: unknown): handle is TcpHandle {
  if (typeof handle !== 'object' || handle === null) return false;
  const { constructor, writeBuffer, writeQueueSize } = handle as Partial<TcpHandle>;
  return (
    constructor?.name === 'TCP' &&
    typeof writeBuffer === 'function' &&
    typeof writeQueueSize === 'number'
  );
}

/**
 * Learns from a socket that leads nowhere which class its requests are of: Node.js does not export it, and a request of
 * another class would end the process. Undefined if anything is otherwise than in the release we know.
 */
function learnRequest(): (() => WriteRequest) | undefined {
  if (process.versions.node.split('.')[0] !== KNOWN_MAJOR) return undefined;
  let learned: (new () => WriteRequest) | undefined;
  const handle = {
    close: () => undefined,
    writeBuffer(request: { readonly constructor: new () => WriteRequest }) {
      learned = request.constructor;
      return 0;
    },
  };
  try {
    // Types know no handle of one's own.
    const options: object = { handle, manualStart: true };
    const socket = new Socket(options);
    socket.on('error', () => {
      // It is thrown away.
    });
    socket.write(Buffer.alloc(1));
    socket.destroy();
  } catch {
    // Another inside than we know: its streams do the same.
    return undefined;
  }
  const Request = learned;
  if (Request?.name !== 'WriteWrap') return undefined;
  return () => new Request();
}
