// A pair of sidecars in one process, whose evidence it turns on and off by itself under somebody's load:
// `node bench/record-child.ts APP_PORT FOLDER PER_SECOND`. Tells its port, then, on a message, what each slice of time cost and, on
// another one when the load has ended, what is measured without any.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type AccessLog,
  createAccessLog,
  createProxyMetrics,
  createRedactor,
  createSampler,
  createTraceIds,
  formatTraceparent,
  type ProxyMetrics,
  parseTraceparent,
} from '#telemetry';
import { createFakePair } from '../src/proxy/fake-pair.ts';

/** What is asked of a child: blocks of four slices each, of which the first ones only warm it up. */
export type Measurement = {
  readonly warmUpMs: number;
  readonly blocks: number;
  readonly sliceMs: number;
};

/** CPU of one request of the pair in µs: of a block's two slices with evidence, and of its two without. */
export type Block = { readonly on: number; readonly off: number };

/** What a child answers to `Measurement`; records are those that were kept, and lost, in all slices. */
export type Measured = {
  readonly blocks: readonly Block[];
  readonly requests: number;
  readonly kept: number;
  readonly dropped: number;
};

/** What it answers when the load has ended, CPU in µs: what cannot be switched off, for a request; and reading back one record. */
export type Alone = { readonly traceUs: number; readonly shipUs: number };

const LOOPS = 1_000_000;
const SHIP_BATCH = 500;
const LEFT_MS = 3_000;

const [appPort, folder = '', perSecond] = process.argv.slice(2);
const shipped = new Map<AccessLog, number>();
let isOn = false;
let finished = 0;

function evidenceOf(service: string) {
  const workload = { service, namespace: 'default', trustDomain: 'cluster.local' };
  const metrics: ProxyMetrics = createProxyMetrics({ workload, clock: Date.now });
  const log = createAccessLog({
    folder: join(folder, service),
    // Half of each second is recorded: what a whole one may hold is half of it, too.
    sampler: createSampler(Number(perSecond) / 2),
    redactor: createRedactor(randomBytes(32)),
  });
  shipped.set(log, 0);
  const records: Pick<AccessLog, 'record'> = {
    record(call, edge) {
      finished++;
      if (isOn) log.record(call, edge);
    },
  };
  const countCall: ProxyMetrics['countCall'] = (edge, call) => {
    if (isOn) metrics.countCall(edge, call);
  };
  return { records, metrics: { ...metrics, countCall } };
}

/** Pays for what was put off: what is buffered is packed and written, about as often as a sidecar does it. */
async function settle(): Promise<void> {
  for (const log of shipped.keys()) await log.flushed();
}

/** Reads back all that lies there; the shipper's stream to the agent is not the proxy's evidence but its own. */
async function ship(): Promise<number> {
  let records = 0;
  for (const [log, seq] of shipped) {
    for (let after = seq, isFull = true; isFull; ) {
      const batch = await log.readAfter(after, SHIP_BATCH);
      after = batch.accounts.at(-1)?.lastSeq ?? after;
      records += batch.records;
      isFull = batch.isFull;
      shipped.set(log, after);
      log.acknowledge(after);
    }
  }
  return records;
}

type Slice = { readonly us: number; readonly requests: number };

async function slice(evidence: boolean, ms: number): Promise<Slice> {
  isOn = evidence;
  const before = finished;
  const startedAt = process.cpuUsage();
  await sleep(ms);
  if (evidence) await settle();
  const { user, system } = process.cpuUsage(startedAt);
  // Both sidecars of a pair finish each request.
  return { us: user + system, requests: (finished - before) / 2 };
}

/** With, without, without, with: whatever drifts falls on both alike. Chance says which one begins. */
async function block(ms: number): Promise<Block> {
  const order = Math.random() < 0.5 ? [true, false, false, true] : [false, true, true, false];
  const sums = { on: { us: 0, requests: 0 }, off: { us: 0, requests: 0 } };
  for (const evidence of order) {
    const { us, requests } = await slice(evidence, ms);
    const sum = evidence ? sums.on : sums.off;
    sum.us += us;
    sum.requests += requests;
  }
  // Between blocks, so that neither kind of slice pays for it: so often a shipper reads.
  await ship();
  return { on: sums.on.us / sums.on.requests, off: sums.off.us / sums.off.requests };
}

async function measure({ warmUpMs, blocks, sliceMs }: Measurement): Promise<Measured> {
  const startedAt = Date.now();
  while (Date.now() - startedAt < warmUpMs) await block(sliceMs);
  const found: Block[] = [];
  const before = finished;
  const keptBefore = keptOf();
  for (let index = 0; index < blocks; index++) found.push(await block(sliceMs));
  const requests = (finished - before) / 2;
  const kept = keptOf() - keptBefore;
  // What is left to be read when the load has ended.
  await slice(true, LEFT_MS);
  const dropped = [...shipped.keys()].reduce((sum, log) => sum + log.counts().dropped.success, 0);
  return { blocks: found, requests, kept, dropped };
}

async function shipCostUs(): Promise<number> {
  const startedAt = process.cpuUsage();
  const records = await ship();
  const { user, system } = process.cpuUsage(startedAt);
  return (user + system) / Math.max(1, records);
}

function keptOf(): number {
  const counts = [...shipped.keys()].map((log) => log.counts());
  return counts.reduce((sum, { issued, sampled }) => sum + issued - sampled, 0);
}

/** What cannot be switched off: two trace contexts and the readings of the clock for each request of a pair, µs. */
function traceCostUs(): number {
  const ids = createTraceIds();
  const caller = formatTraceparent(ids.traceId(), ids.spanId(), true);
  let length = 0;
  const startedAt = process.cpuUsage();
  for (let i = 0; i < LOOPS; i++) {
    const parent = parseTraceparent(caller);
    length += formatTraceparent(parent?.traceId ?? '', ids.spanId(), true).length;
    length += formatTraceparent(ids.traceId(), ids.spanId(), true).length;
    for (let mark = 0; mark < 10; mark++) length += performance.now() > 0 ? 1 : 0;
    for (let mark = 0; mark < 2; mark++) length += Date.now() > 0 ? 1 : 0;
  }
  const used = process.cpuUsage(startedAt);
  if (length === 0) throw new Error('nothing was measured');
  return (used.user + used.system) / LOOPS;
}

const pair = await createFakePair({
  application: { port: Number(appPort) },
  evidence: evidenceOf,
});
process.once('disconnect', () => process.exit());
process.send?.({ port: pair.caller.outboundPort });
const [asked] = (await once(process, 'message')) as [Measurement];
process.send?.(await measure(asked));
await once(process, 'message');
process.send?.({ traceUs: traceCostUs(), shipUs: await shipCostUs() } satisfies Alone);
