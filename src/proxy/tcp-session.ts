import { type Counter, createRecordedCall, type RecordedCall } from '#telemetry';
import type { Permit } from './authorize.ts';
import type { ProxyContext } from './context.ts';
import { forwardConnection } from './forward.ts';
import type { Live } from './live.ts';
import type { BytePipe } from './pipe.ts';
import { type CallFacts, recordCall } from './record.ts';
import { countRefusal, type Failure, type FailureKind } from './respond.ts';

/** What differs between sessions. */
export type TcpSessionOptions = {
  readonly side: 'inbound' | 'outbound';
  /** Why it may no longer be; undefined if it may go on. */
  readonly judge: () => FailureKind | undefined;
  /** Notes in the record what has come to deny it; returns the id by which that can be explained. */
  readonly noteCut?: (record: RecordedCall) => string | undefined;
  /** It ends after this long without a byte either way. */
  readonly sessionMs: number;
};

/** The server of a session. */
export type SessionServer = {
  readonly pipe: BytePipe;
  /** What was read of the caller already. */
  readonly early: Buffer | undefined;
  /** Gives back what the session took of its service; called once, when it is over. */
  readonly release: () => void;
};

/** A connection that is judged once, joined with its server, and judged again when policy changes. */
export class TcpSession implements Live {
  deadlineAt = 0;
  cutAt = 0;
  readonly manner = 'stream';
  facts: CallFacts;
  readonly record: RecordedCall;
  readonly #caller: BytePipe;
  readonly #context: ProxyContext;
  readonly #judge: () => FailureKind | undefined;
  readonly #noteCut: TcpSessionOptions['noteCut'];
  readonly #sessionMs: number;
  readonly #open: Counter;
  readonly #startedAt = performance.now();
  #decidedAt = 0;
  #server: BytePipe | undefined;
  #release: (() => void) | undefined;
  #done = false;

  /** Registers the connection; nothing of it is read before `join`. */
  constructor(
    caller: BytePipe,
    context: ProxyContext,
    facts: CallFacts,
    { side, judge, noteCut, sessionMs }: TcpSessionOptions,
  ) {
    this.#open = context.options.metrics.connections(side, 'tcp');
    this.#open.value++;
    this.#caller = caller;
    this.#context = context;
    this.#judge = judge;
    this.#noteCut = noteCut;
    this.#sessionMs = sessionMs;
    this.facts = facts;
    this.record = createRecordedCall(facts.recorded);
    this.record.startedAt = context.options.clock();
    context.live.add(this);
    caller.pause();
    caller.attach({
      onData: () => {
        // Paused until it is joined with its server.
      },
      onEnd: () => undefined,
      onDrain: () => undefined,
      onClose: () => this.#onClose(),
    });
  }

  get ended(): boolean {
    return this.#done;
  }

  /** The decision is made. */
  decided(): void {
    this.#decidedAt = performance.now();
    this.record.decisionUs = Math.round((this.#decidedAt - this.#startedAt) * 1000);
  }

  /** Joins it with its server under a permit. */
  join(permit: Permit, { pipe: server, early, release }: SessionServer): void {
    if (this.#done) {
      server.destroy();
      return release();
    }
    this.record.tunnelWaitUs = Math.round((performance.now() - this.#decidedAt) * 1000);
    this.#release = release;
    this.#server = server;
    this.facts.edge.opened++;
    this.#touch();
    this.record.bytesIn += early?.length ?? 0;
    forwardConnection(permit, this.#caller, server, {
      onCallerBytes: (count) => {
        this.record.bytesIn += count;
        this.#touch();
      },
      onServerBytes: (count) => {
        this.record.bytesOut += count;
        this.#touch();
      },
      onServerBroke: () => {
        if (!this.#done) this.record.reason ??= server.refused ?? 'upstream_failed';
      },
      onCallerGone: () => this.#onClose(),
      early,
    });
  }

  /** Ends it with a reset, as a TCP caller is told of failures. */
  refuse(failure: Failure): void {
    // Its caller left while a server was looked for, and that is what its record says.
    if (this.#done) return;
    countRefusal(this.#context.options.metrics, failure);
    this.record.reason = failure.kind;
    this.record.denialId = failure.denialId ?? null;
    this.#cut(failure.kind);
  }

  expire(): void {
    this.record.reason ??= 'idle_timeout';
    this.destroy();
  }

  judge(): FailureKind | undefined {
    return this.#done ? undefined : this.#judge();
  }

  cut(reason: FailureKind): void {
    this.record.denialId = this.#noteCut?.(this.record) ?? null;
    this.record.verdict = 'deny';
    this.record.reason = reason;
    this.#cut(reason);
  }

  drain(): void {
    // A TCP session has no end that we could know of: it lasts until the drain's own time is over.
  }

  destroy(): void {
    this.#caller.destroy();
    this.#onClose();
  }

  #cut(reason: FailureKind): void {
    this.#server?.destroy();
    this.#caller.reset(reason);
    this.#onClose();
  }

  #touch(): void {
    this.deadlineAt = this.#context.live.now + this.#sessionMs;
  }

  #onClose(): void {
    if (this.#done) return;
    this.#done = true;
    this.#release?.();
    this.#context.live.remove(this);
    const { record } = this;
    if (this.#server === undefined) {
      // A session that reached no server was opened and closed in one.
      this.facts.edge.opened++;
      record.reason ??= 'caller_gone';
    }
    this.facts.edge.closed++;
    this.#open.value--;
    record.reason ??= this.#server?.refused ?? null;
    record.durationUs = Math.round((performance.now() - this.#startedAt) * 1000);
    recordCall(this.#context.options, this.facts, record);
  }
}
