// What evidence costs a pair of sidecars. One process turns records and metrics on and off in short slices of the same load and
// charges each slice with all the CPU it caused, so that what drifts or disturbs falls on both alike.
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SIDECAR_FLAGS } from '#local';
import { freePorts, missingPrograms, startOrigin } from './pairs.ts';
import { quantile } from './quantile.ts';
import type { Block, Measured, Measurement } from './record-child.ts';

const CONNECTIONS = 16;
const MEASUREMENT: Measurement = {
  warmUpMs: Number(process.env['BENCH_WARM_UP_MS'] ?? 8_000),
  blocks: Number(process.env['BENCH_BLOCKS'] ?? 20),
  // As long as a shipper waits under such a load: what is paid for once a slice is paid for as often as in a sidecar.
  sliceMs: Number(process.env['BENCH_SLICE_MS'] ?? 1_000),
};
/** Records a second of each sidecar: the default, and more than there are calls. */
const RATES: Readonly<Record<string, number>> = { default: 500, every: 1_000_000 };
const WANTED = process.env['BENCH_RECORDS']?.split(',') ?? Object.keys(RATES);
/** Two-sided 95 %, of the normal distribution. */
const CONFIDENCE_95 = 1.96;

/** Prints a table for each rate and, last, `record <percent> % of CPU per request` of the first. */
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
    started.push(startOrigin(folder, appPort));
    const lines: string[] = [];
    for (const name of WANTED) {
      const own = join(folder, name);
      mkdirSync(own);
      const args = [String(appPort), own, String(RATES[name] ?? name)];
      lines.push(report(name, await measure(args, started)));
    }
    console.log(lines[0]);
  } finally {
    for (const child of started) child.kill(child.spawnfile === 'nginx' ? 'SIGTERM' : 'SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measure(args: string[], started: ChildProcess[]): Promise<Measured> {
  const file = new URL('./record-child.ts', import.meta.url).pathname;
  // As `palisade run` starts them.
  const child = fork(file, args, { execArgv: [...process.execArgv, ...SIDECAR_FLAGS] });
  started.push(child);
  const [{ port }] = (await once(child, 'message')) as [{ port: number }];
  const load = ['-t1', `-c${CONNECTIONS}`, '-d600s', '-H', 'Host: orders'];
  const url = `http://127.0.0.1:${port}/index.html`;
  const wrk = spawn('wrk', [...load, url], { stdio: 'ignore' });
  started.push(wrk);
  await sleep(500);
  child.send(MEASUREMENT);
  const [measured] = (await once(child, 'message')) as [Measured];
  wrk.kill('SIGKILL');
  child.kill('SIGKILL');
  return measured;
}

/** The middle of paired differences, and between which values it lies for certain enough. */
function middle(differences: readonly number[]): { mid: number; low: number; high: number } {
  const sorted = differences.toSorted((a, b) => a - b);
  // The binomial distribution of how many of them lie below the true median.
  const reach = (CONFIDENCE_95 * Math.sqrt(sorted.length)) / 2;
  const at = (rank: number): number =>
    sorted[Math.min(sorted.length - 1, Math.max(0, Math.round(rank)))] ?? Number.NaN;
  const centre = (sorted.length - 1) / 2;
  return { mid: quantile(sorted, 0.5), low: at(centre - reach), high: at(centre + reach) };
}

function report(name: string, { blocks, traceUs, requests, kept, dropped }: Measured): string {
  const on = quantile(blocks.map(withEvidence), 0.5);
  const off = quantile(
    blocks.map(({ off }) => off),
    0.5,
  );
  const difference = middle(blocks.map((block) => block.on - block.off));
  const part = (us: number): string => ((us / on) * 100).toFixed(1);
  const range = `${part(difference.low)} to ${part(difference.high)}`;
  console.log(
    `records: ${name}; ${blocks.length} blocks, ${requests} requests, ${kept} records kept, ${dropped} dropped`,
  );
  console.table([
    { what: 'a request of the pair, without records and metrics', 'CPU µs': off.toFixed(2) },
    { what: 'with them', 'CPU µs': on.toFixed(2), '%': '100' },
    {
      what: 'records and metrics',
      'CPU µs': difference.mid.toFixed(2),
      '%': part(difference.mid),
      '95 %': range,
    },
    {
      what: 'trace and stages (in both; by themselves)',
      'CPU µs': traceUs.toFixed(2),
      '%': part(traceUs),
    },
    {
      what: 'all of it',
      'CPU µs': (difference.mid + traceUs).toFixed(2),
      '%': part(difference.mid + traceUs),
      '95 %': `${part(difference.low + traceUs)} to ${part(difference.high + traceUs)}`,
    },
  ]);
  return `record ${part(difference.mid + traceUs)} % of CPU per request`;
}

const withEvidence = ({ on }: Block): number => on;
