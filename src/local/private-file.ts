import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

/** Creates a folder (and its parents) that only its owner may enter. */
export function makePrivateFolder(path: string): void {
  makeFolders(path);
  chmodSync(path, 0o700);
}

// One by one, since mkdir's `recursive` never returns where the kernel refuses new names, as below /proc.
function makeFolders(path: string): void {
  if (existsSync(path)) return;
  if (dirname(path) !== path) makeFolders(dirname(path));
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    // Another process of this mesh may have been faster.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

/** Replaces `path` by `content` in one step and on disk: a crash leaves the old file or the new, never half. */
export function writeFileDurably(path: string, content: string, mode = 0o600): void {
  const temporary = join(dirname(path), `.${process.pid}-${Date.now().toString(36)}.tmp`);
  try {
    const file = openSync(temporary, 'wx', mode);
    try {
      writeSync(file, content);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  syncFolder(dirname(path));
}

function syncFolder(path: string): void {
  const folder = openSync(path, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
