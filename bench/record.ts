// What evidence costs a pair of sidecars: the same pair with records and metrics and without, in turns, under the same load.
import { type ChildProcess, execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTraceIds, formatTraceparent, parseTraceparent } from '#telemetry';
import { cpuUs, freePorts, missingPrograms, type Pair, startOrigin } from './pairs.ts';

const CONNECTIONS = 16;
const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 20);
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 1);
const LOOPS = 1_000_000;

/** Prints the table and, last, `record <percent> % of CPU per request`. */
export default async function run(): Promise<void> {
  const missing = missingPrograms().filter((program) => program !== 'haproxy');
  if (missing.length > 0) {
    console.log(`record skipped: ${missing.join(', ')} not found (Debian packages of these names)`);
    return;
  }
  const folder = mkdtempSync(join(tmpdir(), 'palisade-bench-'));
  const started: ChildProcess[] = [];
  try {
    const [appPort = 0] = await freePorts(1);
    const origin = startOrigin(folder, appPort);
    started.push(origin);
    const on = await startPair('on', { appPort, folder, started });
    const off = await startPair('off', { appPort, folder, started });
    report(measureInTurns(on, off));
  } finally {
    for (const child of started) child.kill(child.spawnfile === 'nginx' ? 'SIGTERM' : 'SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  }
}

async function startPair(
  mode: 'on' | 'off',
  {
    appPort,
    folder,
    started,
  }: { readonly appPort: number; readonly folder: string; readonly started: ChildProcess[] },
): Promise<Pair> {
  const file = new URL('./record-child.ts', import.meta.url).pathname;
  const child = fork(file, [mode, String(appPort), folder]);
  started.push(child);
  const [{ port }] = (await once(child, 'message')) as [{ port: number }];
  return { name: 'Palisade', port, pids: [child.pid ?? 0] };
}

type Round = { readonly on: number; readonly off: number };

function measureInTurns(on: Pair, off: Pair): Round[] {
  for (const pair of [on, off]) measure(pair, 3);
  return Array.from({ length: ROUNDS }, (_, round) => {
    // Whoever goes first has the other's warm caches: that falls on both alike.
    if (round % 2 === 0) return { on: measure(on, SECONDS), off: measure(off, SECONDS) };
    const without = measure(off, SECONDS);
    return { on: measure(on, SECONDS), off: without };
  });
}

/** CPU of both sidecars for one request, µs. */
function measure(pair: Pair, seconds: number): number {
  const before = cpuUs(pair);
  const args = ['-t1', `-c${CONNECTIONS}`, `-d${seconds}s`, '-H', 'Host: orders'];
  const url = `http://127.0.0.1:${pair.port}/index.html`;
  const text = execFileSync('wrk', [...args, url], { encoding: 'utf8' });
  return (cpuUs(pair) - before) / Number(/(\d+) requests in/.exec(text)?.[1] ?? 0);
}

/** What cannot be switched off: two trace contexts and eight readings of the clock for each request of a pair, µs. */
function traceCostUs(): number {
  const ids = createTraceIds();
  const caller = formatTraceparent(ids.traceId(), ids.spanId(), true);
  let length = 0;
  const startedAt = process.cpuUsage();
  for (let i = 0; i < LOOPS; i++) {
    const parent = parseTraceparent(caller);
    length += formatTraceparent(parent?.traceId ?? '', ids.spanId(), true).length;
    length += formatTraceparent(ids.traceId(), ids.spanId(), true).length;
    for (let mark = 0; mark < 8; mark++) length += performance.now() > 0 ? 1 : 0;
  }
  const used = process.cpuUsage(startedAt);
  if (length === 0) throw new Error('nothing was measured');
  return (used.user + used.system) / LOOPS;
}

function lowerQuartile(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 4)] ?? Number.NaN;
}

function report(rounds: readonly Round[]): void {
  // What disturbs a round makes it dearer, never cheaper.
  const on = lowerQuartile(rounds.map((round) => round.on));
  const off = lowerQuartile(rounds.map((round) => round.off));
  const difference = on - off;
  const trace = traceCostUs();
  const part = (us: number): string => ((us / on) * 100).toFixed(1);
  console.table([
    { what: 'a request of the pair, without records and metrics', 'CPU µs': off.toFixed(1) },
    { what: 'with them', 'CPU µs': on.toFixed(1), '%': 100 },
    { what: 'records and metrics', 'CPU µs': difference.toFixed(1), '%': part(difference) },
    {
      what: 'trace and stages (in both; by themselves)',
      'CPU µs': trace.toFixed(1),
      '%': part(trace),
    },
  ]);
  console.log(`record ${part(difference + trace)} % of CPU per request`);
}
