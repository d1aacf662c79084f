import type { H2StreamSink } from './messages.ts';
import { H2Stream } from './stream.ts';

/** Streams that we reset are remembered, since frames for them may be on their way. */
const MAX_REMEMBERED = 1_000;

/** What a stream that is not open is (RFC 9113 section 5.1). */
export type Absence = 'idle' | 'closed' | 'reset_by_us';

/** The streams of one connection that are not over, and what became of the others. */
export class StreamTable {
  /** The highest stream the peer opened. */
  lastPeerId = 0;
  /** Server: streams that the peer opened so far, be they refused. */
  heads = 0;
  /** Client: the next stream we open. */
  nextId = 1;
  readonly #isClient: boolean;
  readonly #streams = new Map<number, H2Stream>();
  readonly #resetByUs = new Set<number>();

  constructor(isClient: boolean) {
    this.#isClient = isClient;
  }

  get size(): number {
    return this.#streams.size;
  }

  find(id: number): H2Stream | undefined {
    return this.#streams.get(id);
  }

  /** The streams at this moment. */
  all(): readonly H2Stream[] {
    return [...this.#streams.values()];
  }

  /** Client: opens the next stream. */
  open(sink: H2StreamSink, receiveWindow: number, sendWindow: number): H2Stream {
    const stream = new H2Stream(this.nextId, sink, receiveWindow, sendWindow);
    this.nextId += 2;
    this.#streams.set(stream.id, stream);
    return stream;
  }

  /** Server: takes in a stream that the peer opened. */
  accept(stream: H2Stream): void {
    this.#streams.set(stream.id, stream);
  }

  remove(stream: H2Stream): void {
    this.#streams.delete(stream.id);
  }

  /** Frames for this stream are no error of the peer for a while. */
  rememberReset(id: number): void {
    this.#resetByUs.add(id);
    if (this.#resetByUs.size <= MAX_REMEMBERED) return;
    for (const oldest of this.#resetByUs) {
      this.#resetByUs.delete(oldest);
      return;
    }
  }

  /** What a stream is that `find` does not know. */
  absence(id: number): Absence {
    if (this.#resetByUs.has(id)) return 'reset_by_us';
    // Clients open odd streams, servers none: an even one is idle for ever.
    const last = this.#isClient ? this.nextId - 2 : this.lastPeerId;
    return id % 2 === 0 || id > last ? 'idle' : 'closed';
  }
}
