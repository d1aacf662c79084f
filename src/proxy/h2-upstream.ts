import { H2_CODE, type H2Reset, type H2Stream, type H2StreamSink } from '#protocol';
import type { Leg, LegSink, OutgoingRequest } from './h2-leg.ts';
import { H2Transport } from './h2-transport.ts';
import type { BytePipe } from './pipe.ts';
import type { CallFacts } from './record.ts';
import type { FailureKind } from './respond.ts';
import type { TlsPeer } from './tls-peer.ts';

/** What an HTTP/2 connection to a server tells its pool. */
export type H2UpstreamEvents = {
  readonly onGone: (connection: H2Upstream) => void;
  /** The server has said how many streams it takes. Called once, before `onGone`, if at all. */
  readonly onReady: (connection: H2Upstream) => void;
  /** Something that the server sent was refused. */
  readonly onRefused: (error: string) => void;
};

// SECURITY: what a stalled caller costs is what its server may send before it is stopped.
const WINDOWS = { streamWindow: 8 * 1024, grownStreamWindow: 256 * 1024 } as const;

/**
 * Streams that may be cancelled on one connection, more than ended well. Servers end connections on
 * which they see many more.
 * SECURITY: callers share connections to their server, and one that resets all its requests would
 * have that done to the others.
 */
const MAX_CANCELLED = 64;

/** An HTTP/2 connection to a server, with prior knowledge: our application, or a peer's sidecar. */
export class H2Upstream {
  /** Who answers, and records' constant part, where it was reached over TLS. */
  readonly peer: { readonly secure: TlsPeer; readonly facts: CallFacts } | undefined;
  /** When the last stream ended, on the pool's clock. */
  idleSince = performance.now();
  /** When it was made, on the same clock, and how many streams it has had. */
  readonly madeAt = performance.now();
  begun = 0;
  isReady = false;
  readonly #transport: H2Transport;
  readonly #pipe: BytePipe;
  #isRetired = false;
  #cancelled = 0;
  isGone = false;

  constructor(
    pipe: BytePipe,
    events: H2UpstreamEvents,
    peer?: { readonly secure: TlsPeer; readonly facts: CallFacts },
  ) {
    this.peer = peer;
    this.#pipe = pipe;
    this.#transport = new H2Transport({
      role: 'client',
      carries: 'calls',
      limits: WINDOWS,
      events: {
        onRefused: (error) => events.onRefused(error),
        onGoaway: () => this.#endIfUnused(),
        onStreamOver: (stream) => {
          this.idleSince = performance.now();
          if (!stream.isReset) this.#cancelled = Math.max(0, this.#cancelled - 1);
          if (this.#isRetired) this.#endIfUnused();
        },
      },
      onRetire: () => this.retire(),
      onRead: () => {
        if (this.isReady || !this.#transport.connection.hasPeerSettings) return;
        this.isReady = true;
        events.onReady(this);
      },
      onClose: () => {
        this.isGone = true;
        events.onGone(this);
      },
    });
    this.#transport.start(pipe);
    // Calls that wait for it dial anew.
    if (pipe.isRetired) this.retire();
  }

  /**
   * Whether another stream can be opened now. Until the server has said how many it takes, one is all: what it refuses
   * might have a body that nobody can send again.
   */
  get canOpen(): boolean {
    if (this.#isRetired || this.isGone || !(this.isReady || this.streamCount === 0)) return false;
    return this.#transport.connection.canOpen;
  }

  /** Why the other end of a tunnel would not have the connection. */
  get refused(): FailureKind | undefined {
    return this.#pipe.refused;
  }

  get streamCount(): number {
    return this.#transport.connection.streamCount;
  }

  /** Sends a request on a stream of its own; undefined if there is room for none after all. */
  open(request: OutgoingRequest, sink: LegSink): Leg | undefined {
    const { connection } = this.#transport;
    const fields = [
      ':method',
      request.method,
      ':scheme',
      'http',
      ':authority',
      request.host,
      ':path',
      request.target,
      ...request.fields,
    ];
    const leg = new StreamLeg(this, sink);
    const stream = this.canOpen ? connection.open(fields, request.isEnd, leg) : undefined;
    if (stream === undefined) return undefined;
    this.begun++;
    leg.begin(connection, stream);
    return leg;
  }

  /** No stream will be opened any more; those under way go on, then the connection ends. */
  retire(): void {
    this.#isRetired = true;
    this.#endIfUnused();
  }

  destroy(): void {
    this.#isRetired = true;
    this.#transport.destroy();
  }

  /** A stream of it is about to be cancelled by its caller. */
  noteCancelled(): void {
    if (++this.#cancelled > MAX_CANCELLED) this.#isRetired = true;
  }

  #endIfUnused(): void {
    if (this.#transport.connection.streamCount === 0) {
      this.#isRetired = true;
      this.#transport.connection.shutdown();
      this.#transport.finish();
    }
  }
}

/** A stream of an `H2Upstream` as the server's side of a call. */
class StreamLeg implements Leg, H2StreamSink {
  readonly #upstream: H2Upstream;
  readonly #sink: LegSink;
  #connection: H2Transport['connection'] | undefined;
  #stream: H2Stream | undefined;

  constructor(upstream: H2Upstream, sink: LegSink) {
    this.#upstream = upstream;
    this.#sink = sink;
  }

  begin(connection: H2Transport['connection'], stream: H2Stream): void {
    this.#connection = connection;
    this.#stream = stream;
  }

  get secure(): TlsPeer | undefined {
    return this.#upstream.peer?.secure;
  }

  get facts(): CallFacts | undefined {
    return this.#upstream.peer?.facts;
  }

  get refused(): FailureKind | undefined {
    return this.#upstream.refused;
  }

  sendData(chunk: Buffer, start: number, end: number, isEnd: boolean): boolean {
    if (this.#connection === undefined || this.#stream === undefined) return true;
    return this.#connection.sendData(this.#stream, chunk, start, end, isEnd);
  }

  sendTrailers(fields: readonly string[]): void {
    if (this.#stream !== undefined) this.#connection?.sendTrailers(this.#stream, fields);
  }

  credit(bytes: number): void {
    if (this.#stream !== undefined) this.#connection?.credit(this.#stream, bytes);
  }

  cancel(): void {
    this.#upstream.noteCancelled();
    if (this.#stream !== undefined) this.#connection?.reset(this.#stream, H2_CODE.CANCEL);
  }

  onResponse(
    head: { readonly status: number; readonly fields: readonly string[] },
    isEnd: boolean,
  ): void {
    this.#sink.onAnswer(head.status, head.fields, isEnd);
  }

  onData(chunk: Buffer, start: number, end: number, isEnd: boolean): void {
    this.#sink.onAnswerData(chunk, start, end, isEnd);
  }

  onTrailers(fields: readonly string[]): void {
    this.#sink.onAnswerTrailers(fields);
  }

  onDrain(): void {
    this.#sink.onLegDrain();
  }

  onReset(reset: H2Reset): void {
    this.#sink.onLegFailure(
      reset.error ?? (reset.origin === 'peer' ? 'reset' : 'closed'),
      reset.unprocessed,
    );
  }
}
