import type { FailureKind } from './respond.ts';

/** What a pipe tells whoever reads it. Each is called from an event of its own, never from a method of the pipe. */
export type PipeEvents = {
  /** Bytes came. They are only lent: whoever needs some of them after returning copies those. */
  readonly onData: (chunk: Buffer) => void;
  /** The peer has said all that it will say. */
  readonly onEnd: () => void;
  /** After a `write` that returned false: more may be written. */
  readonly onDrain: () => void;
  /** Called once and last, however the pipe ended. Without `onEnd` before it, the peer broke off. */
  readonly onClose: () => void;
  /** What it runs in will end: nothing more should be begun on it. */
  readonly onRetire?: () => void;
};

/**
 * A two-way stream of bytes with back-pressure: a TCP connection, a TLS connection or a stream of a
 * tunnel. Everything that carries calls is written against this and does not know which it is.
 */
export type BytePipe = {
  /** Who reads from now on; nothing comes before. A pipe that is closed already tells so soon. */
  readonly attach: (events: PipeEvents) => void;
  /**
   * Sends bytes that the writer will not alter any more, or not before `onWritten` has given them
   * back, which may be at once; false if it should wait for `onDrain`.
   */
  readonly write: (bytes: Buffer, onWritten?: (bytes: Buffer) => void) => boolean;
  /** Sends `chunk[start, end)`, which is only lent to the pipe; false as for `write`. */
  readonly writeLent: (chunk: Buffer, start: number, end: number) => boolean;
  /** Says that nothing more will be written; the peer may go on. */
  readonly end: () => void;
  readonly pause: () => void;
  readonly resume: () => void;
  /** Ends both ways at once; what was not sent is lost. */
  readonly destroy: () => void;
  /** As `destroy`, so that the peer sees a failure and not the end of the data, where that can be told. */
  readonly reset: (reason?: FailureKind) => void;
  /** Whether it can still be written to. */
  readonly writable: boolean;
  /** The last `write` returned false and `onDrain` has not been called since. */
  readonly isBehind: boolean;
  /** Bytes accepted and not sent yet. */
  readonly unsentBytes: number;
  readonly closed: boolean;
  /**
   * Whether a peer that said all may still wait for an answer. Over TLS callers do not do that: one
   * whose end came has left.
   */
  readonly halfCloses: boolean;
  /** It runs in a tunnel, whose other end closes idle streams when it hears that the tunnel drains. */
  readonly drainsByPeer: boolean;
  /**
   * It was made under an identity that is no longer ours, or what it runs in will end: good for what it was made for, and
   * for nothing after that.
   */
  readonly isRetired: boolean;
  /** Why the other end of a tunnel would not have it, once it said so: what was written has reached nobody. */
  readonly refused?: FailureKind | undefined;
};
