import { type ServerDuplexStream, status } from '@grpc/grpc-js';
import type { Account, Added, RecordStore, Report } from '#record-store';
import { EVENT, type Log } from '#telemetry';
import {
  createMessage,
  type GrpcService,
  type ReportRequest,
  type ReportResponse,
  ReportResponseSchema,
  Telemetry,
} from '#wire';
import type { TrafficMap } from './map.ts';
import type { MeshPeer } from './peer.ts';

/** Takes in what enforcement points report; acknowledges records only once they are on disk. */
export type TelemetryIngest = {
  readonly service: GrpcService;
  readonly counts: () => IngestCounts;
  /** Stores what is waiting. */
  readonly close: () => Promise<void>;
};

/** Since the process started: stored, came again, refused, left out by senders, and failed writes. */
export type IngestCounts = {
  readonly stored: number;
  readonly duplicates: number;
  readonly refused: number;
  readonly skipped: number;
  readonly failedWrites: number;
};

/** What ingestion feeds. */
export type IngestOptions = {
  readonly peer: (call: { readonly getPeer: () => string }) => MeshPeer;
  /** A connected node: the agent it came through and the identity it proved. */
  readonly connected: (
    node: string,
  ) => { readonly via: string; readonly spiffeId: string | null } | undefined;
  readonly records: RecordStore;
  readonly map: TrafficMap;
  readonly onStored: (added: Added) => void;
  readonly onCounted: () => void;
  /** How a workload's security did. */
  readonly onSecurity: (request: Pick<ReportRequest, 'node' | 'security'>) => void;
  readonly clock: () => number;
  readonly log: Log;
};

type Call = ServerDuplexStream<ReportRequest, ReportResponse>;

/** One message, waiting to be stored together with others. */
type Waiting = { readonly call: Call; readonly report: Report; readonly lastSeq: bigint };

// One transaction, hence one wait for the disk, takes the reports of all nodes in this time.
const GROUP_MS = 40;
// Of records' text: somewhat more than a thousand of them.
const MAX_BYTES_AT_ONCE = 1024 * 1024;

/** Creates the Telemetry service (telemetry.proto) for agents. */
export function createTelemetryIngest(options: IngestOptions): TelemetryIngest {
  return new Ingest(options);
}

class Ingest implements TelemetryIngest {
  readonly service: GrpcService;
  readonly #options: IngestOptions;
  readonly #counts = { stored: 0, duplicates: 0, refused: 0, skipped: 0, failedWrites: 0 };
  #waiting: Waiting[] = [];
  #held = 0;
  #timer: NodeJS.Timeout | undefined;
  #storing: Promise<void> | undefined;

  constructor(options: IngestOptions) {
    this.#options = options;
    this.service = {
      service: Telemetry,
      implementation: { report: (call: Call) => this.#report(call) },
    };
  }

  counts(): IngestCounts {
    return { ...this.#counts };
  }

  async close(): Promise<void> {
    while (this.#storing !== undefined || this.#waiting.length > 0) await this.#start();
  }

  #report(call: Call): void {
    const peer = this.#options.peer(call);
    if (peer.kind !== 'agent') {
      return end(call, status.PERMISSION_DENIED, 'agents report for their hosts');
    }
    call.on('data', (request: ReportRequest) => {
      const known = this.#options.connected(request.node);
      // SECURITY: one host's agent must not put calls into the records of another host's workloads.
      if (known === undefined || known.via === peer.id) {
        return this.#receive(call, request, known?.spiffeId ?? undefined);
      }
      end(call, status.PERMISSION_DENIED, `node \`${request.node}\` is of another agent`);
    });
    call.on('end', () => call.end());
    call.on('error', () => {
      // The sender is gone; what it sent is stored all the same, what is not acknowledged comes again.
    });
  }

  #receive(call: Call, request: ReportRequest, identity: string | undefined): void {
    const { map, onCounted, onSecurity } = this.#options;
    for (const edge of request.edges) map.count(edge);
    if (request.edges.length > 0) onCounted();
    onSecurity(request);
    const { node, lines, lastSeq } = request;
    if (lines.length === 0 && request.accounts.length === 0 && lastSeq === 0n) return;
    const accounts = request.accounts.map(accountOf);
    for (const { sampled } of accounts) this.#counts.skipped += sampled;
    this.#waiting.push({ call, lastSeq, report: { node, identity, lines, accounts } });
    this.#held += lines.length;
    if (this.#held >= MAX_BYTES_AT_ONCE) void this.#start();
    else this.#timer ??= setTimeout(() => void this.#start(), GROUP_MS);
  }

  /** Stores what waits now, or once what is being stored is: one batch at a time keeps their order. */
  #start(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#storing ??= this.#store().finally(() => {
      this.#storing = undefined;
      if (this.#waiting.length > 0) void this.#start();
    });
    return this.#storing;
  }

  /** What one transaction takes: a backlog goes in pieces, between which the store answers questions. */
  #take(): readonly Waiting[] {
    let held = 0;
    const count = this.#waiting.findIndex(({ report }) => {
      held += report.lines.length;
      return held >= MAX_BYTES_AT_ONCE;
    });
    const taken = this.#waiting.splice(0, count < 0 ? this.#waiting.length : count + 1);
    this.#held -= taken.reduce((sum, { report }) => sum + report.lines.length, 0);
    return taken;
  }

  async #store(): Promise<void> {
    const { records, clock, log, onStored } = this.#options;
    const waiting = this.#take();
    const reports = waiting.map(({ report }) => report);
    const added = await records.add(reports, clock()).catch((error: Error) => ({
      ok: false as const,
      error: error.message,
    }));
    if (!added.ok) {
      this.#counts.failedWrites++;
      log.error(EVENT.recordsNotStored, { reason: added.error });
      // Without an acknowledgement the senders keep their records and send them again on a new stream.
      for (const { call } of waiting) end(call, status.UNAVAILABLE, 'records cannot be stored now');
      return;
    }
    const { stored, duplicates, refused, refusals } = added.value;
    this.#counts.stored += stored;
    this.#counts.duplicates += duplicates;
    this.#counts.refused += refused;
    // A bad record is acknowledged all the same: sent again, it would not be better.
    for (const refusal of refusals) log.warn(EVENT.recordRefused, refusal);
    for (const { call, lastSeq } of waiting) acknowledge(call, lastSeq);
    if (stored > 0) onStored(added.value);
  }
}

function accountOf(account: ReportRequest['accounts'][number]): Account {
  const counts = {
    successes: account.droppedSuccesses,
    errors: account.droppedErrors,
    denials: account.droppedDenials,
    audits: account.droppedAudits,
    damaged: account.damaged,
  };
  const dropped = Object.entries(counts).flatMap(([kind, count]) =>
    count > 0n ? [[kind, Number(count)] as const] : [],
  );
  return {
    boot: account.boot.slice(0, 64),
    firstSeq: Number(account.firstSeq),
    lastSeq: Number(account.lastSeq),
    sinceMs: Number(account.sinceMs),
    // A reporter's mistake must not turn a sum negative.
    sampled: Math.max(0, Number(account.sampled)),
    dropped: Object.fromEntries(dropped),
    afterCrash: account.afterCrash,
  };
}

function acknowledge(call: Call, lastSeq: bigint): void {
  if (call.cancelled || call.destroyed || call.writableEnded) return;
  call.write(createMessage(ReportResponseSchema, { ackedSeq: lastSeq }));
}

function end(call: Call, code: status, details: string): void {
  if (!call.cancelled) call.emit('error', { code, details });
}
