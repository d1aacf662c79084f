import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ClientDuplexStream } from '@grpc/grpc-js';
import { createBackoff, type Scheduler } from '#lib';
import { EVENT, type Log } from '#telemetry';
import {
  type AckSchema,
  createMessage,
  type HelloSchema,
  type LookupSchema,
  type SubscribeRequest,
  SubscribeRequestSchema,
  type SubscribeResponse,
} from '#wire';

/** The client side of one Subscribe call. */
export type SubscribeStream = ClientDuplexStream<SubscribeRequest, SubscribeResponse>;

/** What a subscription says and to whom it tells what it hears. */
export type SubscriptionOptions = {
  /** Opens a call; throws or returns undefined if that is not possible yet. `close` frees what it took. */
  readonly open: () => { readonly stream: SubscribeStream; readonly close: () => void } | undefined;
  readonly hello: () => MessageInitShape<typeof HelloSchema>;
  readonly ack: () => MessageInitShape<typeof AckSchema>;
  readonly lookups: () => readonly MessageInitShape<typeof LookupSchema>[];
  /** Called with one message after the other; the next waits until the promise resolves. */
  readonly onMessage: (response: SubscribeResponse) => Promise<void>;
  /** Told about each sign of life, in Unix milliseconds. */
  readonly onContact?: (atMs: number) => void;
  /** When the last sign of life of an earlier run was. */
  readonly lastContactAt?: number | undefined;
  /** The longest back-off. */
  readonly maxRetryMs: number;
  readonly clock: () => number;
  readonly random: () => number;
  readonly scheduler: Scheduler;
  readonly log: Log;
};

/** A standing subscription to configuration, reconnected for as long as it lives. */
export type Subscription = {
  readonly isConnected: () => boolean;
  /** Unix milliseconds of the last sign of life; undefined before the first. */
  readonly lastContactAt: () => number | undefined;
  readonly acknowledge: () => void;
  readonly lookup: (lookup: MessageInitShape<typeof LookupSchema>) => void;
  /** Says Hello anew, with what changed in it. */
  readonly restart: () => void;
  /** Tries now if it waits for the next attempt: what was missing has come. */
  readonly wake: () => void;
  /** Says goodbye; resolves when the other side heard it, or after half a second. */
  readonly close: () => Promise<void>;
};

const ACK_EVERY_MS = 10_000;
const GOODBYE_WITHIN_MS = 500;
// A server with nothing to say answers nothing; a call that was not refused for so long counts as connected.
const CONNECTED_AFTER_MS = 1_000;

/** Subscribes through `open`, again and again with jittered back-off. */
export function createSubscription(options: SubscriptionOptions): Subscription {
  return new StandingSubscription(options);
}

type Call = { readonly stream: SubscribeStream; readonly close: () => void };

class StandingSubscription implements Subscription {
  readonly #options: SubscriptionOptions;
  readonly #backoff: ReturnType<typeof createBackoff>;
  #call: Call | undefined;
  #isConnected = false;
  #lastContactAt: number | undefined;
  readonly #timers = new Set<() => void>();
  #isClosed = false;

  constructor(options: SubscriptionOptions) {
    this.#options = options;
    this.#lastContactAt = options.lastContactAt;
    this.#backoff = createBackoff({ minMs: 100, maxMs: options.maxRetryMs }, options.random);
    this.#after(0, () => this.#connect());
  }

  isConnected(): boolean {
    return this.#isConnected;
  }

  lastContactAt(): number | undefined {
    if (this.#isConnected) this.#contact();
    return this.#lastContactAt;
  }

  acknowledge(): void {
    this.#write({ case: 'ack', value: this.#options.ack() });
  }

  lookup(lookup: MessageInitShape<typeof LookupSchema>): void {
    this.#write({ case: 'lookup', value: lookup });
  }

  restart(): void {
    if (this.#isClosed || this.#call === undefined) return;
    this.#drop();
    this.#after(0, () => this.#connect());
  }

  wake(): void {
    if (this.#isClosed || this.#call !== undefined) return;
    this.#drop();
    this.#after(0, () => this.#connect());
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const call = this.#call;
    if (call !== undefined) {
      await new Promise<void>((resolve) => {
        call.stream.on('end', resolve);
        call.stream.on('error', () => resolve());
        setTimeout(resolve, GOODBYE_WITHIN_MS);
        call.stream.end();
        call.stream.resume();
      });
    }
    this.#drop();
  }

  #connect(): void {
    const { log } = this.#options;
    const call = this.#open();
    if (call === undefined) {
      this.#retry('not possible yet');
      return;
    }
    this.#call = call;
    const { stream } = call;
    const isCurrent = () => this.#call === call;
    stream.on('metadata', () => isCurrent() && this.#connected());
    stream.on(
      'data',
      (response: SubscribeResponse) => isCurrent() && this.#received(call, response),
    );
    const lost = (error?: Error) => {
      // Listened to even when superseded: an unheard `error` would end the process.
      if (!isCurrent() || this.#isClosed) return;
      if (this.#isConnected) log.warn(EVENT.configurationLost, { reason: error?.message });
      this.#retry(error?.message ?? 'ended');
    };
    stream.on('error', lost);
    stream.on('end', () => lost());
    this.#write({ case: 'hello', value: this.#options.hello() });
    for (const lookup of this.#options.lookups()) this.lookup(lookup);
    // Said at once, so that nobody takes a reconnected point for one that enforces nothing.
    this.acknowledge();
    this.#after(CONNECTED_AFTER_MS, () => isCurrent() && this.#connected());
    this.#ackLater();
  }

  #open(): Call | undefined {
    try {
      return this.#options.open();
    } catch (error) {
      this.#options.log.debug(EVENT.configurationLost, { error });
      return undefined;
    }
  }

  #connected(): void {
    if (this.#isConnected) return;
    this.#isConnected = true;
    this.#contact();
    this.#backoff.reset();
    this.#options.log.info(EVENT.configurationConnected);
  }

  #received(call: Call, response: SubscribeResponse): void {
    this.#connected();
    this.#contact();
    // Back-pressure: what is not yet verified and on disk is not read on.
    call.stream.pause();
    this.#options
      .onMessage(response)
      .catch((error: unknown) => this.#options.log.error(EVENT.failed, { error }))
      .finally(() => {
        if (this.#call === call) call.stream.resume();
      });
  }

  #contact(): void {
    this.#lastContactAt = this.#options.clock();
    this.#options.onContact?.(this.#lastContactAt);
  }

  #ackLater(): void {
    this.#after(ACK_EVERY_MS, () => {
      this.lastContactAt();
      this.acknowledge();
      this.#ackLater();
    });
  }

  #retry(reason: string): void {
    if (this.#isClosed) return;
    this.#drop();
    const inMs = this.#backoff.nextMs();
    this.#options.log.debug(EVENT.configurationLost, { reason, retryInMs: Math.round(inMs) });
    this.#after(inMs, () => this.#connect());
  }

  #drop(): void {
    this.lastContactAt();
    this.#isConnected = false;
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
    const call = this.#call;
    this.#call = undefined;
    call?.stream.cancel();
    call?.close();
  }

  #write(message: MessageInitShape<typeof SubscribeRequestSchema>['message']): void {
    this.#call?.stream.write(
      createMessage(SubscribeRequestSchema, message === undefined ? {} : { message }),
    );
  }

  #after(ms: number, work: () => void): void {
    const cancel = this.#options.scheduler.after(ms, () => {
      this.#timers.delete(cancel);
      work();
    });
    this.#timers.add(cancel);
  }
}
