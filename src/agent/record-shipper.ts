import type { MessageInitShape } from '@bufbuild/protobuf';
import { createBackoff, type Scheduler } from '#lib';
import {
  type AccessLog,
  type Account,
  type EdgeDelta,
  EVENT,
  type Log,
  type ProxyMetrics,
  type SecurityCount,
  type SpoolBatch,
} from '#telemetry';
import {
  createGrpcClient,
  createMessage,
  type ReportRequest,
  ReportRequestSchema,
  type ReportResponse,
  Telemetry,
} from '#wire';
import { openStateFolder } from './state-folder.ts';
import { createScheduler } from './timer.ts';

/** What a shipper works with. */
export type RecordShipperOptions = {
  readonly accessLog: Pick<AccessLog, 'boot' | 'readAfter' | 'acknowledge' | 'counts'>;
  readonly metrics: Pick<ProxyMetrics, 'edges' | 'securityCounts'>;
  readonly agentSocket: string;
  /** As the enforcement point's. */
  readonly node: string;
  /** Keeps the acknowledged seq. */
  readonly folder: string;
  readonly clock: () => number;
  readonly log: Log;
  readonly random?: () => number;
  readonly scheduler?: Scheduler;
};

/** Ships access records and counts per edge to the control plane, by way of the agent. */
export type RecordShipper = {
  readonly counts: () => {
    readonly shipped: number;
    readonly unacked: number;
  };
  /** Resolves when the acknowledged seq is on disk. */
  readonly close: () => Promise<void>;
};

type ReportInit = MessageInitShape<typeof ReportRequestSchema>;
type AccountInit = NonNullable<ReportInit['accounts']>[number];
type EdgeInit = NonNullable<ReportInit['edges']>[number];

type Stream = {
  readonly write: (request: ReportRequest) => boolean;
  readonly cancel: () => void;
};

const NOTHING: SpoolBatch = { accounts: [], blocks: [], records: 0, isFull: false };
const FILE = 'shipped.json';
const TICK_MS = 250;
/**
 * While there are many calls. Each message costs the same at the sidecar, the agent and the control plane, however much it
 * tells of, and their work on the same cores is what the slowest calls wait for; nobody reads along at this rate.
 */
const BUSY_TICK_MS = 1_000;
const BUSY_CALLS = 200;
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
  /** Its time came while it was still at work. */
  #isDue = false;
  #isClosed = false;
  #cancelTick = () => {};
  /** Calls that the last tick told of. */
  #told = 0;
  #unackedMessages = 0;
  #ackedSeq: number;
  #sentSeq: number;
  #savedAt = 0;
  #shipped = 0;

  constructor(options: RecordShipperOptions) {
    this.#options = options;
    this.#scheduler = options.scheduler ?? createScheduler();
    this.#folder = openStateFolder(options.folder);
    this.#client = createGrpcClient(Telemetry, { kind: 'unix', path: options.agentSocket });
    this.#backoff = createBackoff(RETRY, options.random ?? Math.random);
    this.#ackedSeq = readShippedSeq(options.folder);
    this.#sentSeq = this.#ackedSeq;
    this.#later(0);
  }

  counts(): { shipped: number; unacked: number } {
    const unacked = Math.max(0, this.#options.accessLog.counts().lastSeq - this.#ackedSeq);
    return { shipped: this.#shipped, unacked };
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
    if (this.#isClosed) return;
    this.#isDue = this.#isTicking;
    if (this.#isTicking) return;
    this.#isTicking = true;
    this.#told = 0;
    try {
      this.#stream ??= this.#open();
      while (await this.#shipBatch(this.#stream)) {
        // As long as more lies there and the other side keeps up.
      }
    } catch (error) {
      this.#options.log.warn(EVENT.shippingLost, { error });
    } finally {
      this.#isTicking = false;
    }
    const isBusy = this.#told > BUSY_CALLS && !this.#isHeldUp();
    if (this.#stream !== undefined) this.#later(isBusy ? BUSY_TICK_MS : TICK_MS);
    else if (this.#isDue) this.#later(0);
  }

  /** Ships one message; false when there is nothing more to do now. */
  async #shipBatch(stream: Stream): Promise<boolean> {
    const { accessLog, metrics, node } = this.#options;
    if (this.#isHeldUp()) return false;
    const isCaughtUp = accessLog.counts().lastSeq <= this.#sentSeq;
    const read = isCaughtUp ? NOTHING : await accessLog.readAfter(this.#sentSeq, BATCH);
    if (this.#stream !== stream) return false;
    const edges = metrics.edges();
    const security = metrics.securityCounts();
    const last = read.accounts.at(-1);
    if (last === undefined && edges.length === 0 && security.length === 0) return false;
    const sentBefore = this.#sentSeq;
    this.#sentSeq = last?.lastSeq ?? sentBefore;
    this.#told += this.#sentSeq - sentBefore;
    const request = createMessage(ReportRequestSchema, {
      node,
      boot: accessLog.boot,
      blocks: [...read.blocks],
      lastSeq: BigInt(this.#sentSeq),
      accounts: read.accounts.map(accountMessage),
      edges: edges.map(edgeMessage),
      security: security.map(securityMessage),
    });
    this.#shipped += read.records;
    this.#isBlocked = !stream.write(request);
    if (last !== undefined) this.#unackedMessages++;
    return read.isFull;
  }

  /** The other side has not taken what it was sent. */
  #isHeldUp(): boolean {
    return this.#isBlocked || this.#unackedMessages >= MAX_UNACKED_MESSAGES;
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
    if (Math.abs(now - this.#savedAt) < SAVE_EVERY_MS) return;
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

function accountMessage(account: Account): AccountInit {
  const { dropped } = account;
  return {
    boot: account.boot,
    firstSeq: BigInt(account.firstSeq),
    lastSeq: BigInt(account.lastSeq),
    sinceMs: BigInt(account.sinceMs),
    untilMs: BigInt(account.untilMs),
    records: BigInt(account.records),
    sampled: BigInt(account.sampled),
    droppedSuccesses: BigInt(dropped.success),
    droppedErrors: BigInt(dropped.error),
    droppedDenials: BigInt(dropped.denial),
    droppedAudits: BigInt(dropped.audit),
    damaged: BigInt(account.damaged),
    afterCrash: account.afterCrash,
  };
}

function edgeMessage(edge: EdgeDelta): EdgeInit {
  return {
    ...edge,
    requests: BigInt(edge.requests),
    denied: BigInt(edge.denied),
    errors: BigInt(edge.errors),
    bytesIn: BigInt(edge.bytesIn),
    bytesOut: BigInt(edge.bytesOut),
    durationUsSum: BigInt(Math.floor(edge.durationUsSum)),
    connections: BigInt(edge.connections),
  };
}

function securityMessage({ name, good, total }: SecurityCount) {
  return { name, good: BigInt(good), total: BigInt(total) };
}
