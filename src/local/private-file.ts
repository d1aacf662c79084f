import {
  chmodSync,
  closeSync,
  fsyncSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { makeFolders } from '#client';

/** Creates a folder (and its parents) that only its owner may enter. */
export function makePrivateFolder(path: string): void {
  makeFolders(path, 0o700);
  chmodSync(path, 0o700);
}

/** Replaces `path` by `content` in one step and on disk: a crash leaves the old file or the new, never half. */
export function writeFileDurably(path: string, content: string, mode = 0o600): void {
  const temporary = join(dirname(path), `.${process.pid}-${Date.now().toString(36)}.tmp`);
  try {
    const file = openSync(temporary, 'wx', mode);
    try {
      // Until all of it is written: a disk that is nearly full takes a part and says so by a number alone.
      writeFileSync(file, content);
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
