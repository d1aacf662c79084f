// Started by bench/ingest.ts: an agent that reports for the nodes of its host at a steady rate.

import { setTimeout as delay } from 'node:timers/promises';
import type { ServerDuplexStream } from '@grpc/grpc-js';
import { packLines } from '#telemetry';
import {
  AccountSchema,
  createGrpcClient,
  createMessage,
  type ReportRequest,
  ReportRequestSchema,
  type ReportResponse,
  Telemetry,
  type TlsMaterial,
} from '#wire';
import { bootOf, createSyntheticRecords, nodeOf, SERVICE_COUNT } from './synthetic-records.ts';

/** What the sender is told. */
export type SenderOrder = {
  readonly grpcPort: number;
  readonly rootsPem: readonly string[];
  readonly agent: Pick<TlsMaterial, 'chainPem' | 'privateKeyPem'>;
  readonly perSecond: number;
  readonly seconds: number;
};

/** What it saw. */
export type SenderReport = {
  readonly sent: number;
  readonly acknowledged: number;
  readonly tookMs: number;
};

const EACH = 100;
const TICK_MS = 20;
process.once('message', (order: SenderOrder) => {
  void work(order).then((report) => process.send?.(report));
});

type Stream = Pick<ServerDuplexStream<ReportResponse, ReportRequest>, 'write' | 'on' | 'end'>;

async function work(order: SenderOrder): Promise<SenderReport> {
  const client = createGrpcClient(Telemetry, {
    kind: 'tls',
    address: `127.0.0.1:${order.grpcPort}`,
    rootsPem: order.rootsPem,
    client: order.agent,
    verifyServer: () => undefined,
  });
  const streams = Array.from({ length: SERVICE_COUNT }, () => {
    return client.bidi(Telemetry.method.report) as unknown as Stream;
  });
  let acknowledged = 0;
  const acked = new Map<number, number>();
  for (const [service, stream] of streams.entries()) {
    stream.on('data', ({ ackedSeq }: ReportResponse) => {
      acknowledged += Number(ackedSeq) - (acked.get(service) ?? 0);
      acked.set(service, Number(ackedSeq));
    });
    stream.on('error', (error: Error) => console.error(error.message));
  }
  const begun = performance.now();
  const sent = await send(order, streams);
  while (acknowledged < sent && performance.now() - begun < order.seconds * 3_000) await delay(5);
  const tookMs = performance.now() - begun;
  client.close();
  return { sent, acknowledged, tookMs };
}

async function send(
  { perSecond, seconds }: SenderOrder,
  streams: readonly Stream[],
): Promise<number> {
  const synthetic = createSyntheticRecords(3);
  const seqs = streams.map(() => 1);
  const begun = performance.now();
  let sent = 0;
  for (let at = 0; sent < perSecond * seconds; at++) {
    const due = Math.min(perSecond * seconds, ((performance.now() - begun) / 1_000) * perSecond);
    while (sent < due) {
      const service = (sent / EACH) % streams.length;
      const first = seqs[service] ?? 1;
      streams[service]?.write(messageOf(synthetic, service, first));
      seqs[service] = first + EACH;
      sent += EACH;
    }
    await delay(TICK_MS);
  }
  return sent;
}

function messageOf(
  synthetic: ReturnType<typeof createSyntheticRecords>,
  service: number,
  first: number,
): ReportRequest {
  const now = Date.now();
  const last = first + EACH - 1;
  const records = Array.from(
    { length: EACH },
    (_, i) => `${JSON.stringify(synthetic.next(service, first + i, now))}\n`,
  );
  const account = createMessage(AccountSchema, {
    boot: bootOf(service),
    firstSeq: BigInt(first),
    lastSeq: BigInt(last),
    sinceMs: BigInt(now),
    untilMs: BigInt(now),
    records: BigInt(EACH),
  });
  return createMessage(ReportRequestSchema, {
    node: nodeOf(service),
    blocks: [packLines(Buffer.from(records.join('')))],
    lastSeq: BigInt(last),
    accounts: [account],
  });
}
