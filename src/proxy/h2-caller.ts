import { H2_CODE, type H2StreamSink } from '#protocol';
import type { ProxyContext } from './context.ts';
import { H2Call } from './h2-call.ts';
import { H2Transport } from './h2-transport.ts';
import { type ArrivedRequest, CallTurns } from './h2-turns.ts';
import type { HttpDirection } from './http-call.ts';
import type { Live } from './live.ts';
import type { BytePipe } from './pipe.ts';
import type { CallFacts } from './record.ts';
import type { FailureKind } from './respond.ts';

const TICK_MS = 1_000;
/** What a peer gets to read what was said last. */
const LINGER_MS = 2_000;
/**
 * Streams that wait for their reader. A slow one is its caller's business; so many on one connection
 * are not, and get less time.
 */
const MANY_STALLED = 16;
const STALL_MS = 5_000;
const NO_CALL = { head: undefined, upstream: undefined } as const;

/** A caller's HTTP/2 connection: each of its requests is an `H2Call`. */
export class H2Caller implements Live {
  deadlineAt = 0;
  cutAt = 0;
  readonly manner = 'stream';
  readonly #pipe: BytePipe;
  readonly #context: ProxyContext;
  readonly #direction: HttpDirection;
  readonly #facts: CallFacts;
  readonly #transport: H2Transport;
  readonly #turns: CallTurns;
  #startedAt = 0;
  /** When it was last seen with a stream, and without a header block half read. */
  #usedAt = 0;
  #wholeAt = 0;
  #isFinishing = false;
  #isDraining = false;

  constructor(pipe: BytePipe, context: ProxyContext, direction: HttpDirection, facts: CallFacts) {
    const { metrics } = context.options;
    this.#context = context;
    this.#direction = direction;
    this.#facts = facts;
    this.#pipe = pipe;
    this.#turns = new CallTurns({
      begin: (request) => this.#begin(request),
      onWithdrawn: () => {
        metrics.refused('h2_withdrawn_request').value++;
      },
      now: () => performance.now(),
      later: (callback, ms) => {
        if (ms === undefined) setImmediate(callback);
        else setTimeout(callback, ms);
      },
    });
    this.#transport = new H2Transport({
      role: 'server',
      carries: 'calls',
      events: {
        onRefused: (error, scope) => {
          metrics.refused(error).value++;
          if (scope === 'connection') this.#linger();
          else this.#turns.hold();
        },
        onRequest: (stream, head, isEnd) => this.#turns.accept({ stream, head, isEnd }),
        onStreamOver: (stream) => {
          if (stream.localClosed) this.#turns.completed();
          if (this.#isDraining) this.#finishIfUnused();
        },
      },
      onClose: () => this.#onClose(),
    });
  }

  /** Registers the connection and begins to read; `early` came before and is only lent. */
  start(early?: Buffer): void {
    const { live, options } = this.#context;
    this.#startedAt = live.now;
    this.#usedAt = live.now;
    this.#wholeAt = live.now;
    this.deadlineAt = live.now + TICK_MS;
    live.add(this);
    options.metrics.connections(this.#direction.side, 'http2').value++;
    this.#transport.start(this.#pipe, early);
  }

  /** Looks after what no frame tells: silence. */
  expire(): void {
    if (this.#isFinishing) return this.destroy();
    const { now } = this.#context.live;
    const { connection } = this.#transport;
    const { headerMs, idleMs } = this.#context.timeouts();
    this.deadlineAt = now + TICK_MS;
    connection.tick(now);
    if (connection.streamCount > 0) this.#usedAt = now;
    if (!connection.isHeadPartial) this.#wholeAt = now;
    // RFC 9113 section 6.5.3. A preface that never comes is one that was not acknowledged either.
    const isSilent = !connection.isSettled && now - this.#startedAt > headerMs;
    if (isSilent || now - this.#wholeAt > headerMs) {
      connection.abort(H2_CODE.SETTINGS_TIMEOUT, 'h2_settings_timeout');
      return this.#transport.finish();
    }
    connection.resetStalled(now - STALL_MS, MANY_STALLED);
    connection.resetStalled(now - idleMs);
    if (now - this.#usedAt > idleMs || this.#direction.isOutdated) this.drain();
  }

  judge(): FailureKind | undefined {
    return this.#direction.judge(NO_CALL);
  }

  // Its calls are cut by themselves, in the same turn: each knows why and answers so.
  cut(): void {
    this.#linger();
    this.#transport.connection.shutdown();
    setImmediate(() => this.#transport.finish());
  }

  drain(): void {
    if (this.#isDraining) return;
    this.#isDraining = true;
    this.#transport.connection.shutdown();
    this.#finishIfUnused();
  }

  destroy(): void {
    this.#transport.destroy();
  }

  #begin({ stream, head, isEnd }: ArrivedRequest): H2StreamSink {
    const call = new H2Call({
      connection: this.#transport.connection,
      stream,
      context: this.#context,
      direction: this.#direction,
      facts: this.#facts,
    });
    call.begin(head, isEnd);
    return call;
  }

  #finishIfUnused(): void {
    if (this.#transport.connection.streamCount > 0 || this.#isFinishing) return;
    this.#linger();
    this.#transport.finish();
  }

  #linger(): void {
    this.#isFinishing = true;
    this.deadlineAt = this.#context.live.now + LINGER_MS;
  }

  #onClose(): void {
    this.#context.live.remove(this);
    this.#context.options.metrics.connections(this.#direction.side, 'http2').value--;
  }
}
