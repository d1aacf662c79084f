import type { H2Core } from './core.ts';
import { FLAG, FRAME } from './frames.ts';
import { H2_CODE } from './messages.ts';
import type { H2Stream } from './stream.ts';

/** DATA frames (RFC 9113 section 6.1): flow control, lengths, delivery. */
export class DataFrames {
  readonly #core: H2Core;
  /** Bytes the peer may still send on all streams together. */
  #window: number;
  #uncredited = 0;
  // The frame in hand: its stream, if it is to be delivered, and what is known of it.
  #stream: H2Stream | undefined;
  #isEnd = false;
  #bytes = 0;

  constructor(core: H2Core) {
    this.#core = core;
    this.#window = core.limits.connectionWindow;
  }

  onFrame(streamId: number, flags: number, length: number): void {
    const { streams, fail } = this.#core;
    this.#stream = undefined;
    this.#isEnd = (flags & FLAG.END_STREAM) !== 0;
    this.#bytes = 0;
    if (streamId === 0) return fail(H2_CODE.PROTOCOL_ERROR, 'h2_bad_stream_id');
    this.#window -= length;
    if (this.#window < 0) return fail(H2_CODE.FLOW_CONTROL_ERROR, 'h2_flow_control_error');
    this.#creditConnection(length);
    const stream = streams.find(streamId);
    if (stream === undefined) return this.#onAbsent(streamId);
    // RFC 9113 section 5.1: half-closed (remote).
    if (stream.remoteClosed) {
      return this.#core.refuse(stream, H2_CODE.STREAM_CLOSED, 'h2_frame_on_closed_stream');
    }
    stream.receiveWindow -= length;
    if (stream.receiveWindow < 0) {
      return this.#core.refuse(stream, H2_CODE.FLOW_CONTROL_ERROR, 'h2_flow_control_error');
    }
    // RFC 9113 section 8.1: a response's body comes behind its head.
    if (this.#core.isClient && !stream.hasHead) {
      return this.#core.refuse(stream, H2_CODE.PROTOCOL_ERROR, 'h2_unexpected_frame');
    }
    this.#stream = stream;
    // What is not body of this frame is used up by having come.
    stream.uncredited += length;
  }

  onPart(chunk: Buffer, start: number, end: number, isLast: boolean): void {
    const stream = this.#stream;
    this.#bytes += end - start;
    if (isLast) this.#stream = undefined;
    if (stream === undefined || stream.isReset) return;
    stream.receivedBytes += end - start;
    stream.uncredited -= end - start;
    const isEnd = isLast && this.#isEnd;
    const { expectedBytes, receivedBytes } = stream;
    // RFC 9113 section 8.1.1. INVARIANT: a body that is not as long as it says never completes.
    if (
      expectedBytes >= 0 &&
      (receivedBytes > expectedBytes || (isEnd && receivedBytes < expectedBytes))
    ) {
      return this.#core.refuse(stream, H2_CODE.PROTOCOL_ERROR, 'h2_body_length_mismatch');
    }
    if (isLast && this.#bytes === 0 && !isEnd) {
      const flood = this.#core.guard.emptyData();
      if (flood !== undefined) this.#core.fail(H2_CODE.ENHANCE_YOUR_CALM, flood);
      return;
    }
    if (isLast && this.#bytes > 0) this.#core.guard.received(this.#bytes);
    stream.remoteClosed ||= isEnd;
    stream.sink.onData(chunk, start, end, isEnd);
    if (isEnd) this.#core.endIfOver(stream);
  }

  // Of streams that are gone, too, or their bytes would shut the window for the others.
  #creditConnection(bytes: number): void {
    this.#uncredited += bytes;
    if (this.#uncredited < this.#core.limits.connectionWindow / 2) return;
    this.#core.sender.word(FRAME.WINDOW_UPDATE, 0, this.#uncredited);
    this.#window += this.#uncredited;
    this.#uncredited = 0;
  }

  #onAbsent(streamId: number): void {
    const absence = this.#core.streams.absence(streamId);
    if (absence === 'idle') this.#core.fail(H2_CODE.PROTOCOL_ERROR, 'h2_bad_stream_id');
    else if (absence === 'closed') {
      this.#core.fail(H2_CODE.STREAM_CLOSED, 'h2_frame_on_closed_stream');
    }
  }
}
