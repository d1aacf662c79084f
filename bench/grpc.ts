// CPU per unary gRPC call of a Palisade pair against an Envoy mTLS pair, all as real processes.
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { callFor } from './grpc-peer.ts';
import { cpuUs, median, type Pair, rssMb, startPairs } from './pairs.ts';

const STREAMS = [16, 64, 1];
const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 3);
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 3);
const PEER = fileURLToPath(new URL('grpc-peer.ts', import.meta.url));

type Sample = { readonly cpuUs: number; readonly p50Us: number; readonly rate: number };

/** Runs the benchmark and prints its table. */
export default async function run(): Promise<void> {
  const serve = (port: number) =>
    spawn(process.execPath, [PEER, `${port}`], { stdio: ['ignore', 'ignore', 'inherit'] });
  const { pairs, close } = await startPairs(serve);
  try {
    report(pairs, await measureAll(pairs));
  } finally {
    await close();
  }
}

async function measureAll(pairs: readonly Pair[]): Promise<Map<string, Sample[]>> {
  const samples = new Map<string, Sample[]>();
  // Long enough for the compiler: what is measured is how a sidecar runs, not how it starts.
  for (const pair of pairs) await callFor(pair.port, 64, 6_000);
  for (const streams of STREAMS) {
    for (let round = 0; round < ROUNDS; round++) {
      // In turns, so that noise of the machine falls on all alike.
      for (const pair of pairs) {
        const key = `${pair.name} ${streams}`;
        samples.set(key, [...(samples.get(key) ?? []), await measure(pair, streams)]);
        await sleep(100);
      }
    }
  }
  return samples;
}

async function measure(pair: Pair, streams: number): Promise<Sample> {
  const before = cpuUs(pair);
  const { calls, failed, p50Us } = await callFor(pair.port, streams, SECONDS * 1000);
  if (failed > 0) throw new Error(`${pair.name} failed ${failed} calls`);
  return { cpuUs: (cpuUs(pair) - before) / calls, p50Us, rate: calls / SECONDS };
}

function report(pairs: readonly Pair[], samples: ReadonlyMap<string, Sample[]>): void {
  const of = (name: string, streams: number, figure: (sample: Sample) => number): number =>
    median((samples.get(`${name} ${streams}`) ?? []).map(figure));
  const cpu = (name: string, streams: number): number => of(name, streams, (one) => one.cpuUs);
  console.table(
    pairs.flatMap((pair) =>
      STREAMS.map((streams) => ({
        pair: pair.name,
        'calls at once': streams,
        'CPU µs/call': Math.round(cpu(pair.name, streams)),
        'Palisade is ×': (cpu('Palisade', streams) / cpu(pair.name, streams)).toFixed(2),
        'p50 µs': Math.round(of(pair.name, streams, (one) => one.p50Us)),
        'calls/s': Math.round(of(pair.name, streams, (one) => one.rate)),
        'RSS MB (each)': rssMb(pair).join(' + '),
      })),
    ),
  );
  const ratio = cpu('Palisade', 16) / cpu('Envoy', 16);
  console.log(
    `grpc ${Number.isNaN(ratio) ? cpu('Palisade', 16).toFixed(0) : ratio.toFixed(2)} ${
      Number.isNaN(ratio) ? 'µs CPU a call' : 'x Envoy'
    } at 16 calls at once`,
  );
}
