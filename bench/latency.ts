// What a pair of sidecars adds to the time of a request, at few connections: where nothing waits but the call itself.
import { execFileSync } from 'node:child_process';
import { median, missingPrograms, startPairs } from './pairs.ts';

const CONNECTIONS = [1, 8];
const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 5);
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 2);
// A sidecar lives for weeks: its first seconds, while V8 compiles, are not what is measured here.
const WARM_SECONDS = Number(process.env['BENCH_WARM_SECONDS'] ?? 10);

type Sample = { readonly p50Us: number; readonly p99Us: number };

/** Runs the benchmark and prints its table. */
export default async function run(): Promise<void> {
  const missing = missingPrograms();
  if (missing.length > 0) {
    console.log(`latency skipped: ${missing.join(', ')} not found (Debian packages)`);
    return;
  }
  const { pairs, appPort, close } = await startPairs();
  try {
    const targets = [{ name: 'direct', port: appPort }, ...pairs];
    const samples = new Map<string, Sample[]>();
    for (const { port } of targets) measure(port, 8, WARM_SECONDS);
    for (let round = 0; round < ROUNDS; round++) {
      for (const connections of CONNECTIONS) {
        // In turns, so that noise of the machine falls on all alike.
        for (const { name, port } of targets) {
          const key = `${name} ${connections}`;
          samples.set(key, [...(samples.get(key) ?? []), measure(port, connections, SECONDS)]);
        }
      }
    }
    report(
      targets.map(({ name }) => name),
      samples,
    );
  } finally {
    await close();
  }
}

function measure(port: number, connections: number, seconds: number): Sample {
  const args = ['-t1', `-c${connections}`, `-d${seconds}s`, '--latency', '-H', 'Host: orders'];
  const text = execFileSync('wrk', [...args, `http://127.0.0.1:${port}/`], { encoding: 'utf8' });
  const quantile = (name: string): number => {
    const [, value = '0', unit] = new RegExp(`${name}%\\s+([\\d.]+)(us|ms)`).exec(text) ?? [];
    return Number(value) * (unit === 'ms' ? 1000 : 1);
  };
  return { p50Us: quantile('50'), p99Us: quantile('99') };
}

function report(names: readonly string[], samples: ReadonlyMap<string, readonly Sample[]>): void {
  const of = (name: string, connections: number, field: keyof Sample): number =>
    median((samples.get(`${name} ${connections}`) ?? []).map((sample) => sample[field]));
  const added = (name: string, connections: number): number =>
    of(name, connections, 'p50Us') - of('direct', connections, 'p50Us');
  console.table(
    CONNECTIONS.flatMap((connections) =>
      names.map((name) => ({
        connections,
        through: name,
        'p50 µs': Math.round(of(name, connections, 'p50Us')),
        'p99 µs': Math.round(of(name, connections, 'p99Us')),
        'added p50 µs': Math.round(added(name, connections)),
        'Palisade adds ×': (added('Palisade', connections) / added(name, connections)).toFixed(2),
        "Palisade's p99 ×": (
          of('Palisade', connections, 'p99Us') / of(name, connections, 'p99Us')
        ).toFixed(2),
      })),
    ),
  );
  const other = names.includes('Envoy') ? 'Envoy' : 'HAProxy';
  const ratio = (added('Palisade', 1) / added(other, 1)).toFixed(2);
  console.log(`latency ${ratio} x ${other}'s added p50 at 1 connection`);
}
