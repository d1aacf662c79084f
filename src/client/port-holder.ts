import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** A process that listens on a port. */
export type PortHolder = { readonly pid: number; readonly command: string };

const LISTENING = '0A';

/** Which process listens on TCP `port` of this machine, as far as /proc shows it to this user. */
export function findPortHolder(port: number): PortHolder | undefined {
  const inodes = new Set(
    ['/proc/net/tcp', '/proc/net/tcp6'].flatMap((file) => listeningInodes(file, port)),
  );
  if (inodes.size === 0) return undefined;
  for (const entry of readdirSync('/proc')) {
    if (/^\d+$/.test(entry) && holdsOneOf(Number(entry), inodes))
      return { pid: Number(entry), command: commandOf(Number(entry)) };
  }
  return undefined;
}

// proc(5): local_address is HEXIP:HEXPORT in column 1, the state in 3, the socket's inode in 9.
function listeningInodes(file: string, port: number): string[] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const rows = readOrEmpty(file).trim().split('\n').slice(1);
  return rows
    .map((row) => row.trim().split(/\s+/))
    .filter((columns) => columns[1]?.endsWith(suffix) && columns[3] === LISTENING)
    .flatMap((columns) => (columns[9] === undefined ? [] : [columns[9]]));
}

function holdsOneOf(pid: number, inodes: ReadonlySet<string>): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => {
      const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1];
      return inode !== undefined && inodes.has(inode);
    });
  } catch {
    // Another user's process, or one that ended meanwhile.
    return false;
  }
}

function commandOf(pid: number): string {
  return readOrEmpty(`/proc/${pid}/cmdline`).split('\0').join(' ').trim().slice(0, 120);
}

function readOrEmpty(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    // The process ended, or this kernel has no IPv6.
    return '';
  }
}
