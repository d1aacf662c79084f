import { createHash } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { open } from 'node:fs/promises';

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
  /** SHA-256 of the executable in hex; undefined where it may not be read. */
  readonly executableDigest: (pid: number) => Promise<string | undefined>;
  /** Groups besides the one that the process acts as. */
  readonly supplementaryGroups: (pid: number) => readonly number[];
  /** Paths of its control groups, one a hierarchy (cgroups(7)). */
  readonly cgroups: (pid: number) => readonly string[];
  /** Differs after each boot. */
  readonly bootId: () => string;
};

/** Reads /proc. */
export function createProcessTable(root = '/proc'): ProcessTable {
  const ownMounts = readLink(`${root}/self/ns/mnt`);
  const digests: Digests = new Map();
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
    executableDigest: (pid) => digestFile(`${root}/${pid}/exe`, digests),
    supplementaryGroups(pid) {
      const [, groups = ''] = /^Groups:(.*)$/m.exec(readText(`${root}/${pid}/status`) ?? '') ?? [];
      return groups.split(' ').flatMap((part) => (/^\s*\d+$/.test(part) ? [Number(part)] : []));
    },
    cgroups(pid) {
      const text = readText(`${root}/${pid}/cgroup`) ?? '';
      // `HIERARCHY:CONTROLLERS:PATH`; the path may hold colons.
      return text.split('\n').flatMap((line) => /^\d+:[^:]*:(\/.*)$/.exec(line)?.[1] ?? []);
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

type Digests = Map<string, string>;

const MAX_DIGESTS = 1000;

/** Digest of a file, kept as long as the file is the same one, unchanged. */
async function digestFile(path: string, known: Digests): Promise<string | undefined> {
  try {
    await using file = await open(path);
    const { dev, ino, size, ctimeNs } = await file.stat({ bigint: true });
    // SECURITY: the time of change, which no system call sets, not that of modification.
    const name = `${dev}:${ino}:${size}:${ctimeNs}`;
    const before = known.get(name);
    if (before !== undefined) return before;
    const hash = createHash('sha256');
    for await (const chunk of file.createReadStream({ autoClose: false })) hash.update(chunk);
    const digest = hash.digest('hex');
    if (known.size >= MAX_DIGESTS) known.clear();
    known.set(name, digest);
    return digest;
  } catch {
    // The process is gone, or its executable is not ours to read.
    return undefined;
  }
}

function readText(path: string): string | undefined {
  try {
    // For UTF-8 Node.js has a way of one call; any other encoding allocates 64 KiB for each file of unknown size. What is
    // no UTF-8 in the names that processes and control groups give themselves means nothing to us.
    return readFileSync(path, 'utf8');
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
