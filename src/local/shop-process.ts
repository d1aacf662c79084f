import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { writeFileDurably } from './private-file.ts';
import { startTicksOf } from './process-lock.ts';

/** One program of the demo shop under `palisade run`, by this process or by one before it that was killed. */
export type ShopProcess = {
  readonly service: string;
  readonly pid: number;
  /** Tells the process from a later one with its pid. */
  readonly startTicks: string;
};

const STOP_LIMIT_MS = 10_000;
const POLL_MS = 50;

/** Those written down at `path` that still run: a demo that was killed leaves its shop behind, serving. */
export function findShop(path: string): readonly ShopProcess[] {
  try {
    const left = JSON.parse(readFileSync(path, 'utf8')) as readonly ShopProcess[];
    return left.filter(isAlive);
  } catch {
    // None was written down, or not completely: then nobody is known.
    return [];
  }
}

/** Writes down who runs, for whoever comes after. */
export function noteShop(path: string, shop: readonly ShopProcess[]): void {
  writeFileDurably(path, JSON.stringify(shop));
}

/** Starts `command` as `service`, its output to the file descriptor `log`. */
export function startShopProcess(
  service: string,
  command: readonly string[],
  log: number,
): ShopProcess {
  const [file = '', ...args] = command;
  // A group of its own, so that Ctrl-C reaches `up` alone, which ends the shop in order.
  const { pid = 0 } = spawn(file, args, { stdio: ['ignore', log, log], detached: true });
  return { service, pid, startTicks: startTicksOf(pid) ?? '' };
}

/** Ends it; resolves when it is gone. */
export async function stopShopProcess(shop: ShopProcess): Promise<void> {
  const deadline = performance.now() + STOP_LIMIT_MS;
  for (let signal: NodeJS.Signals | 0 = 'SIGTERM'; isAlive(shop); signal = 0) {
    send(shop.pid, performance.now() > deadline ? 'SIGKILL' : signal);
    await delay(POLL_MS);
  }
}

function send(pid: number, signal: NodeJS.Signals | 0): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It ended by itself just now.
  }
}

function isAlive({ pid, startTicks }: ShopProcess): boolean {
  return pid > 1 && startTicks !== '' && startTicksOf(pid) === startTicks;
}
