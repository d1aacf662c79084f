import { type ServerDuplexStream, status } from '@grpc/grpc-js';
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
import { parseRecord } from './parse-record.ts';
import type { MeshPeer } from './peer.ts';
import type { IncomingRecord, RecordsStore, StoredRecord } from './records-store.ts';

/** Takes in what enforcement points report; acknowledges records only once they are on disk. */
export type TelemetryIngest = {
  readonly service: GrpcService;
  readonly counts: () => IngestCounts;
  /** Stores what is waiting. */
  readonly close: () => void;
};

/** Since the process started: stored, refused as malformed, left out by senders, and failed writes. */
export type IngestCounts = {
  readonly stored: number;
  readonly refused: number;
  readonly skipped: number;
  readonly failedWrites: number;
};

/** What ingestion feeds. */
export type IngestOptions = {
  readonly peer: (call: { readonly getPeer: () => string }) => MeshPeer;
  /** The agent that a connected node came through. */
  readonly connectedVia: (node: string) => string | undefined;
  readonly records: RecordsStore;
  readonly map: TrafficMap;
  readonly onStored: (records: readonly StoredRecord[]) => void;
  readonly onCounted: () => void;
  /** How a workload's security did. */
  readonly onSecurity: (request: Pick<ReportRequest, 'node' | 'security'>) => void;
  readonly clock: () => number;
  readonly log: Log;
};

type Call = ServerDuplexStream<ReportRequest, ReportResponse>;

/** Records of one message, waiting to be stored together with others. */
type Batch = {
  readonly call: Call;
  readonly records: readonly IncomingRecord[];
  readonly lastSeq: bigint;
};

// One transaction, hence one wait for the disk, takes the reports of all nodes in this time.
const GROUP_MS = 40;
const MAX_WAITING = 20_000;

/** Creates the Telemetry service (telemetry.proto) for agents. */
export function createTelemetryIngest(options: IngestOptions): TelemetryIngest {
  const { log, records } = options;
  const counts = { stored: 0, refused: 0, skipped: 0, failedWrites: 0 };
  let waiting: Batch[] = [];
  let held = 0;
  let timer: NodeJS.Timeout | undefined;

  function store(): void {
    clearTimeout(timer);
    timer = undefined;
    const batches = waiting;
    waiting = [];
    held = 0;
    const added = records.add(
      batches.flatMap((batch) => batch.records),
      options.clock(),
    );
    if (!added.ok) {
      counts.failedWrites++;
      log.error(EVENT.recordsNotStored, { reason: added.error });
      // Without an acknowledgement the senders keep their records and send them again on a new stream.
      for (const { call } of batches) end(call, status.UNAVAILABLE, 'records cannot be stored now');
      return;
    }
    counts.stored += added.value.length;
    for (const { call, lastSeq } of batches) acknowledge(call, lastSeq);
    if (added.value.length > 0) options.onStored(added.value);
  }

  function receive(call: Call, request: ReportRequest): void {
    for (const edge of request.edges) options.map.count(edge);
    if (request.edges.length > 0) options.onCounted();
    options.onSecurity(request);
    for (const { sampled } of request.accounts) counts.skipped += Number(sampled);
    const parsed = request.records.map(parseRecord);
    const good = parsed.flatMap((result, i): IncomingRecord[] => {
      const bytes = request.records[i];
      if (!result.ok || bytes === undefined) return [];
      return [
        { node: request.node, record: result.value, json: Buffer.from(bytes).toString('utf8') },
      ];
    });
    const bad = parsed.find((result) => !result.ok);
    counts.refused += parsed.length - good.length;
    // A bad record is acknowledged all the same: sent again, it would not be better.
    if (bad?.ok === false) log.warn(EVENT.recordRefused, { node: request.node, reason: bad.error });
    if (parsed.length === 0 && request.lastSeq === 0n) return;
    waiting.push({ call, records: good, lastSeq: request.lastSeq });
    held += good.length;
    if (held >= MAX_WAITING) return store();
    timer ??= setTimeout(store, GROUP_MS);
  }

  function report(call: Call): void {
    const peer = options.peer(call);
    if (peer.kind !== 'agent') {
      return end(call, status.PERMISSION_DENIED, 'agents report for their hosts');
    }
    call.on('data', (request: ReportRequest) => {
      const via = options.connectedVia(request.node);
      // SECURITY: one host's agent must not put calls into the records of another host's workloads.
      if (via === undefined || via === peer.id) return receive(call, request);
      end(call, status.PERMISSION_DENIED, `node \`${request.node}\` is of another agent`);
    });
    call.on('end', () => call.end());
    call.on('error', () => {
      // The sender is gone; what it sent is stored all the same, what is not acknowledged comes again.
    });
  }

  return {
    service: { service: Telemetry, implementation: { report } },
    counts: () => ({ ...counts }),
    close() {
      if (timer !== undefined) store();
    },
  };
}

function acknowledge(call: Call, lastSeq: bigint): void {
  if (call.cancelled || call.destroyed || call.writableEnded) return;
  call.write(createMessage(ReportResponseSchema, { ackedSeq: lastSeq }));
}

function end(call: Call, code: status, details: string): void {
  if (!call.cancelled) call.emit('error', { code, details });
}
