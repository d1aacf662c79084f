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
import type { Alone, Block, Measured, Measurement } from './record-child.ts';

const CONNECTIONS = 16;
const MEASUREMENT: Measurement = {
  warmUpMs: Number(process.env['BENCH_WARM_UP_MS'] ?? 8_000),
  blocks: Number(process.env['BENCH_BLOCKS'] ?? 100),
  // Short, since the machine changes all the time; and still longer than a sidecar lets records wait to be packed.
  sliceMs: Number(process.env['BENCH_SLICE_MS'] ?? 200),
};
/** Records a second of each sidecar: the default, and more than there are calls. */
const RATES: Readonly<Record<string, number>> = { default: 500, every: 1_000_000 };
const WANTED = process.env['BENCH_RECORDS']?.split(',') ?? Object.keys(RATES);
/** Two-sided 95 %, of the normal distribution. */
const CONFIDENCE_95 = 1.96;
/** Of the blocks at either end: those in which the machine did something else. */
const TRIMMED = 0.2;

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

async function measure(args: string[], started: ChildProcess[]): Promise<Measured & Alone> {
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
  await once(wrk, 'exit');
  await sleep(500);
  child.send('alone');
  const [alone] = (await once(child, 'message')) as [Alone];
  child.kill('SIGKILL');
  return { ...measured, ...alone };
}

/** The trimmed mean of what blocks came to, and how far the true one may be from it (Tukey and McLaughlin, 1963). */
function middle(values: readonly number[]): { readonly mid: number; readonly reach: number } {
  const sorted = values.toSorted((a, b) => a - b);
  const cut = Math.floor(TRIMMED * sorted.length);
  const inner = sorted.slice(cut, sorted.length - cut);
  const mid = mean(inner);
  // As if those that were cut off had been as the last one that was not.
  const [low = Number.NaN] = inner;
  const high = inner.at(-1) ?? Number.NaN;
  const bounded = sorted.map((value) => Math.min(high, Math.max(low, value)));
  const centre = mean(bounded);
  const variance = mean(bounded.map((value) => (value - centre) ** 2));
  const error = Math.sqrt(variance / (sorted.length - 1)) / (1 - 2 * TRIMMED);
  return { mid, reach: CONFIDENCE_95 * error };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function report(name: string, measured: Measured & Alone): string {
  const { blocks, traceUs, requests, kept, dropped } = measured;
  const on = middle(blocks.map(withEvidence)).mid;
  const off = middle(blocks.map((block) => block.off)).mid;
  // Half of the requests have evidence, and all that was kept is of those.
  const shipUs = (measured.shipUs * kept) / (requests / 2);
  const recorded = middle(blocks.map((block) => block.on - block.off));
  const difference = { mid: recorded.mid + shipUs, reach: recorded.reach };
  const low = difference.mid - difference.reach;
  const high = difference.mid + difference.reach;
  const part = (us: number): string => ((us / (on + shipUs)) * 100).toFixed(1);
  const range = `${part(low)} to ${part(high)}`;
  console.log(
    `records: ${name}; ${blocks.length} blocks, ${requests} requests, ${kept} records kept, ${dropped} dropped`,
  );
  console.table([
    { what: 'a request of the pair, without records and metrics', 'CPU µs': off.toFixed(2) },
    { what: 'with them', 'CPU µs': (on + shipUs).toFixed(2), '%': '100' },
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
      '95 %': `${part(low + traceUs)} to ${part(high + traceUs)}`,
    },
  ]);
  return `record ${part(difference.mid + traceUs)} % of CPU per request`;
}

const withEvidence = ({ on }: Block): number => on;
