import type { H2RequestHead, H2Reset, H2Stream, H2StreamSink } from '#protocol';

/** Requests of a connection that begin at once, though none of it has been completed yet. */
const BURST = 8;
/** What each completed one earns, and what time does as long as there are fewer than `BURST`. */
const EARNED = 2;
const EARNED_PER_MS = 1;
const MOST = 100;
/** Those that begin in a turn of the event loop; other connections are served between two. */
const A_TURN = 8;
const WAIT_MS = 2;
/** For so long after something had to be refused, or was taken back, none begins by time alone. */
const HOLD_MS = 50;
const NOTHING: Buffer = Buffer.alloc(0);

/** A request as it came: its call is made when it begins. */
export type ArrivedRequest = {
  readonly stream: H2Stream;
  readonly head: H2RequestHead | 'tooLarge';
  readonly isEnd: boolean;
};

/** What turns work with. */
export type TurnsOptions = {
  /** Makes the call of a request and lets it begin; returns who hears of its stream from now on. */
  readonly begin: (request: ArrivedRequest) => H2StreamSink;
  /** A request was taken back before it began: nobody has judged it, and no server heard of it. */
  readonly onWithdrawn: () => void;
  /** Monotonic, in milliseconds. */
  readonly now: () => number;
  /** Calls back once in a later turn of the event loop, after `ms` or, without, in the next. */
  readonly later: (callback: () => void, ms?: number) => void;
};

/**
 * When each request of one caller's HTTP/2 connection begins: few until some were completed, then as many as the caller has
 * open; one a millisecond if none comes to its end, since there are calls that never do.
 * SECURITY: what has begun stands in the queues of all processes behind us, where nobody can put others before it. So a
 * caller that asks for a hundred things at once, or takes back whatever it asks for, gets few of them begun before its
 * limits end the connection; what waits costs its head and no more. Until one was completed none begins before all that came
 * with it has been read, so that what is taken back at once is never begun.
 */
export class CallTurns {
  readonly #options: TurnsOptions;
  readonly #waiting = new Set<WaitingRequest>();
  #credit = BURST;
  #countedAt: number;
  /** One was completed: this caller waits for what it asks for. */
  #isProven = false;
  /** Whether `#run` comes in the next turn, and whether the clock calls it. */
  #isNext = false;
  #isTimed = false;

  constructor(options: TurnsOptions) {
    this.#options = options;
    this.#countedAt = options.now();
  }

  /** Begins the request, or keeps it until its turn comes. Returns who hears of its stream. */
  accept(request: ArrivedRequest): H2StreamSink {
    const isDirect = this.#isProven && this.#waiting.size === 0;
    if (isDirect && this.#mayBegin()) return this.#options.begin(request);
    const waiting = new WaitingRequest(request, (reset) => {
      this.#waiting.delete(waiting);
      if (reset.origin !== 'peer') return;
      // Callers share a proven connection between sidecars: there one must not cost the others what they have earned.
      if (!this.#isProven) this.#credit = 0;
      this.hold();
      this.#options.onWithdrawn();
    });
    this.#waiting.add(waiting);
    this.#schedule();
    return waiting;
  }

  /** One of those that began was answered, and its caller has taken all of the answer. */
  completed(): void {
    this.#isProven = true;
    this.#credit = Math.min(MOST, this.#credit + EARNED);
    if (this.#waiting.size > 0) this.#schedule();
  }

  /** The caller asks for more than it may, or for what it does not want: what waits, waits longer. */
  hold(): void {
    this.#countedAt = this.#options.now() + HOLD_MS;
  }

  #mayBegin(): boolean {
    if (this.#credit < 1) this.#earnByTime();
    if (this.#credit < 1) return false;
    this.#credit--;
    return true;
  }

  #earnByTime(): void {
    const now = this.#options.now();
    const earned = (now - this.#countedAt) * EARNED_PER_MS;
    if (earned <= 0) return;
    this.#countedAt = now;
    this.#credit = Math.min(BURST, this.#credit + earned);
  }

  #schedule(): void {
    if (this.#credit >= 1) {
      if (this.#isNext) return;
      this.#isNext = true;
      this.#options.later(this.#runNext);
    } else if (!this.#isTimed) {
      this.#isTimed = true;
      this.#options.later(this.#runTimed, WAIT_MS);
    }
  }

  readonly #runNext = (): void => {
    this.#isNext = false;
    this.#run();
  };

  readonly #runTimed = (): void => {
    this.#isTimed = false;
    // Where completed ones have made room meanwhile, the next turn sees to it.
    if (!this.#isNext) this.#run();
  };

  #run(): void {
    let begun = 0;
    for (const waiting of this.#waiting) {
      if (begun++ === A_TURN || !this.#mayBegin()) break;
      this.#waiting.delete(waiting);
      waiting.begin(this.#options.begin);
    }
    if (this.#waiting.size > 0) this.#schedule();
  }
}

/** A request that has not begun, and what came of its body meanwhile: the caller's windows bound it. */
class WaitingRequest implements H2StreamSink {
  readonly #request: ArrivedRequest;
  readonly #onReset: (reset: H2Reset) => void;
  #body = NOTHING;
  #length = 0;
  #isEnd = false;
  #trailers: readonly string[] | undefined;

  constructor(request: ArrivedRequest, onReset: (reset: H2Reset) => void) {
    this.#request = request;
    this.#onReset = onReset;
  }

  /** Hands everything over to the call. */
  begin(begin: TurnsOptions['begin']): void {
    const sink = begin(this.#request);
    this.#request.stream.sink = sink;
    if (this.#length > 0 || this.#isEnd) sink.onData(this.#body, 0, this.#length, this.#isEnd);
    if (this.#trailers !== undefined) sink.onTrailers(this.#trailers);
  }

  // Gathered in one piece: a buffer for each of a thousand small frames would be more than the bytes are.
  onData(chunk: Buffer, start: number, end: number, isEnd: boolean): void {
    const length = this.#length + end - start;
    if (length > this.#body.length) {
      const grown = Buffer.allocUnsafe(Math.max(length, 2 * this.#body.length));
      this.#body.copy(grown, 0, 0, this.#length);
      this.#body = grown;
    }
    chunk.copy(this.#body, this.#length, start, end);
    this.#length = length;
    this.#isEnd = isEnd;
  }

  onTrailers(fields: readonly string[]): void {
    this.#trailers = fields;
  }

  onReset(reset: H2Reset): void {
    this.#onReset(reset);
  }

  onDrain(): void {
    // Nothing is sent before it begins.
  }
}
