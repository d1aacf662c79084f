// CPU per byte of a pair of sidecars: answers of 1 MiB on kept connections, and one stream of 1 GiB.
import { execFileSync } from 'node:child_process';
import { connect } from 'node:net';
import { cpuUs, median, missingPrograms, type Pair, rssMb, startPairs } from './pairs.ts';

const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 3);
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 3);
const MIB = 1024 * 1024;

/** Runs the benchmark and prints its table. */
export default async function run(): Promise<void> {
  const missing = missingPrograms();
  if (missing.length > 0) {
    console.log(`bulk skipped: ${missing.join(', ')} not found (Debian packages)`);
    return;
  }
  const { pairs, close } = await startPairs();
  try {
    const bodies = new Map<string, number[]>();
    const streams = new Map<string, number[]>();
    for (let round = 0; round < ROUNDS; round++) {
      // In turns, so that noise of the machine falls on all alike.
      for (const pair of pairs) add(bodies, pair.name, measureBodies(pair));
      for (const pair of pairs) add(streams, pair.name, await measureStream(pair));
    }
    report(pairs, bodies, streams);
  } finally {
    await close();
  }
}

function add(to: Map<string, number[]>, name: string, value: number): void {
  to.set(name, [...(to.get(name) ?? []), value]);
}

/** CPU µs a MiB. */
function measureBodies(pair: Pair): number {
  const args = ['-t1', '-c8', `-d${SECONDS}s`, '-H', 'Host: orders'];
  const before = cpuUs(pair);
  const text = execFileSync('wrk', [...args, `http://127.0.0.1:${pair.port}/large`], {
    encoding: 'utf8',
  });
  if (/Non-2xx/.test(text)) throw new Error(`${pair.name} failed: ${text}`);
  return (cpuUs(pair) - before) / Number(/(\d+) requests in/.exec(text)?.[1] ?? 0);
}

/** CPU µs a MiB. */
async function measureStream(pair: Pair): Promise<number> {
  const before = cpuUs(pair);
  const bytes = await new Promise<number>((resolve, reject) => {
    let count = 0;
    const socket = connect({
      port: pair.port,
      host: '127.0.0.1',
      onread: { buffer: BUFFER, callback },
    });
    function callback(size: number): boolean {
      count += size;
      return true;
    }
    socket.write('GET /huge HTTP/1.1\r\nHost: orders\r\nConnection: close\r\n\r\n');
    socket.on('end', () => resolve(count));
    socket.on('error', reject);
  });
  if (bytes < 1024 * MIB) throw new Error(`${pair.name} gave ${bytes} bytes`);
  return (cpuUs(pair) - before) / (bytes / MIB);
}

const BUFFER = Buffer.alloc(256 * 1024);

function report(
  pairs: readonly Pair[],
  bodies: ReadonlyMap<string, readonly number[]>,
  streams: ReadonlyMap<string, readonly number[]>,
): void {
  const of = (samples: ReadonlyMap<string, readonly number[]>, name: string): number =>
    median(samples.get(name) ?? []);
  const ratio = (samples: ReadonlyMap<string, readonly number[]>, name: string): string =>
    (of(samples, 'Palisade') / of(samples, name)).toFixed(2);
  console.table(
    pairs.map((pair) => ({
      pair: pair.name,
      '1 MiB answers, CPU µs/MiB': Math.round(of(bodies, pair.name)),
      'Palisade is × ': ratio(bodies, pair.name),
      '1 GiB stream, CPU µs/MiB': Math.round(of(streams, pair.name)),
      'Palisade is ×': ratio(streams, pair.name),
      'RSS MB (each)': rssMb(pair).join(' + '),
    })),
  );
  console.log(`bulk ${ratio(bodies, 'HAProxy')} x HAProxy's CPU per byte`);
}
