import { status } from '@grpc/grpc-js';
import type { Account, Added, RecordStore, Report } from '#record-store';
import { EVENT, type Log } from '#telemetry';
import {
  createMessage,
  type GrpcCall,
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

type Call = GrpcCall<ReportRequest, ReportResponse>;

/** A stream with how many messages of it wait to be stored. */
type Source = { readonly call: Call; waiting: number };

/** One message, waiting to be stored together with others. */
type Waiting = {
  readonly source: Source;
  readonly report: Report;
  readonly lastSeq: bigint;
  /** Records in it, as its sender says. */
  readonly records: number;
};

// One transaction, hence one wait for the disk, takes the reports of all nodes in this time.
const GROUP_MS = 40;
const MAX_AT_ONCE = 1_000;
// Sidecars have eight messages under way; whoever sends more waits.
const MAX_WAITING = 16;

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
    const source: Source = { call, waiting: 0 };
    call.on('data', (request: ReportRequest) => {
      const known = this.#options.connected(request.node);
      // SECURITY: one host's agent must not put calls into the records of another host's workloads.
      if (known === undefined || known.via === peer.id) {
        return this.#receive(source, request, known?.spiffeId ?? undefined);
      }
      end(call, status.PERMISSION_DENIED, `node \`${request.node}\` is of another agent`);
    });
    // Of a sender that is gone, what it sent is stored all the same; what is not acknowledged comes again.
    call.on('end', () => call.end());
  }

  #receive(source: Source, request: ReportRequest, identity: string | undefined): void {
    const { map, onCounted, onSecurity } = this.#options;
    for (const edge of request.edges) map.count(edge);
    if (request.edges.length > 0) onCounted();
    onSecurity(request);
    const { node, blocks, lastSeq } = request;
    if (blocks.length === 0 && request.accounts.length === 0 && lastSeq === 0n) return;
    const accounts = request.accounts.map(accountOf);
    for (const { sampled } of accounts) this.#counts.skipped += sampled;
    const records = recordsIn(request);
    this.#waiting.push({ source, lastSeq, records, report: { node, identity, blocks, accounts } });
    this.#held += records;
    source.waiting++;
    // SECURITY: what arrives faster than it is stored waits at its sender, not here.
    if (source.waiting >= MAX_WAITING) source.call.pause();
    if (this.#held >= MAX_AT_ONCE) void this.#start();
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
    const count = this.#waiting.findIndex(({ records }) => {
      held += records;
      return held >= MAX_AT_ONCE;
    });
    const taken = this.#waiting.splice(0, count < 0 ? this.#waiting.length : count + 1);
    this.#held -= taken.reduce((sum, { records }) => sum + records, 0);
    for (const { source } of taken) {
      source.waiting--;
      source.call.resume();
    }
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
      for (const { source } of waiting)
        end(source.call, status.UNAVAILABLE, 'records cannot be stored now');
      return;
    }
    const { stored, duplicates, refused, refusals } = added.value;
    this.#counts.stored += stored;
    this.#counts.duplicates += duplicates;
    this.#counts.refused += refused;
    // A bad record is acknowledged all the same: sent again, it would not be better.
    for (const refusal of refusals) log.warn(EVENT.recordRefused, refusal);
    for (const { source, lastSeq } of waiting) acknowledge(source.call, lastSeq);
    if (stored > 0) onStored(added.value);
  }
}

/** For pacing alone, so that its sender may be believed within reason. */
function recordsIn({ accounts, blocks }: ReportRequest): number {
  const claimed = accounts.reduce((sum, { records }) => sum + Number(records), 0);
  return Math.min(MAX_AT_ONCE, Math.max(claimed, blocks.length, 1));
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
  call.write(createMessage(ReportResponseSchema, { ackedSeq: lastSeq }));
}

function end(call: Call, code: status, details: string): void {
  call.refuse({ code, details });
}
