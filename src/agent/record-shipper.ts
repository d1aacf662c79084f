import type { MessageInitShape } from '@bufbuild/protobuf';
import { createBackoff } from '#lib';
import { type AccessLog, EVENT, type Log, type ProxyMetrics, type SpooledRecord } from '#telemetry';
import {
  createGrpcClient,
  createMessage,
  type ReportRequest,
  ReportRequestSchema,
  type ReportResponse,
  Telemetry,
} from '#wire';
import { openStateFolder } from './state-folder.ts';
import { createScheduler, type Scheduler } from './timer.ts';

/** What a shipper works with. */
export type RecordShipperOptions = {
  readonly accessLog: Pick<AccessLog, 'boot' | 'readAfter' | 'acknowledge' | 'counts'>;
  readonly metrics: Pick<ProxyMetrics, 'edges'>;
  readonly agentSocket: string;
  /** As the enforcement point's. */
  readonly node: string;
  /** Keeps the acknowledged seq. */
  readonly folder: string;
  /** Records of allowed calls shipped a second; denials and errors are shipped whatever it is. */
  readonly budgetPerSecond?: number;
  readonly clock: () => number;
  readonly log: Log;
  readonly random?: () => number;
  readonly scheduler?: Scheduler;
};

/** Ships access records and counts per edge to the control plane, by way of the agent. */
export type RecordShipper = {
  readonly counts: () => {
    readonly shipped: number;
    readonly skipped: number;
    readonly unacked: number;
  };
  /** Resolves when the acknowledged seq is on disk. */
  readonly close: () => Promise<void>;
};

type AccountInit = NonNullable<MessageInitShape<typeof ReportRequestSchema>['accounts']>[number];

type Stream = {
  readonly write: (request: ReportRequest) => boolean;
  readonly cancel: () => void;
};

const FILE = 'shipped.json';
const TICK_MS = 250;
const BATCH = 500;
// Messages under way at most, so that a slow control plane slows us down instead of filling memory.
const MAX_UNACKED_MESSAGES = 8;
const SAVE_EVERY_MS = 1_000;
const RETRY = { minMs: 200, maxMs: 15_000 };

/** The seq up to which everything was acknowledged in earlier runs, for `createAccessLog`'s `afterSeq`. */
export function readShippedSeq(folder: string): number {
  const stored = openStateFolder(folder).readJson(FILE);
  return typeof stored === 'number' && Number.isSafeInteger(stored) && stored >= 0 ? stored : 0;
}

/** Starts shipping; an outage costs nothing until the spool's bound is reached. */
export function createRecordShipper(options: RecordShipperOptions): RecordShipper {
  return new Shipper(options);
}

class Shipper implements RecordShipper {
  readonly #options: RecordShipperOptions;
  readonly #scheduler: Scheduler;
  readonly #folder: ReturnType<typeof openStateFolder>;
  readonly #client: ReturnType<typeof createGrpcClient>;
  readonly #backoff: ReturnType<typeof createBackoff>;
  #stream: Stream | undefined;
  #isBlocked = false;
  #isTicking = false;
  #isClosed = false;
  #cancelTick = () => {};
  #unackedMessages = 0;
  #ackedSeq: number;
  #sentSeq: number;
  #budget: number;
  #budgetAt: number;
  #savedAt = 0;
  #shipped = 0;
  #skipped = 0;

  constructor(options: RecordShipperOptions) {
    this.#options = options;
    this.#scheduler = options.scheduler ?? createScheduler();
    this.#folder = openStateFolder(options.folder);
    this.#client = createGrpcClient(Telemetry, { kind: 'unix', path: options.agentSocket });
    this.#backoff = createBackoff(RETRY, options.random ?? Math.random);
    this.#ackedSeq = readShippedSeq(options.folder);
    this.#sentSeq = this.#ackedSeq;
    this.#budget = options.budgetPerSecond ?? 200;
    this.#budgetAt = options.clock();
    this.#later(0);
  }

  counts(): { shipped: number; skipped: number; unacked: number } {
    const unacked = Math.max(0, this.#options.accessLog.counts().lastSeq - this.#ackedSeq);
    return { shipped: this.#shipped, skipped: this.#skipped, unacked };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelTick();
    this.#stream?.cancel();
    this.#client.close();
    await this.#save();
  }

  #later(ms: number): void {
    if (this.#isClosed) return;
    this.#cancelTick();
    this.#cancelTick = this.#scheduler.after(ms, () => void this.#tick());
  }

  async #tick(): Promise<void> {
    if (this.#isTicking || this.#isClosed) return;
    this.#isTicking = true;
    try {
      this.#stream ??= this.#open();
      while (await this.#shipBatch(this.#stream)) {
        // As long as there is more and the other side keeps up.
      }
    } catch (error) {
      this.#options.log.warn(EVENT.shippingLost, { error });
    } finally {
      this.#isTicking = false;
    }
    if (this.#stream !== undefined) this.#later(TICK_MS);
  }

  /** Ships one message; false when there is nothing more to do now. */
  async #shipBatch(stream: Stream): Promise<boolean> {
    const { accessLog, metrics, node } = this.#options;
    if (this.#isBlocked || this.#unackedMessages >= MAX_UNACKED_MESSAGES) return false;
    const isCaughtUp = accessLog.counts().lastSeq <= this.#sentSeq;
    const read = isCaughtUp ? [] : await accessLog.readAfter(this.#sentSeq, BATCH);
    if (this.#stream !== stream) return false;
    const { kept, skipped } = this.#choose(read);
    const edges = metrics.edges();
    if (read.length === 0 && edges.length === 0) return false;
    const accounts = this.#accountFor(read, skipped);
    this.#sentSeq = read.at(-1)?.seq ?? this.#sentSeq;
    const request = createMessage(ReportRequestSchema, {
      node,
      records: kept.map((record) => record.json),
      lastSeq: BigInt(this.#sentSeq),
      accounts,
      boot: accessLog.boot,
      edges: edges.map((edge) => ({
        ...edge,
        requests: BigInt(edge.requests),
        denied: BigInt(edge.denied),
        errors: BigInt(edge.errors),
        bytesIn: BigInt(edge.bytesIn),
        bytesOut: BigInt(edge.bytesOut),
        durationUsSum: BigInt(Math.floor(edge.durationUsSum)),
        connections: BigInt(edge.connections),
      })),
    });
    this.#shipped += kept.length;
    this.#skipped += skipped;
    this.#isBlocked = !stream.write(request);
    if (read.length > 0) this.#unackedMessages++;
    return read.length === BATCH;
  }

  /** What becomes of the numbers that a message is about. */
  #accountFor(read: readonly SpooledRecord[], sampled: number): AccountInit[] {
    const last = read.at(-1);
    if (last === undefined) return [];
    const firstSeq = BigInt(this.#sentSeq + 1);
    const now = BigInt(this.#options.clock());
    return [
      {
        boot: this.#options.accessLog.boot,
        firstSeq,
        lastSeq: BigInt(last.seq),
        sinceMs: now,
        untilMs: now,
        records: BigInt(read.length - sampled),
        sampled: BigInt(sampled),
      },
    ];
  }

  /** All denials and errors, and of the rest what this second's budget still allows. */
  #choose(read: readonly SpooledRecord[]): { kept: SpooledRecord[]; skipped: number } {
    const now = this.#options.clock();
    const perSecond = this.#options.budgetPerSecond ?? 200;
    const earned = (Math.max(0, now - this.#budgetAt) / 1000) * perSecond;
    this.#budget = Math.min(perSecond, this.#budget + earned);
    this.#budgetAt = now;
    const kept = read.filter((record) => {
      if (record.class !== 'success') return true;
      if (this.#budget < 1) return false;
      this.#budget--;
      return true;
    });
    return { kept, skipped: read.length - kept.length };
  }

  #open(): Stream {
    const call = this.#client.bidi(Telemetry.method.report);
    const stream = call as unknown as Stream;
    const lost = (reason: string) => {
      if (this.#stream !== stream || this.#isClosed) return;
      this.#stream = undefined;
      this.#isBlocked = false;
      this.#unackedMessages = 0;
      // What was under way comes again: the receiver knows a record by its node and seq.
      this.#sentSeq = this.#ackedSeq;
      const inMs = this.#backoff.nextMs();
      this.#options.log.debug(EVENT.shippingLost, { reason, retryInMs: Math.round(inMs) });
      this.#later(inMs);
    };
    call.on('data', (response: ReportResponse) => this.#acked(Number(response.ackedSeq)));
    call.on('drain', () => {
      this.#isBlocked = false;
    });
    call.on('error', (error) => lost(error.message));
    call.on('end', () => lost('the stream ended'));
    return stream;
  }

  #acked(seq: number): void {
    this.#backoff.reset();
    this.#unackedMessages = Math.max(0, this.#unackedMessages - 1);
    // SECURITY: an acknowledgement of what was never sent must not make us forget it.
    if (seq <= this.#ackedSeq || seq > this.#sentSeq) return;
    this.#ackedSeq = seq;
    this.#options.accessLog.acknowledge(seq);
    const now = this.#options.clock();
    if (now - this.#savedAt < SAVE_EVERY_MS) return;
    this.#savedAt = now;
    void this.#save();
  }

  async #save(): Promise<void> {
    try {
      await this.#folder.writeJson(FILE, this.#ackedSeq);
    } catch (error) {
      // A few records are shipped twice then.
      this.#options.log.error(EVENT.stateWriteFailed, { file: FILE, error });
    }
  }
}
