import { Allowance } from './allowance.ts';
import { FRAME } from './frames.ts';
import type { H2Limits, Http2Error } from './messages.ts';

/** Fragments of one header block; a block of 64 KiB needs five. */
const MAX_CONTINUATIONS = 16;

/**
 * What one peer may do in vain. Each method returns why the connection has to end, if it has.
 * SECURITY: a frame that costs us more than it brings the peer is an attack once there are many of
 * them; what honest peers do a lot of (pings, window updates) is earned by the work around it.
 */
export class Guard {
  nowMs = 0;
  readonly #resets: Allowance;
  readonly #malformed = new Allowance({ burst: 100, perSecond: 20 });
  // Before a client has read our SETTINGS it may open as many as it likes.
  readonly #unknowing = new Allowance({ burst: 2_000, perSecond: 200 });
  // Behind its acknowledgement there is no honest one: both sides see the same order of frames.
  readonly #refusals = new Allowance({ burst: 100, perSecond: 20 });
  readonly #pings = new Allowance({ burst: 100, perSecond: 10 });
  readonly #settings = new Allowance({ burst: 50, perSecond: 5 });
  readonly #windows = new Allowance({ burst: 1_000, perSecond: 200 });
  readonly #priorities = new Allowance({ burst: 200, perSecond: 20 });
  readonly #unknown = new Allowance({ burst: 200, perSecond: 20 });
  readonly #emptyData = new Allowance({ burst: 100, perSecond: 20 });
  #continuations = 0;

  constructor({ resetBurst, resetsPerSecond }: Pick<H2Limits, 'resetBurst' | 'resetsPerSecond'>) {
    this.#resets = new Allowance({ burst: resetBurst, perSecond: resetsPerSecond });
  }

  /** A control frame came. */
  frame(type: number): Http2Error | undefined {
    if (type === FRAME.WINDOW_UPDATE) return this.#take(this.#windows, 'h2_window_update_flood');
    if (type === FRAME.PING) return this.#take(this.#pings, 'h2_ping_flood');
    if (type === FRAME.SETTINGS) return this.#take(this.#settings, 'h2_settings_flood');
    if (type === FRAME.RST_STREAM) return this.#take(this.#resets, 'h2_rapid_reset');
    if (type === FRAME.PRIORITY) return this.#take(this.#priorities, 'h2_priority_flood');
    return this.#take(this.#unknown, 'h2_unknown_frame_flood');
  }

  /** A DATA frame with nothing in it came. */
  emptyData(): Http2Error | undefined {
    return this.#take(this.#emptyData, 'h2_empty_data_flood');
  }

  /** A stream was reset because of what its peer sent: resets that the peer makes us send. */
  malformed(): Http2Error | undefined {
    return this.#take(this.#malformed, 'h2_malformed_request_flood');
  }

  /** A stream was refused because there are too many; `isSettled`: its peer had acknowledged how many it may open. */
  refusal(isSettled: boolean): Http2Error | undefined {
    return this.#take(isSettled ? this.#refusals : this.#unknowing, 'h2_refused_stream_flood');
  }

  /** A header block goes on in another frame; `isFirst` where it begins. */
  continuation(isFirst: boolean): Http2Error | undefined {
    this.#continuations = isFirst ? 0 : this.#continuations + 1;
    return this.#continuations > MAX_CONTINUATIONS ? 'h2_continuation_flood' : undefined;
  }

  /** A stream was opened. */
  opened(): void {
    this.#priorities.earn(2);
    this.#unknown.earn(2);
    this.#windows.earn(4);
    this.#pings.earn(1);
  }

  /** A stream ended as it should: both sides said all they had to say. */
  completed(): void {
    this.#resets.earn(1);
  }

  /** Body bytes came. */
  received(bytes: number): void {
    this.#pings.earn(1);
    this.#emptyData.earn(bytes > 1024 ? 2 : 1);
  }

  /** Body bytes were sent: their receiver gives credit for them, some in small pieces. */
  sent(bytes: number): void {
    this.#pings.earn(1);
    this.#windows.earn(4 + bytes / 1024);
  }

  #take(allowance: Allowance, error: Http2Error): Http2Error | undefined {
    return allowance.take(this.nowMs) ? undefined : error;
  }
}
