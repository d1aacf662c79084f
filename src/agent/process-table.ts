import { readFileSync, readlinkSync } from 'node:fs';

/** What the kernel tells of a running process. */
export type ProcessInfo = {
  readonly pid: number;
  readonly parentPid: number;
  /** Clock ticks since boot; with the pid it names a process for good. */
  readonly startTime: number;
};

/** The processes of this machine: /proc, or a test's. */
export type ProcessTable = {
  /** Undefined if there is no such process. */
  readonly read: (pid: number) => ProcessInfo | undefined;
  /** The executable's path, undefined where it may not be read or means nothing here (another mount namespace). */
  readonly executable: (pid: number) => string | undefined;
  /** Differs after each boot. */
  readonly bootId: () => string;
};

/** Reads /proc. */
export function createProcessTable(root = '/proc'): ProcessTable {
  const ownMounts = readLink(`${root}/self/ns/mnt`);
  return {
    read(pid) {
      const stat = readText(`${root}/${pid}/stat`);
      return stat === undefined ? undefined : parseStat(stat);
    },
    executable(pid) {
      // SECURITY: in a container `/usr/bin/psql` is whatever its image calls so.
      if (readLink(`${root}/${pid}/ns/mnt`) !== ownMounts) return undefined;
      return readLink(`${root}/${pid}/exe`);
    },
    bootId: () => readText(`${root}/sys/kernel/random/boot_id`)?.trim() ?? '',
  };
}

/** Parses /proc/PID/stat (proc(5)); undefined if it is not one. */
export function parseStat(text: string): ProcessInfo | undefined {
  // SECURITY: field 2 is a name the process chose, and it may hold spaces and parentheses: the last one ends it.
  const nameEnd = text.lastIndexOf(')');
  const pid = Number(text.slice(0, text.indexOf(' ')));
  // Fields 3 (state), 4 (ppid) … 22 (starttime).
  const fields = text.slice(nameEnd + 2).split(' ');
  const parentPid = Number(fields[1]);
  const startTime = Number(fields[19]);
  const isGood = [pid, parentPid, startTime].every((value) => Number.isSafeInteger(value));
  if (nameEnd < 0 || !isGood || fields.length < 20 || pid <= 0) return undefined;
  return { pid, parentPid, startTime };
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    // The process is gone, or its files are not ours to read.
    return undefined;
  }
}

function readLink(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    // As above.
    return undefined;
  }
}
