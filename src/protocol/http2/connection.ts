import { ControlFrames } from './control-frames.ts';
import type { H2Core } from './core.ts';
import { DataFrames } from './data-frames.ts';
import { FrameReader } from './frame-reader.ts';
import { FRAME, type Frame, INITIAL_WINDOW, PREFACE } from './frames.ts';
import { Guard } from './guard.ts';
import { HeaderFrames } from './header-frames.ts';
import {
  DEFAULT_H2_LIMITS,
  H2_CODE,
  type H2Events,
  type H2Limits,
  type H2Reset,
  type H2StreamSink,
  type Http2Error,
} from './messages.ts';
import { releaseOutput } from './output.ts';
import { ownSettings, Sender } from './sender.ts';
import type { H2Stream } from './stream.ts';
import { StreamTable } from './stream-table.ts';

/** How a connection is set up. */
export type H2Options = {
  readonly role: 'client' | 'server';
  readonly events: H2Events;
  /** What differs from `DEFAULT_H2_LIMITS`. */
  readonly limits?: Partial<H2Limits>;
};

/** Acknowledgements that may wait besides what is gathered. */
const MAX_CONTROL_BYTES = 64 * 1024;
const MAX_STREAM_ID = 0x7fff_ffff;

/**
 * One HTTP/2 connection (RFC 9113) without I/O: received bytes go into `receive`, events come out,
 * and what is to be sent is gathered until `takeOutput`.
 * SECURITY: hostile bytes end in an error of a stream or of the connection, never in an exception,
 * and what a peer may do in vain is bounded (`guard.ts`).
 */
export class H2Connection {
  readonly limits: H2Limits;
  /** With which code and why the connection ended; undefined while it goes on. */
  failed: { readonly code: number; readonly error: Http2Error } | undefined;
  readonly #isClient: boolean;
  readonly #events: H2Events;
  readonly #guard: Guard;
  readonly #reader: FrameReader;
  readonly #sender: Sender;
  readonly #streams: StreamTable;
  readonly #control: ControlFrames;
  readonly #headers: HeaderFrames;
  readonly #data: DataFrames;
  #prefaceLeft: number;
  /** Streams opened in all, with which the read under way is over. */
  #pauseAt = 0;
  /** Frames that the read under way may still take. */
  #framesLeft = 0;

  constructor(options: H2Options) {
    const limits = { ...DEFAULT_H2_LIMITS, ...options.limits };
    this.#guard = new Guard(limits);
    this.limits = limits;
    this.#isClient = options.role === 'client';
    this.#events = options.events;
    this.#prefaceLeft = this.#isClient ? 0 : PREFACE.length;
    this.#streams = new StreamTable(this.#isClient);
    this.#sender = new Sender(
      {
        onOutput: () => this.#events.onOutput(),
        onLocalEnd: (stream) => this.#endIfOver(stream),
      },
      this.#guard,
      limits.maxGatherBytes,
    );
    const core: H2Core = {
      isClient: this.#isClient,
      limits,
      events: options.events,
      guard: this.#guard,
      sender: this.#sender,
      streams: this.#streams,
      fail: (code, error) => this.abort(code, error),
      refuse: (stream, code, error) => this.#refuse(stream, code, error),
      remove: (stream, reset) => this.#remove(stream, reset),
      endIfOver: (stream) => this.#endIfOver(stream),
    };
    this.#control = new ControlFrames(core);
    this.#headers = new HeaderFrames(core, this.#control);
    this.#data = new DataFrames(core);
    this.#reader = new FrameReader({
      onFrame: (frame) => this.#onFrame(frame),
      onDataFrame: (id, flags, length) => this.#onDataFrame(id, flags, length),
      onDataPart: (chunk, start, end, isLast) => this.#data.onPart(chunk, start, end, isLast),
      onBadPadding: () => this.abort(H2_CODE.PROTOCOL_ERROR, 'h2_bad_padding'),
      onOversize: () => this.abort(H2_CODE.FRAME_SIZE_ERROR, 'h2_bad_frame_size'),
    });
  }

  /** Says the first words of our side; to be called once, before anything else. */
  start(): void {
    if (this.#isClient) this.#sender.raw(PREFACE);
    this.#sender.settings(ownSettings(this.limits, this.#isClient), false);
    const extra = this.limits.connectionWindow - INITIAL_WINDOW;
    if (extra > 0) this.#sender.word(FRAME.WINDOW_UPDATE, 0, extra);
  }

  /** The peer has acknowledged our SETTINGS. */
  get isSettled(): boolean {
    return this.#control.isSettled;
  }

  /** The peer's SETTINGS have come: what it takes is known. */
  get hasPeerSettings(): boolean {
    return this.#control.hasSettings;
  }

  /** No new streams: the peer said so, or we did. */
  get isGoingAway(): boolean {
    return this.#control.isGoingAway;
  }

  /** Streams that are not over. */
  get streamCount(): number {
    return this.#streams.size;
  }

  /** Whether there is anything for `takeOutput`. */
  get hasOutput(): boolean {
    return this.#sender.hasOutput;
  }

  /** Whether the peer is in the middle of its preface, a frame or a header block. */
  get isPartial(): boolean {
    return this.#prefaceLeft > 0 || this.#reader.partial || this.#headers.isPartial;
  }

  /** Whether the peer is in the middle of a header block. */
  get isHeadPartial(): boolean {
    return this.#headers.isPartial;
  }

  /** Tells the time between reads, so that waiting streams are not thought older than they are. */
  tick(nowMs: number): void {
    this.#guard.nowMs = nowMs;
  }

  /**
   * Reads `chunk`, which is only lent. `nowMs`: a monotonic clock. Returns how much of it was read: less than all where
   * `requestsPerRead` came or `framesPerRead` were read; the rest is to be given again later.
   */
  receive(chunk: Buffer, nowMs: number): number {
    this.#guard.nowMs = nowMs;
    if (this.failed !== undefined) return chunk.length;
    this.#pauseAt = this.#streams.heads + this.limits.requestsPerRead;
    this.#framesLeft = this.limits.framesPerRead;
    let at = 0;
    if (this.#prefaceLeft > 0) {
      const from = PREFACE.length - this.#prefaceLeft;
      const count = Math.min(this.#prefaceLeft, chunk.length);
      if (PREFACE.compare(chunk, 0, count, from, from + count) !== 0) {
        this.abort(H2_CODE.PROTOCOL_ERROR, 'h2_bad_preface');
        return chunk.length;
      }
      this.#prefaceLeft -= count;
      at = count;
    }
    return this.#reader.read(chunk, at);
  }

  /** All frames that can go out now, in one piece; it is ours again after `release`. */
  takeOutput(): Buffer | undefined {
    return this.#sender.take();
  }

  /** Gives back what `takeOutput` returned, when it has been written. Optional, and saves garbage. */
  release(taken: Buffer): void {
    releaseOutput(taken);
  }

  /** Client: whether the peer takes another stream now. */
  get canOpen(): boolean {
    return (
      this.failed === undefined &&
      !this.#control.isGoingAway &&
      this.#streams.size < this.#control.peerMaxStreams &&
      this.#streams.nextId < MAX_STREAM_ID
    );
  }

  /**
   * Client: opens a stream with a request. `fields` are name, value, name, value …, pseudo-header
   * fields first, names in lower case, each character a byte.
   * Undefined where `canOpen` is false.
   */
  open(fields: readonly string[], isEnd: boolean, sink: H2StreamSink): H2Stream | undefined {
    if (!this.canOpen) return undefined;
    const stream = this.#streams.open(
      sink,
      this.limits.streamWindow,
      this.#control.peerInitialWindow,
    );
    const method = fields[0] === ':method' ? fields[1] : fields[fields.indexOf(':method') + 1];
    stream.isBodyless = method === 'HEAD';
    stream.isConnect = method === 'CONNECT';
    this.#sender.headers(stream, fields, isEnd);
    return stream;
  }

  /** Server: a response head, `:status` first; interim ones (1xx) with `isEnd` false. */
  respond(stream: H2Stream, fields: readonly string[], isEnd: boolean): void {
    if (stream.isOpen) this.#sender.headers(stream, fields, isEnd);
  }

  /**
   * Sends body bytes `chunk[start, end)`, copying them. False if some have to wait for window or
   * output: nothing should follow until the sink's `onDrain`; what follows all the same is kept too.
   */
  sendData(stream: H2Stream, chunk: Buffer, start: number, end: number, isEnd: boolean): boolean {
    if (!stream.isOpen) return true;
    return this.#sender.data(stream, chunk, start, end, isEnd);
  }

  /** Ends our side with trailers, behind all that was sent before. */
  sendTrailers(stream: H2Stream, fields: readonly string[]): void {
    if (stream.isOpen) this.#sender.trailers(stream, fields);
  }

  /** `bytes` of a stream's body were used up: its peer may send as many again. */
  credit(stream: H2Stream, bytes: number): void {
    if (!stream.mayReceive || this.failed !== undefined) return;
    const { streamWindow, grownStreamWindow } = this.limits;
    stream.uncredited += bytes;
    if (stream.uncredited < (stream.isGrown ? grownStreamWindow : streamWindow) / 2) return;
    if (!stream.isGrown) {
      stream.isGrown = true;
      stream.uncredited += grownStreamWindow - streamWindow;
    }
    this.#sender.word(FRAME.WINDOW_UPDATE, stream.id, stream.uncredited);
    stream.receiveWindow += stream.uncredited;
    stream.uncredited = 0;
  }

  /** Ends a stream at once; its sink hears nothing more. */
  reset(stream: H2Stream, code: number): void {
    if (stream.isReset || this.failed !== undefined) return;
    // A stream that both sides have ended is over already.
    if (this.#streams.find(stream.id) !== stream) return;
    this.#sender.word(FRAME.RST_STREAM, stream.id, code);
    this.#streams.rememberReset(stream.id);
    this.#remove(stream, undefined);
  }

  /**
   * Server: our answer is complete before the request is, and nobody will read the rest. Once the
   * answer has left, the peer is told to stop (RFC 9113 section 8.1).
   */
  endEarly(stream: H2Stream): void {
    stream.isAnsweredEarly = true;
    this.#endIfOver(stream);
  }

  /** Asks for a sign of life: `onPong` follows. */
  ping(): void {
    if (this.failed === undefined) this.#control.ping();
  }

  /**
   * Opens and accepts no more streams. Server: tells the peer first, and after a round trip, in
   * which requests may still come, which was the last one (RFC 9113 section 6.8).
   */
  shutdown(): void {
    if (this.failed === undefined) this.#control.shutdown();
  }

  /** Ends the connection: GOAWAY goes out, every stream ends, and nothing more is read. */
  abort(code: number, error: Http2Error): void {
    if (this.failed !== undefined) return;
    this.failed = { code, error };
    this.#reader.stop();
    this.#sender.goaway(this.#isClient ? 0 : this.#streams.lastPeerId, code, error);
    this.#endStreams(code, error);
    this.#events.onRefused(error, 'connection');
  }

  /** The transport is gone: every stream ends. */
  closed(): void {
    this.#reader.stop();
    this.#endStreams(H2_CODE.CANCEL, undefined);
  }

  /**
   * Resets streams whose bytes have waited for window or output since before `since`, if there are
   * at least `least` of them. Returns how many it reset.
   */
  resetStalled(since: number, least = 1): number {
    const stalled = this.#streams
      .all()
      .filter(({ pendingBytes, waitingSince }) => pendingBytes > 0 && waitingSince < since);
    if (stalled.length < least) return 0;
    for (const stream of stalled) this.#refuse(stream, H2_CODE.CANCEL, 'h2_stalled_stream');
    return stalled.length;
  }

  #onFrame(frame: Frame): void {
    if (this.failed !== undefined) return;
    if (this.#headers.isPartial !== (frame.type === FRAME.CONTINUATION)) {
      return this.abort(H2_CODE.PROTOCOL_ERROR, 'h2_unexpected_continuation');
    }
    // RFC 9113 section 3.4: SETTINGS is the first frame of either side.
    if (!this.#control.hasSettings && frame.type !== FRAME.SETTINGS) {
      return this.abort(H2_CODE.PROTOCOL_ERROR, 'h2_bad_preface');
    }
    if (frame.type === FRAME.HEADERS) this.#headers.onHeaders(frame);
    else if (frame.type === FRAME.CONTINUATION) this.#headers.onContinuation(frame);
    else this.#control.onFrame(frame);
    if (--this.#framesLeft <= 0 || this.#streams.heads >= this.#pauseAt) this.#reader.pause();
    if (this.#sender.output.length > this.limits.maxGatherBytes + MAX_CONTROL_BYTES) {
      // SECURITY: acknowledgements for a peer that never reads them would fill the memory.
      this.abort(H2_CODE.ENHANCE_YOUR_CALM, 'h2_output_flood');
    }
  }

  #onDataFrame(streamId: number, flags: number, length: number): void {
    if (this.#headers.isPartial) {
      this.abort(H2_CODE.PROTOCOL_ERROR, 'h2_unexpected_continuation');
    } else if (!this.#control.hasSettings) {
      this.abort(H2_CODE.PROTOCOL_ERROR, 'h2_bad_preface');
    } else this.#data.onFrame(streamId, flags, length);
    if (--this.#framesLeft <= 0) this.#reader.pause();
  }

  // A stream whose peer broke the protocol: RST_STREAM, counted, and its owner is told.
  #refuse(stream: H2Stream, code: number, error: Http2Error): void {
    if (stream.isReset || this.failed !== undefined) return;
    this.#sender.word(FRAME.RST_STREAM, stream.id, code);
    this.#streams.rememberReset(stream.id);
    this.#events.onRefused(error, 'stream');
    this.#remove(stream, { code, origin: 'refused', unprocessed: false, error });
    const flood = this.#guard.malformed();
    if (flood !== undefined) this.abort(H2_CODE.ENHANCE_YOUR_CALM, flood);
  }

  #remove(stream: H2Stream, reset: H2Reset | undefined): void {
    stream.isReset = true;
    this.#sender.drop(stream);
    this.#streams.remove(stream);
    if (reset !== undefined) stream.sink.onReset(reset);
    this.#events.onStreamOver?.(stream);
  }

  #endIfOver(stream: H2Stream): void {
    if (stream.localClosed && stream.isAnsweredEarly && !stream.remoteClosed) {
      return this.reset(stream, H2_CODE.NO_ERROR);
    }
    if (!stream.localClosed || !stream.remoteClosed || stream.isReset) return;
    this.#streams.remove(stream);
    this.#guard.completed();
    this.#events.onStreamOver?.(stream);
  }

  #endStreams(code: number, error: Http2Error | undefined): void {
    for (const stream of this.#streams.all()) {
      this.#remove(stream, { code, origin: 'connection', unprocessed: false, error });
    }
  }
}
