// How long fresh requests on other connections take while one connection after another floods the same sidecar with 20,000
// frames of HTTP/2, all as real processes. A request is sent every few milliseconds whether those before have been answered
// or not, and those count that were under way while a flood's connection was there or just after. The sidecar has been
// flooded before: what code costs that V8 has not compiled yet is not what is measured, and a sidecar lives for days.
import { spawn } from 'node:child_process';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { FRAME } from '../src/protocol/http2/frames.ts';
import { block, HELLO, headers } from '../src/protocol/http2/raw-frames.ts';
import { FLOODED_SERVICE, FLOODS } from '../test/system/http2-floods.ts';
import { freePort, startTestMesh } from '../test/system/mesh.ts';
import type { Sent } from './attack-sender.ts';
import { quantile } from './quantile.ts';

const SENDER = fileURLToPath(new URL('attack-sender.ts', import.meta.url));
const APPLICATION = fileURLToPath(new URL('../test/system/big-answers.js', import.meta.url));
const TIMES = Number(process.env['BENCH_TIMES'] ?? 60);
const PAUSE_MS = 40;
const EVERY_MS = 5;
/** What a flood leaves behind is cleared away within this. */
const AFTER_MS = 20;
const QUIET_MS = 2_000;
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
    for (const name of Object.keys(FLOODS)) await during(port, name, 10);
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
    'p90 ms': at(0.9),
    'p99 ms': at(0.99),
    'worst ms': Math.max(...tookMs).toFixed(1),
    'over 10 ms': tookMs.filter((ms) => ms > 10).length,
  };
}

type Asked = { readonly from: number; readonly tookMs: number };

async function quiet(port: number): Promise<readonly number[]> {
  const until = now() + QUIET_MS;
  const asked = await askUntil(port, () => now() > until);
  return asked.map(({ tookMs }) => tookMs);
}

async function during(
  port: number,
  name: string,
  times: number,
): Promise<{ readonly tookMs: readonly number[]; readonly ended: number }> {
  const sender = spawn(process.execPath, [SENDER, `${port}`, name, `${times}`, `${PAUSE_MS}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let printed = '';
  let isOver = false;
  sender.stdout.on('data', (chunk: Buffer) => {
    printed += chunk.toString();
  });
  sender.once('close', () => {
    isOver = true;
  });
  const asked = await askUntil(port, () => isOver);
  const { ended, spans }: Sent = JSON.parse(printed);
  const during = asked.filter(({ from, tookMs }) =>
    spans.some(([begun, over]) => from < over + AFTER_MS && from + tookMs > begun),
  );
  return { tookMs: during.map(({ tookMs }) => tookMs), ended };
}

/** A request every few milliseconds. */
async function askUntil(port: number, isOver: () => boolean): Promise<readonly Asked[]> {
  const asked: Promise<Asked>[] = [];
  while (!isOver()) {
    const from = now();
    asked.push(ask(port).then((tookMs) => ({ from, tookMs })));
    await sleep(EVERY_MS);
  }
  return Promise.all(asked);
}

function now(): number {
  return performance.timeOrigin + performance.now();
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
