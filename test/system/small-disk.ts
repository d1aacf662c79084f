// A file system of the test's own that can be filled and turned read-only; mounting takes root.
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { finish } from './mesh.ts';

/** A mounted tmpfs. */
export type SmallDisk = {
  /** A folder on it. */
  readonly folder: string;
  /** Leaves no byte free; `free` undoes it. */
  readonly fill: () => void;
  readonly free: () => void;
  readonly remount: (mode: 'ro' | 'rw') => Promise<void>;
  readonly unmount: () => Promise<void>;
};

/** Mounts a tmpfs of `megabytes`, or says in words why that cannot be done here. */
export async function mountSmallDisk(megabytes: number): Promise<SmallDisk | string> {
  const mountPoint = mkdtempSync(join(tmpdir(), 'palisade-disk-'));
  const size = `size=${megabytes}m,mode=0700`;
  const mounted = await finish(['mount', '-t', 'tmpfs', '-o', size, 'tmpfs', mountPoint]);
  if (mounted.status !== 0) {
    rmSync(mountPoint, { recursive: true });
    return `no file system can be mounted here: ${mounted.stderr.trim()}`;
  }
  const folder = join(mountPoint, 'mesh');
  const filler = join(mountPoint, 'filler');
  mkdirSync(folder, { mode: 0o700 });
  return {
    folder,
    fill: () => fill(filler),
    free: () => rmSync(filler, { force: true }),
    async remount(mode) {
      const done = await finish(['mount', '-o', `remount,${mode}`, mountPoint]);
      if (done.status !== 0) throw new Error(done.stderr);
    },
    async unmount() {
      await finish(['umount', '-l', mountPoint]);
      rmSync(mountPoint, { recursive: true, force: true });
    },
  };
}

function fill(path: string): void {
  const file = openSync(path, 'a');
  try {
    for (let size = 1024 * 1024; size >= 1; ) {
      try {
        writeSync(file, Buffer.alloc(size));
      } catch {
        // No room for so many bytes: fewer, until there is none for one.
        size = Math.floor(size / 2);
      }
    }
  } finally {
    closeSync(file);
  }
}
