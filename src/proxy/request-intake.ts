import {
  BodyReader,
  createRequestReader,
  type Http1Error,
  type RequestHead,
  type RequestReader,
} from '#protocol';
import type { BodyPart } from './answer.ts';
import type { BytePipe } from './pipe.ts';

const PHASE = { head: 0, body: 1, whole: 2, closed: 3 } as const;

type PathNormalizationOf = NonNullable<
  NonNullable<Parameters<typeof createRequestReader>[0]>['pathNormalization']
>;

/** What the reading of a caller's requests leads to. Bytes are lent until the event returns. */
export interface IntakeEvents {
  /** The first bytes of a head came, and not all of it. */
  onHeadBegun(): void;
  /** A head, and what came of its body with it; `problem` where that body cannot be read. */
  onRequest(head: RequestHead, part: BodyPart, problem: Http1Error | undefined): void;
  /** More of the body: what is decoded of it lies at `start` to `end`. */
  onRequestBody(chunk: Buffer, start: number, end: number): void;
  /** Neither this head nor anything after it can be read. */
  onBadHead(error: Http1Error): void;
  /** The rest of the body, of a request that is under way, cannot be read. */
  onBadBody(error: Http1Error): void;
}

/**
 * The reading side of a caller's HTTP/1.1 connection: one request at a time. Of what is pipelined behind it as much is kept as
 * had come when it was seen, and the pipe is paused.
 */
export class RequestIntake {
  readonly #pipe: BytePipe;
  readonly #events: IntakeEvents;
  readonly #reader: RequestReader;
  readonly #body = new BodyReader();
  #phase: number = PHASE.head;
  #held: Buffer | undefined;

  constructor(pipe: BytePipe, events: IntakeEvents, pathNormalization: PathNormalizationOf) {
    this.#pipe = pipe;
    this.#events = events;
    this.#reader = createRequestReader({ pathNormalization });
  }

  /** Whether a head is awaited, or part of one has come. */
  get isInHead(): boolean {
    return this.#phase === PHASE.head;
  }

  /** Whether a head is awaited and nothing of it has come. */
  get isIdle(): boolean {
    return this.#phase === PHASE.head && !this.#reader.partial();
  }

  get isInBody(): boolean {
    return this.#phase === PHASE.body;
  }

  /** Whether the whole request has come, and its answer is what is awaited. */
  get isWhole(): boolean {
    return this.#phase === PHASE.whole;
  }

  get isClosed(): boolean {
    return this.#phase === PHASE.closed;
  }

  /** Whether bytes are kept that came behind the request under way. */
  get hasHeld(): boolean {
    return this.#held !== undefined;
  }

  /** Reads on; `chunk` is only lent. */
  take(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      const isBehind = this.#phase === PHASE.head && this.#pipe.isBehind;
      if (this.#phase === PHASE.head && !isBehind) at = this.#takeHead(chunk, at);
      else if (this.#phase === PHASE.body) at = this.#takeBody(chunk, at);
      else {
        // Pipelined: read when its turn comes, and its caller has taken the answers so far.
        if (this.#phase !== PHASE.closed) this.#hold(chunk.subarray(at));
        return;
      }
    }
  }

  /** The answer is out: the next head is awaited. */
  awaitRequest(): void {
    this.#phase = PHASE.head;
  }

  /** Reads what was kept. False if some of it has to be kept on, and the pipe stays paused. */
  takeHeld(): boolean {
    const held = this.release();
    if (held === undefined) return true;
    this.take(held);
    if (this.#held !== undefined) return false;
    this.#pipe.resume();
    return true;
  }

  /** Hands over what was kept. */
  release(): Buffer | undefined {
    const held = this.#held;
    this.#held = undefined;
    return held;
  }

  /** Whatever comes from now on is not read. */
  close(): void {
    this.#phase = PHASE.closed;
    this.#held = undefined;
  }

  #takeHead(chunk: Buffer, from: number): number {
    const fresh = !this.#reader.partial();
    const head = this.#reader.read(chunk, from);
    if (head.kind === 'more') {
      if (fresh) this.#events.onHeadBegun();
      return chunk.length;
    }
    if (head.kind === 'refuse') {
      this.#events.onBadHead(head.error);
      return chunk.length;
    }
    const start = from + head.consumed;
    this.#body.start(head.framing);
    const end = this.#body.read(chunk, start);
    const last = this.#body.complete;
    this.#phase = last ? PHASE.whole : PHASE.body;
    this.#events.onRequest(head, { chunk, start, end, last }, this.#body.error);
    return end;
  }

  #takeBody(chunk: Buffer, start: number): number {
    const end = this.#body.read(chunk, start);
    if (this.#body.error !== undefined) {
      this.#events.onBadBody(this.#body.error);
      return chunk.length;
    }
    if (this.#body.complete) this.#phase = PHASE.whole;
    this.#events.onRequestBody(chunk, start, end);
    return end;
  }

  #hold(rest: Buffer): void {
    this.#held = Buffer.concat(this.#held === undefined ? [rest] : [this.#held, rest]);
    this.#pipe.pause();
  }
}
