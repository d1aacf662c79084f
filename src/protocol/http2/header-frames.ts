import type { ControlFrames } from './control-frames.ts';
import type { H2Core } from './core.ts';
import { FRAME, type Frame } from './frames.ts';
import { checkRequest, checkResponse, checkTrailers, type Malformed } from './head-check.ts';
import { type HeaderBlock, HeaderBlocks } from './header-block.ts';
import { HpackDecoder } from './hpack-decoder.ts';
import { H2_CODE, type H2ResponseHead, type Http2Error } from './messages.ts';
import { H2Stream, NO_SINK } from './stream.ts';

/** SETTINGS_HEADER_TABLE_SIZE as it is where nothing is said. */
const TABLE_BYTES = 4096;

/** HEADERS and CONTINUATION (RFC 9113 sections 6.2, 6.10 and 8). */
export class HeaderFrames {
  readonly #core: H2Core;
  readonly #control: ControlFrames;
  readonly #blocks: HeaderBlocks;
  readonly #decoder: HpackDecoder;

  constructor(core: H2Core, control: ControlFrames) {
    const { maxFieldBytes, maxFields } = core.limits;
    this.#core = core;
    this.#control = control;
    this.#blocks = new HeaderBlocks(core.guard);
    this.#decoder = new HpackDecoder({ tableBytes: TABLE_BYTES, maxFieldBytes, maxFields });
  }

  /** A header block has begun: nothing but CONTINUATION of its stream may come. */
  get isPartial(): boolean {
    return this.#blocks.openStreamId !== 0;
  }

  onHeaders(frame: Frame): void {
    if (frame.streamId === 0) return this.#fail('h2_bad_stream_id');
    this.#onBlock(this.#blocks.readHeaders(frame));
  }

  onContinuation(frame: Frame): void {
    if (frame.streamId !== this.#blocks.openStreamId) {
      return this.#fail('h2_unexpected_continuation');
    }
    this.#onBlock(this.#blocks.readContinuation(frame));
  }

  #onBlock(block: HeaderBlock | Http2Error | undefined): void {
    if (block === undefined) return;
    if (typeof block === 'string') return this.#core.fail(codeOf(block), block);
    // INVARIANT: each block is decoded, whatever becomes of it, or the next ones could not be.
    const outcome = this.#decoder.decode(block.bytes, block.start, block.end);
    if (outcome === 'broken') {
      return this.#core.fail(H2_CODE.COMPRESSION_ERROR, 'h2_compression_error');
    }
    const isTooLarge = outcome === 'too_large';
    const stream = this.#core.streams.find(block.streamId);
    if (stream === undefined) return this.#onNew(block, isTooLarge);
    if (block.isSelfDependent) return this.#refuse(stream, 'h2_self_dependency');
    if (stream.remoteClosed) {
      return this.#core.refuse(stream, H2_CODE.STREAM_CLOSED, 'h2_frame_on_closed_stream');
    }
    if (isTooLarge) return this.#refuse(stream, 'h2_headers_too_large');
    if (this.#core.isClient && !stream.hasHead) this.#onResponse(stream, block.isEnd);
    else this.#onTrailers(stream, block.isEnd);
  }

  #onNew(block: HeaderBlock, isTooLarge: boolean): void {
    const { streams, isClient, fail } = this.#core;
    const { streamId } = block;
    const absence = streams.absence(streamId);
    if (absence === 'reset_by_us') return;
    if (absence === 'closed') return fail(H2_CODE.STREAM_CLOSED, 'h2_frame_on_closed_stream');
    // Only clients open streams, and only odd ones.
    if (isClient || streamId % 2 === 0) return this.#fail('h2_bad_stream_id');
    streams.lastPeerId = streamId;
    streams.heads++;
    // RFC 9113 section 6.8: what comes after the last one we named is not answered.
    if (streamId > this.#control.lastAcceptedId) return;
    if (streams.size >= this.#core.limits.maxStreams) return this.#refuseNew(streamId);
    this.#accept(block, isTooLarge);
  }

  #accept(block: HeaderBlock, isTooLarge: boolean): void {
    const { streams, limits, guard, events } = this.#core;
    const window = this.#control.peerInitialWindow;
    const stream = new H2Stream(block.streamId, NO_SINK, limits.streamWindow, window);
    streams.accept(stream);
    guard.opened();
    if (block.isSelfDependent) return this.#refuse(stream, 'h2_self_dependency');
    const head = isTooLarge ? 'tooLarge' : checkRequest(this.#decoder);
    if (typeof head === 'object' && 'error' in head) return this.#refuse(stream, head.error);
    if (head === 'tooLarge') events.onRefused('h2_headers_too_large', 'stream');
    else {
      stream.expectedBytes = head.contentLength;
      // RFC 9113 section 8.1.1.
      if (block.isEnd && head.contentLength > 0) {
        return this.#refuse(stream, 'h2_body_length_mismatch');
      }
    }
    stream.remoteClosed = block.isEnd;
    const sink = events.onRequest?.(stream, head, block.isEnd);
    if (sink === undefined)
      return this.#core.refuse(stream, H2_CODE.REFUSED_STREAM, 'h2_unexpected_frame');
    stream.sink = sink;
    if (block.isEnd) this.#core.endIfOver(stream);
  }

  // RFC 9113 section 5.1.2: the peer may try it again on another connection.
  #refuseNew(streamId: number): void {
    const { sender, streams, guard, events, fail } = this.#core;
    sender.word(FRAME.RST_STREAM, streamId, H2_CODE.REFUSED_STREAM);
    streams.rememberReset(streamId);
    events.onRefused('h2_stream_limit', 'stream');
    const flood = guard.refusal(this.#control.isSettled);
    if (flood !== undefined) fail(H2_CODE.ENHANCE_YOUR_CALM, flood);
  }

  #onResponse(stream: H2Stream, isEnd: boolean): void {
    const head = checkResponse(this.#decoder);
    if ('error' in head) return this.#refuse(stream, head.error);
    if (head.status < 200) {
      if (isEnd) return this.#refuse(stream, 'h2_unexpected_frame');
      stream.sink.onResponse?.(head, false);
      return;
    }
    stream.hasHead = true;
    stream.expectedBytes = expectedBody(stream, head);
    if (isEnd && stream.expectedBytes > 0) return this.#refuse(stream, 'h2_body_length_mismatch');
    stream.remoteClosed = isEnd;
    stream.sink.onResponse?.(head, isEnd);
    if (isEnd) this.#core.endIfOver(stream);
  }

  #onTrailers(stream: H2Stream, isEnd: boolean): void {
    const fields: readonly string[] | Malformed = isEnd
      ? checkTrailers(this.#decoder, this.#core.isClient)
      : { error: 'h2_bad_trailers' };
    if ('error' in fields) return this.#refuse(stream, fields.error);
    if (stream.expectedBytes >= 0 && stream.receivedBytes !== stream.expectedBytes) {
      return this.#refuse(stream, 'h2_body_length_mismatch');
    }
    stream.remoteClosed = true;
    stream.sink.onTrailers(fields);
    this.#core.endIfOver(stream);
  }

  #refuse(stream: H2Stream, error: Http2Error): void {
    this.#core.refuse(stream, H2_CODE.PROTOCOL_ERROR, error);
  }

  #fail(error: Http2Error): void {
    this.#core.fail(H2_CODE.PROTOCOL_ERROR, error);
  }
}

// Bytes the body must have; 0 where none may come whatever Content-Length says (RFC 9110 section
// 6.4.1), -1 where nothing is known.
function expectedBody(stream: H2Stream, head: H2ResponseHead): number {
  if (stream.isConnect && head.status < 300) return -1;
  if (stream.isBodyless || head.status === 204 || head.status === 304) return 0;
  return head.contentLength;
}

function codeOf(error: Http2Error): number {
  if (error === 'h2_bad_frame_size') return H2_CODE.FRAME_SIZE_ERROR;
  if (error === 'h2_continuation_flood' || error === 'h2_headers_too_large') {
    return H2_CODE.ENHANCE_YOUR_CALM;
  }
  return H2_CODE.PROTOCOL_ERROR;
}
