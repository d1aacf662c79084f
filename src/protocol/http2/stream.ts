import type { H2StreamSink } from './messages.ts';

/**
 * One stream (RFC 9113 section 5.1). Its owner keeps it to name it; all but `id`, `isOpen`,
 * `mayReceive` and `pendingBytes` is the connection's.
 */
export class H2Stream {
  readonly id: number;
  sink: H2StreamSink;
  /** We have sent END_STREAM, or have it waiting behind pending bytes. */
  localEnd = false;
  /** END_STREAM has left. */
  localClosed = false;
  /** The peer has sent END_STREAM. */
  remoteClosed = false;
  /** Reset by either side, or its connection is gone. */
  isReset = false;
  /** Once our side has ended, the peer is told to stop (RFC 9113 section 8.1). */
  isAnsweredEarly = false;
  /** Client side: the final response head has come. */
  hasHead = false;
  /** Client side: no body follows whatever Content-Length says (RFC 9110 section 6.4.1). */
  isBodyless = false;
  /** Client side: a CONNECT, where a 2xx has no Content-Length. */
  isConnect = false;
  /** Bytes the peer may still send, and those we may. */
  receiveWindow: number;
  sendWindow: number;
  /** Bytes that were consumed and not yet credited. */
  uncredited = 0;
  /** Its window has been grown. */
  isGrown = false;
  /** Content-Length, or -1; and what came of it. */
  expectedBytes = -1;
  receivedBytes = 0;
  /** Copies of body bytes that wait for window or output, the first one from `pendingAt`. */
  readonly pending: Buffer[] = [];
  pendingAt = 0;
  pendingBytes = 0;
  pendingTrailers: readonly string[] | undefined;
  isQueued = false;
  /** When pending bytes last moved, ms. */
  waitingSince = 0;

  constructor(id: number, sink: H2StreamSink, receiveWindow: number, sendWindow: number) {
    this.id = id;
    this.sink = sink;
    this.receiveWindow = receiveWindow;
    this.sendWindow = sendWindow;
  }

  /** More can be sent on it. */
  get isOpen(): boolean {
    return !this.localEnd && !this.isReset;
  }

  /** More can come on it. */
  get mayReceive(): boolean {
    return !this.remoteClosed && !this.isReset;
  }
}

/** Hears nothing: the sink of a stream before and after its owner has one. */
export const NO_SINK: H2StreamSink = {
  onData: () => undefined,
  onTrailers: () => undefined,
  onReset: () => undefined,
  onDrain: () => undefined,
};
