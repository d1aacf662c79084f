// CPU per request of a Palisade pair against a HAProxy mTLS pair and an Envoy mTLS pair, all as real processes.
import { execFileSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { cpuUs, median, missingPrograms, type Pair, rssMb, startPairs } from './pairs.ts';

const CONNECTIONS = [1, 16, 64];
const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 3);
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 3);

type Sample = {
  readonly cpuUs: number;
  readonly p50Us: number;
  readonly rate: number;
  readonly rssMb: readonly number[];
};

/** Runs the benchmark and prints its table. */
export default async function run(): Promise<void> {
  const missing = missingPrograms();
  if (missing.length > 0) {
    console.log(
      `sidecar skipped: ${missing.join(', ')} not found (Debian packages of these names)`,
    );
    return;
  }
  const { pairs, close } = await startPairs();
  try {
    report(pairs, await measureAll(pairs));
  } finally {
    await close();
  }
}

async function measureAll(pairs: readonly Pair[]): Promise<Map<string, Sample[]>> {
  const samples = new Map<string, Sample[]>();
  for (const pair of pairs) measure(pair, 16, 2);
  // Fewest first: what a proxy's memory grew to under many connections stays.
  for (const connections of CONNECTIONS) {
    for (let round = 0; round < ROUNDS; round++) {
      // In turns, so that noise of the machine falls on all alike.
      for (const pair of pairs) {
        const key = `${pair.name} ${connections}`;
        samples.set(key, [...(samples.get(key) ?? []), measure(pair, connections, SECONDS)]);
        await sleep(100);
      }
    }
  }
  return samples;
}

function measure(pair: Pair, connections: number, seconds: number): Sample {
  // Connections and their handshakes first: what is measured is requests.
  load(pair, connections, 1);
  const before = cpuUs(pair);
  const text = load(pair, connections, seconds);
  const requests = Number(/(\d+) requests in/.exec(text)?.[1] ?? 0);
  const failed = /Non-2xx or 3xx responses: (\d+)|Socket errors: (.*)/.exec(text);
  if (failed !== null) throw new Error(`${pair.name} failed under load: ${failed[0]}`);
  const [, p50 = '0', unit] = /50%\s+([\d.]+)(us|ms)/.exec(text) ?? [];
  return {
    cpuUs: (cpuUs(pair) - before) / requests,
    p50Us: Number(p50) * (unit === 'ms' ? 1000 : 1),
    rate: requests / seconds,
    rssMb: rssMb(pair),
  };
}

function load(pair: Pair, connections: number, seconds: number): string {
  const args = ['-t1', `-c${connections}`, `-d${seconds}s`, '--latency', '-H', 'Host: orders'];
  return execFileSync('wrk', [...args, `http://127.0.0.1:${pair.port}/`], { encoding: 'utf8' });
}

function report(pairs: readonly Pair[], samples: ReadonlyMap<string, Sample[]>): void {
  const of = (name: string, connections: number, figure: (sample: Sample) => number): number =>
    median((samples.get(`${name} ${connections}`) ?? []).map(figure));
  const cpu = (name: string, connections: number): number =>
    of(name, connections, (sample) => sample.cpuUs);
  console.table(
    pairs.flatMap(({ name, pids }) =>
      CONNECTIONS.map((connections) => ({
        pair: name,
        connections,
        'CPU µs/request': Math.round(cpu(name, connections)),
        'Palisade is ×': (cpu('Palisade', connections) / cpu(name, connections)).toFixed(2),
        'p50 µs': Math.round(of(name, connections, (sample) => sample.p50Us)),
        'requests/s': Math.round(of(name, connections, (sample) => sample.rate)),
        'RSS MB (each)': pids
          .map((_, at) => of(name, connections, (sample) => sample.rssMb[at] ?? Number.NaN))
          .join(' + '),
      })),
    ),
  );
  const ratio = (name: string): string => (cpu('Palisade', 16) / cpu(name, 16)).toFixed(2);
  if (pairs.some(({ name }) => name === 'Envoy'))
    console.log(`${ratio('Envoy')} x Envoy at 16 connections`);
  console.log(`sidecar ${ratio('HAProxy')} x HAProxy at 16 connections`);
}
