// An outage of a sink: ten minutes at 2,000 records a second wait on disk, then all of them leave. The time of the outage
// is simulated, not its data.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SinkResource, SinkSpec } from '#resource';
import { createSinkHub, type Evidence, type SinkHub } from '#sink';
import { createSilentLog } from '#telemetry';
import type { Findings } from './sink-receiver.ts';

const RATE = 2_000;
const OUTAGE_S = Number(process.env['BENCH_OUTAGE_S'] ?? 600);
const TOTAL = RATE * OUTAGE_S;
const SOURCES = 20;
// What the control plane stores in one transaction, and hence offers at once.
const GROUP = RATE / 25;
// Time runs so much faster, so that an outage and the retries in it take seconds.
const HASTE = 60;
const OTHER = 100_000;

/** Prints the table and, last, `sink <number> records/s after an outage`. */
export default async function run(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'palisade-bench-'));
  const receiver = fork(new URL('./sink-receiver.ts', import.meta.url).pathname);
  try {
    const [{ port }] = (await once(receiver, 'message')) as [{ port: number }];
    const perSecond = await outage({ folder: join(folder, 'outage'), port, receiver });
    const file = await drainToFile(join(folder, 'file'));
    console.log(`file, json: ${Math.round(file).toLocaleString('en')} records/s`);
    console.log(`sink ${Math.round(perSecond)} records/s after an outage`);
  } finally {
    receiver.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  }
}

async function outage(options: {
  readonly folder: string;
  readonly port: number;
  readonly receiver: ChildProcess;
}): Promise<number> {
  const { folder, port, receiver } = options;
  const hub = openHub(folder, 'hasty');
  const endpoint = `http://127.0.0.1:${port}`;
  await hub.configure([sink({ format: 'otlp', otlpHttp: { endpoint, compression: 'none' } })]);
  const filling = clocks();
  for (let from = 0; from < TOTAL; from += GROUP) {
    hub.offer('records', records(from, GROUP));
    // The tries that fail meanwhile get their turns.
    if (from % (GROUP * 25) === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  const filled = filling();
  const waiting = laneOf(hub);
  receiver.send('up');
  const draining = clocks();
  await until(() => laneOf(hub).delivered >= TOTAL);
  const drained = draining();
  receiver.send('findings');
  const [found] = (await once(receiver, 'message')) as [Findings];
  const rate = TOTAL / drained.seconds;
  const { lost } = laneOf(hub);
  await hub.close();
  console.table({
    'queued during the outage': waiting.items,
    'bytes on disk per record': round(waiting.bytes / waiting.items),
    'queueing, records/s of one core': Math.round(TOTAL / filled.cpuSeconds),
    'delivered after it': found.received,
    'came twice': found.twice,
    'out of order within their source': found.disordered,
    lost: Object.values(lost).reduce((sum, n) => sum + n, 0),
    'seconds to catch up': round(drained.seconds),
    'delivering, records/s': Math.round(rate),
    'delivering, records/s of one core': Math.round(TOTAL / drained.cpuSeconds),
    'peak memory, MB': Math.round(process.resourceUsage().maxRSS / 1024),
  });
  if (found.received !== TOTAL || found.twice > 0 || found.disordered > 0) {
    throw new Error('the outage cost records, or their order');
  }
  return rate;
}

async function drainToFile(folder: string): Promise<number> {
  const hub = openHub(folder, 'real');
  const file = { name: 'out.jsonl', maxBytes: 1 << 30, maxFiles: 2 };
  await hub.configure([sink({ format: 'json', file })]);
  const taken = clocks();
  for (let from = 0; from < OTHER; from += GROUP) hub.offer('records', records(from, GROUP));
  await until(() => laneOf(hub).delivered >= OTHER);
  const { seconds } = taken();
  await hub.close();
  return OTHER / seconds;
}

function openHub(folder: string, pace: 'hasty' | 'real'): SinkHub {
  const haste = pace === 'hasty' ? HASTE : 1;
  const startedAt = Date.now();
  return createSinkHub({
    folder,
    env: {},
    trustDomain: 'cluster.local',
    version: '0',
    hostname: 'bench',
    ownPorts: () => [],
    consoleUrl: () => '',
    sources: {},
    clock: () => startedAt + (Date.now() - startedAt) * haste,
    scheduler: {
      after(ms, work) {
        const timer = setTimeout(work, ms / haste);
        return () => clearTimeout(timer);
      },
    },
    log: createSilentLog(),
  });
}

function sink(receiver: Pick<SinkSpec, 'format' | 'otlpHttp' | 'file'>): SinkResource {
  return {
    apiVersion: 'palisade.dev/v1',
    kind: 'Sink',
    metadata: { name: 'bench', namespace: 'palisade-system' },
    spec: {
      evidence: { records: {} },
      // Two minutes of its time are two seconds here.
      limits: { maxQueueBytes: 2 ** 31, maxAge: '72h', maxBatch: 1000, timeout: '2m' },
      paused: false,
      ...receiver,
    },
  };
}

function records(from: number, count: number): Evidence[] {
  return Array.from({ length: count }, (_, i) => record(from + i));
}

/** A record of about the size of real ones, different from the one before where those are. */
function record(n: number): Evidence {
  const source = n % SOURCES;
  const id = `node${source}-${Math.floor(n / SOURCES)}`;
  const caller = `caller${n % 7}`;
  const value = {
    id,
    time: new Date(1_769_860_800_000 + n / 2).toISOString(),
    kind: 'http',
    reporter: 'destination',
    'source.id': `spiffe://cluster.local/ns/default/sa/${caller}`,
    'source.service': caller,
    'source.ip': `10.0.${n % 4}.${n % 250}`,
    'destination.id': `spiffe://cluster.local/ns/default/sa/service${source}`,
    'destination.service': `service${source}`,
    'destination.namespace': 'default',
    'destination.port': 80,
    'connection.sni': `service${source}.default`,
    'tls.version': 'TLSv1.3',
    'tls.cipher': 'TLS_AES_128_GCM_SHA256',
    'tls.group': 'X25519MLKEM768',
    peer_serial: `0${(n % 9) + 1}a4c1d2e3f405162738495a6b7c8d9e`,
    method: n % 3 === 0 ? 'POST' : 'GET',
    host: `service${source}`,
    path: `/items/${(n * 7919) % 10_007}`,
    policy: `default/service${source}-callers`,
    rule: '0',
    policy_version: 'default@12 palisade-system@3',
    denial_id: null,
    trace_id: `${(n * 2_654_435_761).toString(16).padStart(32, '0').slice(-32)}`,
    span_id: `${(n * 40_503).toString(16).padStart(16, '0')}`,
    duration_us: 400 + ((n * 31) % 5_000),
    decision_us: 40 + (n % 30),
    upstream_us: 300 + ((n * 17) % 4_000),
    bytes_in: n % 900,
    bytes_out: (n * 13) % 20_000,
    status: n % 50 === 0 ? 503 : 200,
    reason: null,
    verdict: 'allow',
    seq: Math.floor(n / SOURCES),
    node: `default/service${source}/1`,
  } as const;
  return { kind: 'records', id, position: n + 1, value };
}

function laneOf(hub: SinkHub) {
  const lane = hub.state()[0]?.lanes[0];
  if (lane === undefined) throw new Error('the sink is gone');
  return lane;
}

function clocks(): () => { readonly seconds: number; readonly cpuSeconds: number } {
  const startedAt = performance.now();
  const cpu = process.cpuUsage();
  return () => {
    const { user, system } = process.cpuUsage(cpu);
    return { seconds: (performance.now() - startedAt) / 1000, cpuSeconds: (user + system) / 1e6 };
  };
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 20));
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
