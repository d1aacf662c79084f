import { readFileSync, readlinkSync, rmSync, symlinkSync } from 'node:fs';
import { fail, ok, type Result } from '#lib';

/** A held lock. */
export type ProcessLock = { readonly release: () => void };

/** Who holds a lock that could not be had. */
export type LockHolder = { readonly pid: number; readonly command: string };

type LockFile = LockHolder & { readonly startTicks: string };

/**
 * Takes the lock at `path` for this process, or says who has it. A lock whose process is gone (killed, machine
 * restarted, pid since given to another) counts as free.
 */
export function acquireLock(path: string, command: string): Result<ProcessLock, LockHolder> {
  const own: LockFile = { pid: process.pid, command, startTicks: startTicksOf(process.pid) ?? '' };
  for (let attempt = 0; attempt < 5; attempt += 1) {
    if (tryLink(JSON.stringify(own), path)) return ok({ release: () => releaseLock(path) });
    const holder = readHolder(path);
    if (holder !== undefined && isAlive(holder)) return fail(holder);
    rmSync(path, { force: true });
  }
  return fail({ pid: 0, command: 'another process' });
}

// symlink(2) is atomic, fails if the name is taken, and takes no block of a disk that is full: a sidecar that died
// there has to come back. The link leads nowhere; its text is what it says.
function tryLink(text: string, path: string): boolean {
  try {
    symlinkSync(text, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function releaseLock(path: string): void {
  if (readHolder(path)?.pid === process.pid) rmSync(path, { force: true });
}

function readHolder(path: string): LockFile | undefined {
  try {
    return JSON.parse(readlinkSync(path)) as LockFile;
  } catch {
    // Gone meanwhile, or not ours: nobody to name.
    return undefined;
  }
}

function isAlive(holder: LockFile): boolean {
  const ticks = startTicksOf(holder.pid);
  return ticks !== undefined && ticks === holder.startTicks;
}

/** Field 22 of /proc/PID/stat: clock ticks from boot to the process's start; undefined if it is gone. */
export function startTicksOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command (field 2) may hold spaces and parentheses, so count from its last one.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? undefined : fields[19];
  } catch {
    // No such process.
    return undefined;
  }
}
