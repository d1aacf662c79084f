import { type Backoff, createBackoff, type Scheduler } from '#lib';
import type { DeadLetters } from './dead-letter.ts';
import { type Evidence, type EvidenceKind, UNNUMBERED } from './evidence.ts';
import type { Place, Queue, QueueEntry, QueueState } from './queue.ts';
import { deliverSafely, type Outcome, type Receiver } from './receiver.ts';

/** One kind of evidence on its way to one receiver. */
export type Lane = {
  readonly kind: EvidenceKind;
  readonly queue: Queue;
  /** Takes in what its source made; what was taken in before is left out. */
  readonly take: (items: readonly Evidence[]) => void;
  readonly pause: (paused: boolean) => void;
  readonly state: () => LaneState;
  readonly close: () => Promise<void>;
};

/** How a lane is doing; counts since the process started, times in Unix milliseconds. */
export type LaneState = QueueState & {
  readonly condition: 'ok' | 'retrying' | 'failing' | 'paused';
  readonly delivered: number;
  readonly deadLettered: number;
  /** Taken by the receiver and not kept, in its own words. */
  readonly rejected: number;
  readonly retries: number;
  readonly lastError: string | null;
  readonly lastDeliveredAt: number | null;
};

/** What a lane is made of. */
export type LaneOptions = {
  readonly kind: EvidenceKind;
  readonly queue: Queue;
  readonly receiver: Pick<Receiver, 'deliver'>;
  readonly deadLetters: DeadLetters;
  readonly maxBatch: number;
  /** Where the receiver's messages are each about one group: only what has the same one goes together. */
  readonly groupOf?: ((item: Evidence) => string) | undefined;
  readonly timeoutMs: number;
  readonly clock: () => number;
  readonly scheduler: Scheduler;
  readonly random?: () => number;
  /** After its condition changed. */
  readonly onChange?: () => void;
};

// So long a first item waits for others to go with it.
const LINGER_MS = 50;
const TEND_MS = 1_000;
const BACKOFF = { minMs: 500, maxMs: 60_000 };
// A fault that lasts is more than a hiccup.
const FAILING_AFTER_MS = 30_000;
// So many refusals one after the other are about the receiver, not about what it is sent.
const MAX_REFUSED_IN_A_ROW = 20;
const GRACE_MS = 1_000;

/** Starts delivering what is in the queue, one batch at a time, so that order is kept. */
export function createLane(options: LaneOptions): Lane {
  return new DeliveringLane(options);
}

class DeliveringLane implements Lane {
  readonly kind: EvidenceKind;
  readonly queue: Queue;
  readonly #options: LaneOptions;
  readonly #backoff: Backoff;
  #counts = { delivered: 0, deadLettered: 0, rejected: 0, retries: 0 };
  #lastError: string | null = null;
  #lastDeliveredAt: number | null = null;
  #failingSince: number | undefined;
  #refusedInARow = 0;
  /** Halved to find what a receiver refuses, doubled again by each success. */
  #batchSize: number;
  #isPaused = false;
  #isBusy = false;
  #isClosed = false;
  #attempt: AbortController | undefined;
  #idle: (() => void) | undefined;
  #cancelWake: (() => void) | undefined;
  #cancelTend: () => void;

  constructor(options: LaneOptions) {
    this.#options = options;
    this.kind = options.kind;
    this.queue = options.queue;
    this.#batchSize = options.maxBatch;
    this.#backoff = createBackoff(BACKOFF, options.random);
    this.#cancelTend = this.#tendLater();
    this.#wake(0);
  }

  take(items: readonly Evidence[]): void {
    let known = this.queue.position();
    const fresh: QueueEntry[] = [];
    for (const item of items) {
      const position = item.position === UNNUMBERED ? known + 1 : item.position;
      // It came before: from its source, after a restart.
      if (position <= known) continue;
      known = position;
      fresh.push({ position, line: encodeItem(item) });
    }
    if (fresh.length === 0) return;
    this.queue.append(fresh);
    if (this.#cancelWake === undefined && !this.#isBusy) this.#wake(LINGER_MS);
  }

  pause(paused: boolean): void {
    this.#isPaused = paused;
    if (!paused && !this.#isBusy && this.#cancelWake === undefined) this.#wake(0);
  }

  state(): LaneState {
    const since = this.#failingSince;
    const isLasting = since !== undefined && this.#options.clock() - since >= FAILING_AFTER_MS;
    const trouble = isLasting ? ('failing' as const) : ('retrying' as const);
    const condition = since === undefined ? ('ok' as const) : trouble;
    return {
      ...this.queue.state(),
      ...this.#counts,
      condition: this.#isPaused ? 'paused' : condition,
      lastError: this.#lastError,
      lastDeliveredAt: this.#lastDeliveredAt,
    };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelTend();
    this.#cancelWake?.();
    if (this.#isBusy) {
      const cancel = this.#options.scheduler.after(GRACE_MS, () => this.#attempt?.abort());
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
      });
      cancel();
    }
    this.queue.close();
  }

  #tendLater(): () => void {
    return this.#options.scheduler.after(TEND_MS, () => {
      this.queue.tend();
      this.#cancelTend = this.#tendLater();
    });
  }

  #wake(afterMs: number): void {
    this.#cancelWake?.();
    this.#cancelWake = this.#options.scheduler.after(afterMs, () => {
      this.#cancelWake = undefined;
      void this.#run();
    });
  }

  async #run(): Promise<void> {
    if (this.#isBusy || this.#isClosed || this.#isPaused) return;
    this.#isBusy = true;
    try {
      for (let waitMs = 0; waitMs === 0; ) {
        const batch = this.#read(this.#batchSize);
        if (batch === undefined) return;
        const { items } = batch;
        const outcome = await this.#try(items);
        if (this.#isClosed && outcome.kind !== 'delivered') return;
        waitMs = this.#conclude(outcome, items, batch.after);
        if (this.#isClosed || this.#isPaused) return;
        if (waitMs > 0) this.#wake(waitMs);
      }
    } finally {
      this.#isBusy = false;
      this.#idle?.();
    }
  }

  /** The oldest items, at most `limit`, that go together. */
  #read(limit: number): { readonly items: readonly Evidence[]; readonly after: Place } | undefined {
    const { groupOf } = this.#options;
    const batch = this.queue.read(limit);
    if (batch === undefined) return undefined;
    const items = batch.lines.flatMap((line) => decodeItem(line, this.kind) ?? []);
    const [first] = items;
    if (groupOf === undefined || first === undefined || limit === 1)
      return { items, after: batch.after };
    // A line that cannot be read any more has no group, and is passed over with the first.
    const isWhole = items.length === batch.lines.length;
    const others = items.findIndex((item) => groupOf(item) !== groupOf(first));
    if (isWhole && others < 0) return { items, after: batch.after };
    return this.#read(isWhole ? others : 1);
  }

  async #try(items: readonly Evidence[]): Promise<Outcome> {
    if (items.length === 0) return { kind: 'delivered' };
    const { receiver, scheduler, timeoutMs } = this.#options;
    const attempt = new AbortController();
    this.#attempt = attempt;
    const cancel = scheduler.after(timeoutMs, () => attempt.abort());
    // SECURITY: one that hangs, or drips its answer, takes its own time and nobody else's.
    const tooLate = new Promise<Outcome>((resolve) => {
      const reason = `no answer within ${timeoutMs} ms`;
      attempt.signal.addEventListener('abort', () => resolve({ kind: 'retry', reason }));
    });
    try {
      return await Promise.race([deliverSafely(receiver, items, attempt.signal), tooLate]);
    } finally {
      cancel();
      this.#attempt = undefined;
    }
  }

  /** Takes note of an outcome; returns how long to wait before the next try, 0 for none. */
  #conclude(outcome: Outcome, items: readonly Evidence[], after: Place): number {
    if (outcome.kind === 'delivered') {
      this.#succeed(items.length, outcome.rejected ?? 0);
      if (outcome.note !== undefined) this.#lastError = outcome.note;
      this.queue.advance(after);
      return 0;
    }
    if (outcome.kind === 'retry') return this.#fail(outcome.reason, outcome.afterMs);
    const [item] = items;
    if (items.length > 1) {
      this.#batchSize = Math.ceil(items.length / 2);
      return 0;
    }
    this.#refusedInARow++;
    if (this.#refusedInARow > MAX_REFUSED_IN_A_ROW) return this.#fail(outcome.reason, undefined);
    // Where it cannot be kept it stays in the queue, until there is room.
    if (item !== undefined && !this.#options.deadLetters.keep(item, outcome.reason)) {
      return this.#fail('what was refused cannot be written to disk', undefined);
    }
    this.#counts.deadLettered++;
    this.#lastError = outcome.reason;
    this.queue.advance(after);
    return 0;
  }

  #succeed(items: number, rejected: number): void {
    this.#counts.delivered += Math.max(0, items - rejected);
    this.#counts.rejected += rejected;
    this.#lastDeliveredAt = this.#options.clock();
    this.#batchSize = Math.min(this.#options.maxBatch, this.#batchSize * 2);
    this.#refusedInARow = 0;
    this.#backoff.reset();
    if (this.#failingSince === undefined) return;
    this.#failingSince = undefined;
    this.#lastError = null;
    this.#options.onChange?.();
  }

  #fail(reason: string, afterMs: number | undefined): number {
    this.#counts.retries++;
    this.#lastError = reason;
    if (this.#failingSince === undefined) {
      this.#failingSince = this.#options.clock();
      this.#options.onChange?.();
    }
    return Math.max(1, afterMs ?? 0, this.#backoff.nextMs());
  }
}

/** A line of the queue. */
function encodeItem({ id, position, value }: Evidence): string {
  return JSON.stringify([id, position, value]);
}

function decodeItem(line: string, kind: EvidenceKind): Evidence | undefined {
  try {
    const [id, position, value] = JSON.parse(line);
    return { kind, id, position, value } as Evidence;
  } catch {
    // The checksum fitted, so another program wrote it; there is nothing to send.
    return undefined;
  }
}
