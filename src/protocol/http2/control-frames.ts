import type { H2Core } from './core.ts';
import {
  FLAG,
  FRAME,
  type Frame,
  INITIAL_WINDOW,
  MAX_FRAME_BYTES,
  MAX_WINDOW,
  SETTING,
} from './frames.ts';
import { H2_CODE, type Http2Error } from './messages.ts';

const MAX_STREAM_ID = 0x7fff_ffff;
const ALIVE_PING: Buffer = Buffer.from('alive???', 'latin1');
const SHUTDOWN_PING: Buffer = Buffer.from('goaway!!', 'latin1');

/** SETTINGS, PING, GOAWAY, WINDOW_UPDATE, RST_STREAM, PRIORITY and what nobody knows. */
export class ControlFrames {
  /** The peer's first SETTINGS has come. */
  hasSettings = false;
  /** The peer has acknowledged ours. */
  isSettled = false;
  isGoingAway = false;
  /** Server: the highest stream that the peer may still open. */
  lastAcceptedId: number = MAX_STREAM_ID;
  peerMaxStreams: number = Number.POSITIVE_INFINITY;
  peerInitialWindow: number = INITIAL_WINDOW;
  readonly #core: H2Core;
  #isShuttingDown = false;

  constructor(core: H2Core) {
    this.#core = core;
  }

  onFrame(frame: Frame): void {
    const flood = this.#core.guard.frame(frame.type);
    if (flood !== undefined) return this.#core.fail(H2_CODE.ENHANCE_YOUR_CALM, flood);
    switch (frame.type) {
      case FRAME.SETTINGS:
        return this.#onSettings(frame);
      case FRAME.WINDOW_UPDATE:
        return this.#onWindowUpdate(frame);
      case FRAME.RST_STREAM:
        return this.#onReset(frame);
      case FRAME.PING:
        return this.#onPing(frame);
      case FRAME.GOAWAY:
        return this.#onGoaway(frame);
      case FRAME.PRIORITY:
        return this.#onPriority(frame);
      case FRAME.PUSH_PROMISE:
        // Clients refuse it by SETTINGS_ENABLE_PUSH, and nobody pushes to a server.
        return this.#fail('h2_push_promise');
      default:
        // RFC 9113 section 5.5: unknown types are ignored.
        return undefined;
    }
  }

  /**
   * Opens and accepts no more streams. Server: says so first, and after a round trip, in which
   * requests may still come, which was the last one (RFC 9113 section 6.8).
   */
  shutdown(): void {
    if (this.#isShuttingDown) return;
    this.#isShuttingDown = true;
    this.isGoingAway = true;
    const { sender, isClient } = this.#core;
    sender.goaway(isClient ? 0 : MAX_STREAM_ID, H2_CODE.NO_ERROR, '');
    if (!isClient) sender.ping(SHUTDOWN_PING, 0, false);
  }

  /** PING of our own. */
  ping(): void {
    this.#core.sender.ping(ALIVE_PING, 0, false);
  }

  #onSettings({ streamId, flags, bytes, start, end }: Frame): void {
    if (streamId !== 0) return this.#fail('h2_bad_stream_id');
    const isAck = (flags & FLAG.ACK) !== 0;
    if (isAck && !this.hasSettings) return this.#fail('h2_bad_preface');
    if ((end - start) % 6 !== 0 || (isAck && end !== start)) return this.#failSize();
    if (isAck) {
      this.isSettled = true;
      return;
    }
    this.hasSettings = true;
    for (let at = start; at < end; at += 6) {
      const error = this.#apply(bytes.readUInt16BE(at), bytes.readUInt32BE(at + 2));
      if (error !== undefined) return this.#core.fail(error, 'h2_bad_setting');
    }
    this.#core.sender.settings([], true);
  }

  // RFC 9113 section 6.5.2; a number is the code of the connection error.
  #apply(id: number, value: number): number | undefined {
    switch (id) {
      case SETTING.HEADER_TABLE_SIZE:
        this.#core.sender.encoder.limitTable(value);
        return undefined;
      case SETTING.ENABLE_PUSH:
        // A server must not say 1.
        return value > (this.#core.isClient ? 0 : 1) ? H2_CODE.PROTOCOL_ERROR : undefined;
      case SETTING.MAX_CONCURRENT_STREAMS:
        this.peerMaxStreams = value;
        return undefined;
      case SETTING.INITIAL_WINDOW_SIZE:
        return this.#setInitialWindow(value);
      case SETTING.MAX_FRAME_SIZE:
        // We never send more than the smallest value allowed.
        return value < MAX_FRAME_BYTES || value > 0xff_ffff ? H2_CODE.PROTOCOL_ERROR : undefined;
      default:
        return undefined;
    }
  }

  // RFC 9113 section 6.9.2: windows of open streams change along and may become negative.
  #setInitialWindow(value: number): number | undefined {
    if (value > MAX_WINDOW) return H2_CODE.FLOW_CONTROL_ERROR;
    const change = value - this.peerInitialWindow;
    this.peerInitialWindow = value;
    if (change === 0) return undefined;
    for (const stream of this.#core.streams.all()) {
      if (!this.#core.sender.credit(stream, change)) return H2_CODE.FLOW_CONTROL_ERROR;
    }
    return undefined;
  }

  #onWindowUpdate({ streamId, bytes, start, end }: Frame): void {
    if (end - start !== 4) return this.#failSize();
    const increment = bytes.readUInt32BE(start) & MAX_WINDOW;
    const { sender, streams, refuse } = this.#core;
    if (streamId === 0) {
      if (increment === 0) return this.#fail('h2_zero_window_update');
      if (sender.credit(undefined, increment)) return;
      return this.#core.fail(H2_CODE.FLOW_CONTROL_ERROR, 'h2_window_overflow');
    }
    const stream = streams.find(streamId);
    if (stream === undefined) return this.#ignoreUnlessIdle(streamId);
    if (increment === 0) return refuse(stream, H2_CODE.PROTOCOL_ERROR, 'h2_zero_window_update');
    if (!sender.credit(stream, increment)) {
      refuse(stream, H2_CODE.FLOW_CONTROL_ERROR, 'h2_window_overflow');
    }
  }

  #onReset({ streamId, bytes, start, end }: Frame): void {
    if (end - start !== 4) return this.#failSize();
    const stream = this.#core.streams.find(streamId);
    if (stream === undefined) return this.#ignoreUnlessIdle(streamId);
    const code = bytes.readUInt32BE(start);
    this.#core.remove(stream, {
      code,
      origin: 'peer',
      unprocessed: code === H2_CODE.REFUSED_STREAM,
      error: undefined,
    });
  }

  #onPing({ streamId, flags, bytes, start, end }: Frame): void {
    if (streamId !== 0) return this.#fail('h2_bad_stream_id');
    if (end - start !== 8) return this.#failSize();
    if ((flags & FLAG.ACK) === 0) return this.#core.sender.ping(bytes, start, true);
    if (ALIVE_PING.compare(bytes, start, end) === 0) return this.#core.events.onPong?.();
    if (!this.#isShuttingDown || SHUTDOWN_PING.compare(bytes, start, end) !== 0) return;
    // A round trip has passed: what the peer opened until now is all we take.
    if (this.lastAcceptedId !== MAX_STREAM_ID) return;
    this.lastAcceptedId = this.#core.streams.lastPeerId;
    this.#core.sender.goaway(this.lastAcceptedId, H2_CODE.NO_ERROR, '');
  }

  #onGoaway({ streamId, bytes, start, end }: Frame): void {
    if (streamId !== 0) return this.#fail('h2_bad_stream_id');
    if (end - start < 8) return this.#failSize();
    const lastId = bytes.readUInt32BE(start) & MAX_STREAM_ID;
    const code = bytes.readUInt32BE(start + 4);
    const { streams, events, isClient, remove } = this.#core;
    this.isGoingAway = true;
    events.onGoaway?.(code);
    if (!isClient) return;
    for (const stream of streams.all()) {
      if (stream.id <= lastId) continue;
      remove(stream, { code, origin: 'peer', unprocessed: true, error: undefined });
    }
  }

  // Deprecated since RFC 9113, and still to be well formed (section 6.3).
  #onPriority({ streamId, bytes, start, end }: Frame): void {
    if (streamId === 0) return this.#fail('h2_bad_stream_id');
    const { streams, refuse, sender } = this.#core;
    const stream = streams.find(streamId);
    const isWrongSize = end - start !== 5;
    if (!isWrongSize && (bytes.readUInt32BE(start) & MAX_STREAM_ID) !== streamId) return;
    const code = isWrongSize ? H2_CODE.FRAME_SIZE_ERROR : H2_CODE.PROTOCOL_ERROR;
    const error: Http2Error = isWrongSize ? 'h2_bad_frame_size' : 'h2_self_dependency';
    if (stream !== undefined) return refuse(stream, code, error);
    // RST_STREAM must not be sent for an idle stream (RFC 9113 section 6.4).
    if (streams.absence(streamId) === 'idle') return this.#core.fail(code, error);
    sender.word(FRAME.RST_STREAM, streamId, code);
  }

  // RFC 9113 section 5.1: both may come for a stream that is over, and never for an idle one.
  #ignoreUnlessIdle(streamId: number): void {
    if (this.#core.streams.absence(streamId) === 'idle') this.#fail('h2_bad_stream_id');
  }

  #fail(error: Http2Error): void {
    this.#core.fail(H2_CODE.PROTOCOL_ERROR, error);
  }

  #failSize(): void {
    this.#core.fail(H2_CODE.FRAME_SIZE_ERROR, 'h2_bad_frame_size');
  }
}
