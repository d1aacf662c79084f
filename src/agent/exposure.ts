import { readFileSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { createScheduler, type Scheduler } from './timer.ts';

/** Watches where a workload's application listens besides loopback. */
export type ExposureWatch = {
  /** `HOST:PORT` of each address by which it can be reached without its sidecar, sorted. */
  readonly current: () => readonly string[];
  readonly stop: () => void;
};

/** The kernel's tables of TCP sockets of this network namespace; empty where they cannot be read. */
export type SocketTables = { readonly tcp: string; readonly tcp6: string };

// Listening sockets stand first in the tables, which grow with connections.
const MAX_BYTES = 1024 * 1024;
const LOOK_EVERY_MS = 10_000;
const LISTENING = '0A';

/** Reads /proc/net/tcp and tcp6. */
export function readSocketTables(): SocketTables {
  return { tcp: readTable('/proc/net/tcp'), tcp6: readTable('/proc/net/tcp6') };
}

/** Looks again and again; `onChange` is called when the addresses are others than before. */
export function watchExposure(options: {
  /** Ports of the application now. */
  readonly ports: () => ReadonlySet<number>;
  readonly tables: () => SocketTables;
  readonly scheduler?: Scheduler;
  readonly onChange: () => void;
}): ExposureWatch {
  const { ports, tables, scheduler = createScheduler(), onChange } = options;
  let current: readonly string[] = [];
  let cancel: () => void;
  const look = (): void => {
    const found = exposedAddresses(tables(), ports());
    const isNew = found.join() !== current.join();
    current = found;
    if (isNew) onChange();
    cancel = scheduler.after(LOOK_EVERY_MS, look);
  };
  // The application starts after its sidecar.
  cancel = scheduler.after(1_000, look);
  return { current: () => current, stop: () => cancel() };
}

/**
 * Addresses other than loopback at which something listens on one of `ports`: whoever reaches them
 * goes around the sidecar and its policy. Bounded; sorted.
 */
export function exposedAddresses(
  { tcp, tcp6 }: SocketTables,
  ports: ReadonlySet<number>,
): readonly string[] {
  const found = new Set<string>();
  for (const table of [tcp, tcp6]) {
    for (const line of table.split('\n')) {
      const [, local = '', , state] = line.trim().split(/\s+/);
      const match = /^([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4})$/.exec(local);
      if (match === null || state !== LISTENING) continue;
      const port = Number.parseInt(match[2] ?? '', 16);
      const ip = addressOf(match[1] ?? '');
      if (ports.has(port) && !isLoopback(ip))
        found.add(isIPv6(ip) ? `[${ip}]:${port}` : `${ip}:${port}`);
    }
  }
  return [...found].sort().slice(0, MAX_ADDRESSES);
}

const MAX_ADDRESSES = 16;

// Words of four bytes, each as the machine keeps numbers; all machines we run on keep the lowest first.
function addressOf(hex: string): string {
  const bytes = Buffer.from(hex, 'hex');
  for (let word = 0; word < bytes.length; word += 4) bytes.subarray(word, word + 4).reverse();
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.subarray(0, 12).equals(MAPPED)) return bytes.subarray(12).join('.');
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i).toString(16));
  const text = groups.join(':');
  return text === '0:0:0:0:0:0:0:0' ? '::' : text === '0:0:0:0:0:0:0:1' ? '::1' : text;
}

const MAPPED = Buffer.from('00000000000000000000ffff', 'hex');

function isLoopback(ip: string): boolean {
  return ip === '::1' || ip.startsWith('127.');
}

function readTable(path: string): string {
  try {
    return readFileSync(path, 'latin1').slice(0, MAX_BYTES);
  } catch {
    // No /proc, or no IPv6: then nothing can be said.
    return '';
  }
}
