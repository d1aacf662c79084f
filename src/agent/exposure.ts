import { open } from 'node:fs/promises';
import { isIPv6 } from 'node:net';
import { join } from 'node:path';
import type { Scheduler } from '#lib';
import { createScheduler } from './timer.ts';

/** Watches where a workload's application listens besides loopback. */
export type ExposureWatch = {
  /** `HOST:PORT` of each address by which it can be reached without its sidecar, sorted. */
  readonly current: () => readonly string[];
  readonly stop: () => void;
};

/** The kernel's tables of TCP sockets of this network namespace; empty where they cannot be read. */
export type SocketTables = { readonly tcp: string; readonly tcp6: string };

const MAX_BYTES = 1024 * 1024;
/** The kernel gives no more at once. */
const PART_BYTES = 4096;
/** An entry in another state than LISTEN: number, local and remote address, state. */
const NOT_LISTENING = /^ *\d+: [0-9A-F]+:[0-9A-F]{4} [0-9A-F]+:[0-9A-F]{4} (?!0A)[0-9A-F]{2} /m;
const LOOK_EVERY_MS = 10_000;
const LISTENING = '0A';

/** Reads `tcp` and `tcp6` of `folder`, in which listening sockets stand first, as far as those go. */
export async function readSocketTables(folder = '/proc/net'): Promise<SocketTables> {
  const tcp = await readTable(join(folder, 'tcp'));
  return { tcp, tcp6: await readTable(join(folder, 'tcp6')) };
}

/** Looks again and again; `onChange` is called when the addresses are others than before. */
export function watchExposure(options: {
  /** Ports of the application now. */
  readonly ports: () => ReadonlySet<number>;
  readonly tables: () => Promise<SocketTables>;
  readonly scheduler?: Scheduler;
  readonly onChange: () => void;
}): ExposureWatch {
  const { ports, tables, scheduler = createScheduler(), onChange } = options;
  let current: readonly string[] = [];
  let hasStopped = false;
  let cancel: () => void;
  const look = async (): Promise<void> => {
    const found = exposedAddresses(await tables(), ports());
    if (hasStopped) return;
    const isNew = found.join() !== current.join();
    current = found;
    if (isNew) onChange();
    cancel = scheduler.after(LOOK_EVERY_MS, () => void look());
  };
  // The application starts after its sidecar.
  cancel = scheduler.after(1_000, () => void look());
  const stop = (): void => {
    hasStopped = true;
    cancel();
  };
  return { current: () => current, stop };
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

// Connections and what remains of them come behind the listening sockets (proc_net_tcp of the kernel's documentation), and there
// may be tens of thousands. Not read in this thread: the kernel looks through all of its table for the IPv6 sockets, which takes
// as long as some requests even where there are none.
async function readTable(path: string): Promise<string> {
  const part = Buffer.allocUnsafe(PART_BYTES);
  let text = '';
  try {
    await using file = await open(path);
    while (text.length < MAX_BYTES && !NOT_LISTENING.test(text.slice(-2 * PART_BYTES))) {
      const { bytesRead } = await file.read(part, 0, PART_BYTES, null);
      if (bytesRead === 0) break;
      text += part.toString('latin1', 0, bytesRead);
    }
  } catch {
    // No /proc, or no IPv6: then nothing can be said.
  }
  return text;
}
