// A pair of sidecars in one process, whose evidence it turns on and off by itself under somebody's load:
// `node bench/record-child.ts APP_PORT FOLDER PER_SECOND`. Tells its port, then, on a message, what each slice of time cost.
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

/** What a child answers; records are those that were kept, and lost, in all slices. */
export type Measured = {
  readonly blocks: readonly Block[];
  readonly traceUs: number;
  readonly requests: number;
  readonly kept: number;
  readonly dropped: number;
};

const LOOPS = 1_000_000;
const SHIP_BATCH = 500;

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

/** Pays for what was put off: what is buffered is packed and written, and read as the shipper does. */
async function settle(): Promise<void> {
  for (const log of shipped.keys()) {
    await log.flushed();
    while (await ship(log)) {
      // As the shipper does: as long as more lies there.
    }
  }
}

/** The shipper's stream to the agent is not the proxy's evidence but its own. */
async function ship(log: AccessLog): Promise<boolean> {
  const { accounts, isFull } = await log.readAfter(shipped.get(log) ?? 0, SHIP_BATCH);
  const last = accounts.at(-1)?.lastSeq;
  if (last === undefined) return false;
  shipped.set(log, last);
  log.acknowledge(last);
  return isFull;
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

/** With, without, without, with: whatever drifts falls on both alike. Each other block begins with the other. */
async function block(index: number, ms: number): Promise<Block> {
  const order = index % 2 === 0 ? [true, false, false, true] : [false, true, true, false];
  const sums = { on: { us: 0, requests: 0 }, off: { us: 0, requests: 0 } };
  for (const evidence of order) {
    const { us, requests } = await slice(evidence, ms);
    const sum = evidence ? sums.on : sums.off;
    sum.us += us;
    sum.requests += requests;
  }
  return { on: sums.on.us / sums.on.requests, off: sums.off.us / sums.off.requests };
}

async function measure({ warmUpMs, blocks, sliceMs }: Measurement): Promise<Measured> {
  const startedAt = Date.now();
  for (let index = 0; Date.now() - startedAt < warmUpMs; index++) await block(index, sliceMs);
  const found: Block[] = [];
  const before = finished;
  const keptBefore = keptOf();
  for (let index = 0; index < blocks; index++) found.push(await block(index, sliceMs));
  const requests = (finished - before) / 2;
  const dropped = [...shipped.keys()].reduce((sum, log) => sum + log.counts().dropped.success, 0);
  return { blocks: found, traceUs: traceCostUs(), requests, kept: keptOf() - keptBefore, dropped };
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
