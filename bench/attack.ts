// How long fresh requests on other connections take while one connection after another floods the same sidecar with 20,000
// frames of HTTP/2, all as real processes; beside it the same for HAProxy and Envoy, and for a sidecar that is asked while
// another one is flooded. A request is sent every few milliseconds whether those before have been answered or not, and those
// count that were under way while a flood's connection was there or just after. The sidecar has been flooded before: what code
// costs that V8 has not compiled yet is not what is measured, and a sidecar lives for days. BENCH_TIMES floods of each kind;
// BENCH_FLOODS and BENCH_TARGETS name some of them, with commas between.
import { spawn } from 'node:child_process';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { FRAME } from '../src/protocol/http2/frames.ts';
import { block, HELLO, headers } from '../src/protocol/http2/raw-frames.ts';
import { FLOODS } from '../test/system/http2-floods.ts';
import type { Sent } from './attack-sender.ts';
import { startTargets, type Target } from './attack-targets.ts';
import { quantile } from './quantile.ts';

const SENDER = fileURLToPath(new URL('attack-sender.ts', import.meta.url));
const TIMES = Number(process.env['BENCH_TIMES'] ?? 60);
/** Each target is flooded so often before the next one's turn. */
const A_ROUND = 20;
/** Floods of each kind before anything is measured: code that is compiled is what a sidecar runs. Peers come compiled. */
const WARM_TIMES = 30;
const WARM_PEER_TIMES = 2;
const PAUSE_MS = 40;
const EVERY_MS = 5;
/** What a flood leaves behind is cleared away within this. */
const AFTER_MS = 20;
const QUIET_MS = 2_000;
const GIVE_UP_MS = 2_000;
const NAMES = process.env['BENCH_FLOODS']?.split(',') ?? Object.keys(FLOODS);
const ONLY = process.env['BENCH_TARGETS']?.split(',');
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
  const { targets: all, close } = await startTargets();
  const targets = all.filter(({ name }) => ONLY?.includes(name) ?? true);
  try {
    for (const target of targets) await warm(target);
    const worst: Seen[] = [];
    for (const name of ['nothing', ...NAMES]) {
      const seen = await compare(targets, name);
      console.table(seen.map((each) => row(name, each, p99Of(seen, 'HAProxy'))));
      if (name !== 'nothing' && seen[0] !== undefined) worst.push(seen[0]);
    }
    const p99 = Math.max(...worst.map(({ tookMs }) => quantile(tookMs, 0.99)));
    console.log(`attack ${p99.toFixed(1)} ms p99 of fresh requests during the worst flood`);
  } finally {
    await close();
  }
}

/** What fresh requests to one target took during one flood. */
type Seen = { readonly target: Target; readonly tookMs: readonly number[]; readonly ended: number };
type Row = Readonly<Record<string, string | number>>;

/** All targets in turns. */
async function compare(targets: readonly Target[], name: string): Promise<readonly Seen[]> {
  const seen = targets.map((target) => ({ target, tookMs: [] as number[], ended: 0 }));
  if (name === 'nothing') {
    for (const { target, tookMs } of seen) tookMs.push(...(await quiet(target.askedPort)));
    return seen;
  }
  for (let done = 0; done < TIMES; done += A_ROUND) {
    for (const each of seen) {
      const { tookMs, ended } = await during(each.target, name, Math.min(A_ROUND, TIMES - done));
      each.tookMs.push(...tookMs);
      each.ended += ended;
    }
  }
  return seen;
}

/** NaN where that target was left out. */
function p99Of(seen: readonly Seen[], name: Target['name']): number {
  return quantile(seen.find(({ target }) => target.name === name)?.tookMs ?? [], 0.99);
}

function row(name: string, { target, tookMs, ended }: Seen, haproxyP99: number): Row {
  const at = (q: number): string => quantile(tookMs, q).toFixed(1);
  return {
    during: name,
    'on and asked': target.name,
    'connections ended': name === 'nothing' ? '-' : `${ended} of ${TIMES}`,
    requests: tookMs.length,
    'p50 ms': at(0.5),
    'p90 ms': at(0.9),
    'p99 ms': at(0.99),
    '× HAProxy': (quantile(tookMs, 0.99) / haproxyP99).toFixed(1),
    'worst ms': Math.max(...tookMs).toFixed(1),
    'over 10 ms': tookMs.filter((ms) => ms > 10).length,
  };
}

async function warm(target: Target): Promise<void> {
  while ((await ask(target.askedPort)) >= GIVE_UP_MS) await sleep(200);
  while ((await ask(target.floodedPort)) >= GIVE_UP_MS) await sleep(200);
  for (let i = 0; i < 500; i++) await ask(target.floodedPort);
  if (target.floodedPort !== target.askedPort)
    for (let i = 0; i < 500; i++) await ask(target.askedPort);
  // By turns: what one flood taught the compiler the next one unteaches.
  const times = target.name.endsWith('Palisade') ? WARM_TIMES : WARM_PEER_TIMES;
  await during(target, NAMES.join(','), times * NAMES.length);
}

type Asked = { readonly from: number; readonly tookMs: number };

async function quiet(port: number): Promise<readonly number[]> {
  const until = now() + QUIET_MS;
  const asked = await askUntil(port, () => now() > until);
  return asked.map(({ tookMs }) => tookMs);
}

async function during(
  { floodedPort, askedPort }: Target,
  name: string,
  times: number,
): Promise<{ readonly tookMs: readonly number[]; readonly ended: number }> {
  const args = [SENDER, `${floodedPort}`, name, `${times}`, `${PAUSE_MS}`];
  const sender = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let printed = '';
  let isOver = false;
  sender.stdout.on('data', (chunk: Buffer) => {
    printed += chunk.toString();
  });
  sender.once('close', () => {
    isOver = true;
  });
  const asked = await askUntil(askedPort, () => isOver);
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
    const end = (tookMs: number): void => {
      clearTimeout(limit);
      resolve(tookMs);
      socket.destroy();
    };
    const limit = setTimeout(() => end(GIVE_UP_MS), GIVE_UP_MS);
    socket.on('data', (chunk: Buffer) => {
      seen = Buffer.concat([seen, chunk]);
      if (hasHead(seen)) end(performance.now() - startedAt);
    });
    // One that is not answered counts as one that took as long as anybody waits.
    socket.on('error', () => end(GIVE_UP_MS));
    socket.on('end', () => end(GIVE_UP_MS));
    socket.write(Buffer.concat([HELLO, headers(1, SMALL)]));
  });
}

function hasHead(bytes: Buffer): boolean {
  for (let at = 0; at + 9 <= bytes.length; at += 9 + bytes.readUIntBE(at, 3)) {
    if (bytes[at + 3] === FRAME.HEADERS) return true;
  }
  return false;
}
