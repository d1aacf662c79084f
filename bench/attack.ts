// How long fresh requests on other connections take while one connection after another floods the same sidecar with 20,000
// frames of HTTP/2, all as real processes.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { FRAME } from '../src/protocol/http2/frames.ts';
import { block, HELLO, headers } from '../src/protocol/http2/raw-frames.ts';
import { FLOODED_SERVICE, FLOODS } from '../test/system/http2-floods.ts';
import { freePort, startTestMesh } from '../test/system/mesh.ts';
import { quantile } from './quantile.ts';

const SENDER = fileURLToPath(new URL('attack-sender.ts', import.meta.url));
const APPLICATION = fileURLToPath(new URL('../test/system/big-answers.js', import.meta.url));
const TIMES = Number(process.env['BENCH_TIMES'] ?? 20);
const PAUSE_MS = 60;
const EVERY_MS = 5;
const SMALL = block([
  ':method',
  'GET',
  ':scheme',
  'http',
  ':path',
  '/small',
  ':authority',
  'orders',
]);

/** Runs the benchmark and prints its table. */
export default async function run(): Promise<void> {
  const mesh = await startTestMesh();
  try {
    await mesh.run('orders', [process.execPath, APPLICATION]);
    const port = await freePort();
    await mesh.run('web', ['sleep', '3600'], ['--upstream', `orders=${port}`]);
    await mesh.apply(FLOODED_SERVICE);
    while ((await ask(port)) > 1_000) await sleep(200);
    // Compiled code is what a sidecar runs.
    for (let i = 0; i < 500; i++) await ask(port);
    for (const name of Object.keys(FLOODS)) await during(port, name, 3);
    const rows = [row('nothing', '-', await quiet(port))];
    for (const name of Object.keys(FLOODS)) {
      const { tookMs, ended } = await during(port, name, TIMES);
      rows.push(row(name, `${ended} of ${TIMES}`, tookMs));
    }
    console.table(rows);
    const worst = Math.max(...rows.slice(1).map((each) => Number(each['p99 ms'])));
    console.log(`attack ${worst.toFixed(1)} ms p99 of fresh requests during the worst flood`);
  } finally {
    await mesh.close();
  }
}

type Row = Readonly<Record<string, string | number>>;

function row(name: string, ended: string, tookMs: readonly number[]): Row {
  const at = (q: number): string => quantile(tookMs, q).toFixed(1);
  return {
    during: name,
    'connections ended': ended,
    requests: tookMs.length,
    'p50 ms': at(0.5),
    'p99 ms': at(0.99),
    'worst ms': Math.max(...tookMs).toFixed(1),
    'over 10 ms': tookMs.filter((ms) => ms > 10).length,
  };
}

async function quiet(port: number): Promise<number[]> {
  const tookMs: number[] = [];
  for (let i = 0; i < 300; i++) {
    tookMs.push(await ask(port));
    await sleep(EVERY_MS);
  }
  return tookMs;
}

async function during(
  port: number,
  name: string,
  times: number,
): Promise<{ readonly tookMs: number[]; readonly ended: string }> {
  const sender = spawn(process.execPath, [SENDER, `${port}`, name, `${times}`, `${PAUSE_MS}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let ended: string | undefined;
  sender.stdout.on('data', (chunk: Buffer) => {
    ended = chunk.toString().trim();
  });
  const over = once(sender, 'exit');
  // Its start is not the attack.
  await sleep(400);
  const tookMs: number[] = [];
  while (ended === undefined) {
    tookMs.push(await ask(port));
    await sleep(EVERY_MS);
  }
  await over;
  return { tookMs, ended };
}

/** Milliseconds from the opening of a connection to the head of the answer on it. */
function ask(port: number): Promise<number> {
  return new Promise((resolve) => {
    const startedAt = performance.now();
    let seen = Buffer.alloc(0);
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    socket.on('data', (chunk: Buffer) => {
      seen = Buffer.concat([seen, chunk]);
      if (!hasHead(seen)) return;
      resolve(performance.now() - startedAt);
      socket.destroy();
    });
    socket.on('error', () => resolve(Number.POSITIVE_INFINITY));
    socket.write(Buffer.concat([HELLO, headers(1, SMALL)]));
  });
}

function hasHead(bytes: Buffer): boolean {
  for (let at = 0; at + 9 <= bytes.length; at += 9 + bytes.readUIntBE(at, 3)) {
    if (bytes[at + 3] === FRAME.HEADERS) return true;
  }
  return false;
}
